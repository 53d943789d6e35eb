"""Real little programs, and none of them left when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamTimeout, UpstreamUnreachable
from open_llm_auth.ports import Programs, Reply
from open_llm_auth.transport.programs import ProgramRunner
from open_llm_auth.values import Command, Timeouts

Scenario = Callable[[ProgramRunner], Coroutine[Any, Any, None]]
Play = Callable[..., None]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="NO TESTS OF PROGRAMS: what is left of one is looked up in /proc"
)

QUICK = Timeouts(first_byte=20.0, idle=20.0)


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Play]:
    """`play(scenario)` runs it on a loop of either kind, with a runner whose temporary folder is empty at the end."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(temporary)

    def run(scenario: Scenario, **environ: str) -> None:
        async def whole() -> None:
            runner = ProgramRunner({"PATH": os.environ["PATH"], **environ}, grace=0.3)
            try:
                await scenario(runner)
            finally:
                await runner.aclose()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop if request.param == "uvloop" else None) as loop:
            loop.run(whole())

    others = _children_of(os.getpid())
    yield run
    tempfile.tempdir = before
    assert list(temporary.iterdir()) == []
    assert set(_children_of(os.getpid())) <= set(others)


def command(code: str, **fields: Any) -> Command:
    """A program in Python; the interpreter is the one that runs the tests."""
    return Command("cli", (sys.executable, "-c", code), **({"timeouts": QUICK} | fields))


async def rest(reply: Reply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


@contextlib.asynccontextmanager
async def running(runner: Programs, command: Command) -> AsyncIterator[Reply]:
    reply = await runner.run(command)
    try:
        yield reply
    finally:
        await reply.aclose()


def _children_of(parent: int) -> list[int]:
    """Processes, dead ones that nobody has counted included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(entry.name))
    return found


def _lives(pid: int) -> bool:
    """Whether it still does anything: the dead that wait for init to count them do not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _dies(pid: int) -> bool:
    for _ in range(100):
        if not _lives(pid):
            return True
        await asyncio.sleep(0.02)
    return False


# ---------------------------------------------------------------------------------------------- what it is given


def test_its_output_is_the_body_and_its_input_the_prompt(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read().upper())"
        async with running(runner, command(code, input="grüße 世界".encode())) as reply:
            assert reply.status == 200
            assert reply.header(b"content-type") == b"application/x-ndjson"
            assert reply.header(b"x-other") is None
            assert (await reply.read(1000)).decode() == "grüße 世界".encode().upper().decode()

    play(scenario)


def test_megabytes_of_input_arrive_whole(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import sys, hashlib; print(len(sys.stdin.buffer.read()))"
        async with running(runner, command(code, input=b"x" * 5_000_000)) as reply:
            assert await rest(reply) == b"5000000\n"

    play(scenario)


def test_a_program_that_does_not_read_its_input_is_no_fault(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        async with running(runner, command("print('done', flush=True)", input=b"x" * 5_000_000)) as reply:
            assert await rest(reply) == b"done\n"

    play(scenario)


def test_it_sees_only_the_variables_it_may(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import os, json; print(json.dumps(dict(os.environ)))"
        ordered = command(code, environment=("CODEX_HOME", "UNSET"), settings=(("MODE", "quiet"),))
        async with running(runner, ordered) as reply:
            seen = json.loads(await rest(reply))
        assert seen["CODEX_HOME"] == "/codex"
        assert seen["MODE"] == "quiet"
        assert "OPENAI_API_KEY" not in seen
        assert "OPEN_LLM_AUTH_TOKEN" not in seen
        assert set(seen) <= {"PATH", "HOME", "CODEX_HOME", "MODE", "LC_CTYPE"}

    play(scenario, HOME="/home", CODEX_HOME="/codex", OPENAI_API_KEY="sk-secret", OPEN_LLM_AUTH_TOKEN="secret")


def test_it_works_in_a_fresh_folder_with_its_files_that_nobody_else_can_look_into(play: Play) -> None:
    folders = []

    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import os; print(oct(os.stat('.').st_mode)[-3:], os.listdir('.'), open('system.txt').read());"
            "open('left', 'w').write('behind'); print(os.getcwd())"
        )
        async with running(runner, command(code, files=(("system.txt", b"Be terse."),))) as reply:
            head, folder = (await rest(reply)).decode().splitlines()
        assert head == "700 ['system.txt'] Be terse."
        folders.append(folder)

    play(scenario)
    assert len(folders) == 1
    assert not Path(folders[0]).exists()


def test_a_folder_of_its_own_stays(play: Play, tmp_path: Path) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        async with running(runner, command("import os; print(os.getcwd())", folder=str(tmp_path))) as reply:
            assert (await rest(reply)).decode().strip() == str(tmp_path)

    play(scenario)
    assert tmp_path.exists()


def test_no_shell_looks_at_its_arguments(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        wanted = Command("cli", (sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME; ls *", "`id`"))
        async with running(runner, wanted) as reply:
            assert await rest(reply) == b"['$HOME; ls *', '`id`']\n"

    play(scenario)


# ---------------------------------------------------------------------------------------------- how its output comes


def test_output_comes_as_it_is_written_even_within_a_character(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import sys, time\n"
            "for byte in '世界'.encode():\n"
            "    sys.stdout.buffer.write(bytes([byte])); sys.stdout.flush(); time.sleep(0.02)\n"
        )
        async with running(runner, command(code)) as reply:
            pieces = [chunk async for chunk in reply.chunks()]
        assert len(pieces) > 1
        assert b"".join(pieces).decode() == "世界"

    play(scenario)


def test_huge_output_waits_for_its_reader_and_loses_nothing(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import sys; sys.stdout.buffer.write(b'0123456789abcdef' * 1_250_000)"
        async with running(runner, command(code)) as reply:
            await asyncio.sleep(0.5)  # the reader is slow; the program must not fill the memory meanwhile
            body, largest = bytearray(), 0
            async for chunk in reply.chunks():
                body += chunk
                largest = max(largest, len(chunk))
        assert bytes(body) == b"0123456789abcdef" * 1_250_000
        assert largest < 2_000_000

    play(scenario)


def test_a_body_over_the_limit_is_refused(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        async with running(runner, command("import sys; sys.stdout.write('x' * 100_000)")) as reply:
            with pytest.raises(UpstreamInvalidResponse, match="more than 1000 bytes"):
                await reply.read(1000)

    play(scenario)


def test_a_wait_that_is_cancelled_loses_nothing(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import time; print('a', flush=True); time.sleep(0.4); print('b', flush=True)"
        async with running(runner, command(code)) as reply:
            chunks = reply.chunks()
            assert await anext(chunks) == b"a\n"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(chunks)
            assert await anext(chunks) == b"b\n"

    play(scenario)


def test_chatter_on_the_error_stream_neither_blocks_nor_shows(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import sys; sys.stderr.write('warning ' * 100_000); print('answer')"
        async with running(runner, command(code)) as reply:
            assert await rest(reply) == b"answer\n"

    play(scenario)


# ---------------------------------------------------------------------------------------------- how it fails


def test_a_program_that_is_not_there_is_named_with_the_way_to_get_it(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        with pytest.raises(UpstreamUnreachable) as caught:
            await runner.run(Command("claude-cli", ("no-such-program",), install="npm install -g it"))
        message = caught.value.message
        assert "'no-such-program'" in message
        assert "`npm install -g it`" in message
        assert "providers.claude-cli.command" in message
        assert caught.value.details == {"provider": "claude-cli", "sent": False, "reason": "not_installed"}

    play(scenario)


def test_a_file_that_does_not_start_is_an_error_and_not_a_traceback(play: Play, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter")
    program.chmod(0o700)

    async def scenario(runner: ProgramRunner) -> None:
        with pytest.raises(UpstreamUnreachable, match="does not start: no such file") as caught:
            await runner.run(Command("cli", (str(program),)))
        assert caught.value.details["reason"] == "not_started"

    play(scenario)


def test_an_argument_no_program_can_have_is_an_error_and_not_a_traceback(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        for argument in ("nul\0", "x" * 3_000_000):
            with pytest.raises(UpstreamUnreachable, match="does not start"):
                await runner.run(Command("cli", (sys.executable, argument)))

    play(scenario)


def test_an_end_without_output_is_a_502_that_tells_the_code_and_the_last_words(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import sys; sys.stderr.write('x' * 100_000 + 'error: unknown option'); sys.exit(3)"
        async with running(runner, command(code)) as reply:
            assert reply.status == 502
            assert reply.header(b"content-type") == b"application/json"
            left = json.loads(await reply.read(1_000_000))
        assert left["exit"] == 3
        assert left["stderr"].endswith("error: unknown option")
        assert len(left["stderr"]) == 65_536

    play(scenario)


def test_a_good_end_without_output_is_an_empty_body(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        async with running(runner, command("pass")) as reply:
            assert (reply.status, await reply.read(10)) == (200, b"")

    play(scenario)


def test_an_end_in_the_middle_of_the_answer_is_no_end_of_it(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import os; print('half', flush=True); os.kill(os.getpid(), 9)"
        async with running(runner, command(code)) as reply:
            chunks = reply.chunks()
            assert await anext(chunks) == b"half\n"
            with pytest.raises(UpstreamUnreachable, match="exit code -9"):
                await anext(chunks)

    play(scenario)


def test_a_program_that_says_nothing_in_time_is_ended(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        with pytest.raises(UpstreamTimeout, match=r"within 0\.3 s"):
            await runner.run(command("import time; time.sleep(60)", timeouts=Timeouts(first_byte=0.3)))

    play(scenario)


def test_a_program_that_falls_silent_is_ended(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
        async with running(runner, command(code, timeouts=Timeouts(first_byte=20, idle=0.3))) as reply:
            chunks = reply.chunks()
            pid = int(await anext(chunks))
            with pytest.raises(UpstreamTimeout):
                await anext(chunks)
            assert await _dies(pid)

    play(scenario)


# ---------------------------------------------------------------------------------------------- how it ends


def test_closing_ends_a_program_at_once(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        reply = await runner.run(command("import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
        pid = int(await anext(reply.chunks()))
        async with asyncio.timeout(5):
            await reply.aclose()
            await reply.aclose()
        assert not _lives(pid)

    play(scenario)


def test_closing_ends_a_program_that_will_not_listen(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print(os.getpid(), flush=True); time.sleep(60)"
        )
        reply = await runner.run(command(code))
        pid = int(await anext(reply.chunks()))
        async with asyncio.timeout(5):
            await reply.aclose()
        assert not _lives(pid)

    play(scenario)


def test_a_program_may_tidy_up_when_it_is_told_to_end(play: Play, tmp_path: Path) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import signal, sys, time\n"
            f"def end(*_): open({str(tmp_path / 'tidy')!r}, 'w').write('yes'); sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(60)\n"
        )
        reply = await runner.run(command(code))
        await reply.aclose()

    play(scenario)
    assert (tmp_path / "tidy").read_text() == "yes"


@pytest.mark.parametrize("stubborn", [False, True], ids=["willing", "stubborn"])
def test_closing_ends_what_the_program_has_started_too(play: Play, stubborn: bool) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" if stubborn else ""
        child = f"{deaf}import time; print(1, flush=True); time.sleep(60)"
        code = (
            "import subprocess, sys, time\n"
            f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
            "child.stdout.read(1); print(child.pid, flush=True); time.sleep(60)\n"
        )
        reply = await runner.run(command(code))
        grandchild = int(await anext(reply.chunks()))
        assert _lives(grandchild)
        await reply.aclose()
        assert await _dies(grandchild)

    play(scenario)


def test_a_program_that_ends_and_leaves_a_child_at_its_output_is_over(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "print(child.pid, flush=True)\n"
        )
        async with running(runner, command(code)) as reply, asyncio.timeout(10):
            grandchild = int(await rest(reply))
            assert await _dies(grandchild)

    play(scenario)


def test_what_got_away_from_its_session_is_not_waited_for(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
            "print(child.pid, flush=True)\n"
        )
        async with running(runner, command(code)) as reply, asyncio.timeout(10):
            away = int(await rest(reply))
            os.kill(away, signal.SIGKILL)

    play(scenario)


def test_a_caller_that_leaves_before_the_first_output_leaves_nothing_running(play: Play, tmp_path: Path) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        place = tmp_path / "pid"
        code = f"import os, time; open({str(place)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        task = asyncio.create_task(runner.run(command(code)))
        async with asyncio.timeout(10):
            while not place.exists() or not place.read_text():  # noqa: ASYNC110 - it is a file that tells
                await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await _dies(int(place.read_text()))

    play(scenario)


def test_a_closing_that_is_cancelled_still_ends_the_program(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        code = (
            "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print(os.getpid(), flush=True); time.sleep(60)"
        )
        reply = await runner.run(command(code))
        pid = int(await anext(reply.chunks()))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reply.aclose()
        assert await _dies(pid)

    play(scenario)


def test_the_runner_ends_all_that_still_runs_when_it_is_closed(play: Play) -> None:
    pids = []

    async def scenario(runner: ProgramRunner) -> None:
        for _ in range(3):
            reply = await runner.run(command("import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
            pids.append(int(await anext(reply.chunks())))

    play(scenario)
    assert len(pids) == 3
    assert not any(map(_lives, pids))


# ---------------------------------------------------------------------------------------------- how many at once


def test_more_than_its_limit_wait_their_turn(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        slow = command("print('here', flush=True); import time; time.sleep(60)", limit=2)
        first, second = await runner.run(slow), await runner.run(slow)
        third = asyncio.create_task(runner.run(slow))
        await asyncio.sleep(0.3)
        assert not third.done()
        other = await runner.run(Command("another", slow.arguments, limit=2))
        await first.aclose()
        async with asyncio.timeout(10):
            reply = await third
        for each in (second, other, reply):
            await each.aclose()

    play(scenario)


def test_a_turn_comes_back_whatever_became_of_the_run(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        for _ in range(3):
            with pytest.raises(UpstreamUnreachable):
                await runner.run(Command("cli", ("no-such-program",), limit=1))
            async with running(runner, command("import sys; sys.exit(1)", limit=1)) as reply:
                assert reply.status == 502
        async with asyncio.timeout(10), running(runner, command("print('in')", limit=1)) as reply:
            assert await rest(reply) == b"in\n"

    play(scenario)


def test_a_caller_that_leaves_while_it_waits_takes_no_turn(play: Play) -> None:
    async def scenario(runner: ProgramRunner) -> None:
        slow = command("print('here', flush=True); import time; time.sleep(60)", limit=1)
        first = await runner.run(slow)
        waiting = asyncio.create_task(runner.run(slow))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await first.aclose()
        async with asyncio.timeout(10):
            last = await runner.run(slow)
        await last.aclose()

    play(scenario)


def test_the_runner_is_what_the_port_asks_for() -> None:
    runner: Programs = ProgramRunner({})
    assert runner
