"""`serve` as people run it: a process, a port, a banner, and a first run that leaves nobody outside."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from open_llm_auth.testing import GatewayProcess
from open_llm_auth.testing import free_port as a_free_port


def environment(home, **more):
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home), **more}


def run(home, *arguments, **more):
    """A `serve` that is expected to leave by itself."""
    return subprocess.run(
        [sys.executable, "-m", "open_llm_auth.cli", "serve", *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


def shell(line, home, **more):
    return subprocess.run(
        ["bash", "-c", line], env=environment(home, **more), capture_output=True, text=True, timeout=30, check=True
    ).stdout


def printed(log, start):
    return next(line.strip() for line in log.splitlines() if line.strip().startswith(start))


def test_the_first_run_makes_a_token_and_the_printed_curl_works(home):
    with GatewayProcess(home, None) as gateway:
        log = gateway.log()
        token = (home / "admin-token").read_text().strip()
        answer = json.loads(shell(printed(log, "curl"), home))
        assert answer["choices"][0]["message"]["content"]
        paste = f"{printed(log, 'export OPENAI_BASE_URL')}\n{printed(log, 'export OPENAI_API_KEY')}\n"
        listed = shell(paste + 'curl -s $OPENAI_BASE_URL/models -H "Authorization: Bearer $OPENAI_API_KEY"', home)
        assert [row["id"] for row in json.loads(listed)["data"]] == ["demo/echo"]
        assert gateway.request("GET", "/v1/models", token="wrong").status == 401
    assert token.startswith("ola_")
    assert token not in gateway.log()
    assert stat.S_IMODE((home / "admin-token").stat().st_mode) == 0o600
    assert token not in (home / "config.json").read_text()
    assert "nothing but demo/echo" in log


def test_a_second_run_makes_no_second_token_and_still_says_how_to_get_in(home):
    with GatewayProcess(home, None):
        pass
    before = (home / "config.json").read_text()
    (home / "gateway.log").unlink()
    with GatewayProcess(home, None) as gateway:
        assert "Made an admin token" not in gateway.log()
        assert json.loads(shell(printed(gateway.log(), "curl"), home))["choices"]
    assert (home / "config.json").read_text() == before


def test_a_token_file_that_fits_no_more_is_not_offered(home):
    with GatewayProcess(home, None):
        pass
    (home / "admin-token").write_text("ola_something-else\n")
    (home / "gateway.log").unlink()
    with GatewayProcess(home, None) as gateway:
        assert "<your token>" in gateway.log()


def test_the_first_run_on_a_terminal_shows_the_token_there_and_writes_no_file(home):
    port = a_free_port()
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "open_llm_auth.cli", "serve", "--port", str(port)],
        env=environment(home),
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
    ) as process:
        os.close(child)
        seen = read_until(parent, r"curl .*\r\n")
        token = re.search(r"ola_[\w-]{43}", seen)[0]
        line = re.search(r"curl [^\r\n]*", seen)[0]
        assert json.loads(shell(line, home))["choices"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    os.close(parent)
    assert "shown this once" in seen
    assert not (home / "admin-token").exists()
    assert token not in (home / "config.json").read_text()


def read_until(descriptor, pattern, seconds=20.0):
    seen = ""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            seen += os.read(descriptor, 65536).decode(errors="replace")
        if re.search(pattern, seen):
            return seen
    raise AssertionError(f"{pattern!r} did not come:\n{seen}")


def test_a_token_of_the_environment_is_used_and_none_is_made(home):
    with GatewayProcess(home, None, environ={"OPEN_LLM_AUTH_TOKEN": "canary-legacy-token"}) as gateway:
        log = gateway.log()
        assert json.loads(shell(printed(log, "curl"), home, OPEN_LLM_AUTH_TOKEN="canary-legacy-token"))["choices"]
    assert "canary-legacy-token" not in log
    assert not (home / "config.json").exists()
    assert not (home / "admin-token").exists()


def test_a_token_of_the_dotenv_is_pointed_at_and_not_printed(home):
    (home / ".env").write_text("OPEN_LLM_AUTH_TOKEN=canary-dotenv-token\n")
    (home / ".env").chmod(0o600)
    with GatewayProcess(home, None) as gateway:
        log = gateway.log()
        assert gateway.request("GET", "/v1/models", token="canary-dotenv-token").status == 200
        assert json.loads(shell(printed(log, "curl"), home, OPEN_LLM_AUTH_TOKEN="canary-dotenv-token"))["choices"]
    assert f"the line OPEN_LLM_AUTH_TOKEN of {home / '.env'}" in log
    assert "canary-dotenv-token" not in log
    assert not (home / "config.json").exists()


def test_anonymous_mode_needs_no_token_on_loopback(home):
    with GatewayProcess(home, None, environ={"OPEN_LLM_AUTH_ALLOW_ANON": "1"}) as gateway:
        assert gateway.request("GET", "/v1/models", token="").status == 200
        assert json.loads(shell(printed(gateway.log(), "curl"), home))["choices"]
        assert "anonymous mode" in gateway.log()
    assert not (home / "config.json").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_anonymous_mode_is_refused_beyond_this_machine(home, host):
    done = run(home, "--host", host, "--port", "0", OPEN_LLM_AUTH_ALLOW_ANON="yes")
    assert done.returncode == 1
    assert "--i-know-this-is-open" in done.stderr


def an_address_of_this_machine():
    """One that is not loopback. Nothing is sent: connecting a datagram socket only chooses a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("NOT TESTED FROM OUTSIDE: this machine has no address but loopback")
        return probe.getsockname()[0]


def test_anonymous_mode_beyond_this_machine_can_be_asked_for(home):
    arguments = ("--host", "0.0.0.0", "--i-know-this-is-open")
    with GatewayProcess(home, None, arguments=arguments, environ={"OPEN_LLM_AUTH_ALLOW_ANON": "1"}) as gateway:
        assert gateway.request("GET", "/v1/models", token="").status == 200
        with socket.create_connection((an_address_of_this_machine(), gateway.port), timeout=10) as client:
            client.sendall(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert "other machines can reach this gateway" in gateway.log()


def test_a_taken_port_is_named_with_its_holder_and_a_way_out(home):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        done = run(home, "--port", str(listener.getsockname()[1]))
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1
    # Nothing was made for a gateway that never ran.
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "line 1"),
        ('{"server": {"port": "http"}}', "server.port"),
        ("", "empty"),
        ('{"serverToken": 5}', "serverToken"),
        ('{"authorization": {"tokens": {"a": {"token": "x"}, "b": {"token": "x"}}}}', "authorization.tokens"),
    ],
)
def test_a_config_that_is_not_sound_is_named_with_the_ways_out_and_left_alone(home, config, message):
    (home / "config.json").write_text(config)
    done = run(home, "--port", "0")
    assert done.returncode == 1
    assert message in done.stderr
    assert "OPEN_LLM_AUTH_CONFIG" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (home / "config.json").read_text() == config


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="NO /proc: no place that even root can't write")
def test_a_first_run_that_can_store_nothing_says_what_would_help(home):
    done = run(home, "--port", "0", OPEN_LLM_AUTH_HOME="/proc/self/nobody-writes-here")
    assert done.returncode == 1
    assert "OPEN_LLM_AUTH_TOKEN" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_config_that_can_not_be_read_names_the_ways_out(home, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    done = run(home, "--port", "0", OPEN_LLM_AUTH_HOME=str(blocked / "home"))
    assert done.returncode == 1
    assert "OPEN_LLM_AUTH_HOME" in done.stderr
    assert blocked.read_text() == "not a directory"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--port", "70000"], 2),
        (["--port", "http"], 2),
        (["--port", "-1"], 2),
        (["here"], 2),
        (["--workers", "x"], 2),
        (["--host", "no such host", "--port", "0"], 1),
        (["--host", "192.0.2.1", "--port", "0"], 1),
        (["--host", "x" * 300, "--port", "0"], 1),
    ],
)
def test_bad_options_are_one_clear_answer(home, arguments, code):
    done = run(home, *arguments)
    assert done.returncode == code
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_keys_and_local_servers_are_found_and_a_configured_one_is_offered_in_the_curl(
    make_gateway, config_for, provider
):
    gateway = make_gateway(config_for(provider), {"GROQ_API_KEY": "canary-groq-key"})
    log = gateway.log()
    assert "GROQ_API_KEY (groq)" in log
    assert re.search(r"usable now +.*fake", log)
    assert "canary-groq-key" not in log
    assert "<your token>" in log


def test_a_provider_added_while_it_runs_is_usable_within_two_seconds(home, provider, provider_key):
    with GatewayProcess(home, None, secrets=(provider_key,)) as gateway:
        token = (home / "admin-token").read_text().strip()
        options = ["--base-url", provider.base_url, "--allow-local", "--stdin"]
        done = subprocess.run(
            [sys.executable, "-m", "open_llm_auth.cli", "auth", "configure", "fake", *options],
            env=environment(home),
            input=provider_key,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        body = {"model": "fake/fake-model", "messages": [{"role": "user", "content": "Hello"}]}
        deadline = time.monotonic() + 2.5
        while (answer := gateway.request("POST", "/v1/chat/completions", body=body, token=token)).status != 200:
            assert time.monotonic() < deadline, answer.body
            time.sleep(0.1)


def test_two_first_runs_at_once_make_one_token(home):
    gateways = [GatewayProcess(home, None) for _ in range(2)]
    # Each its own log; the home is the same.
    gateways[1].log_path = home / "second.log"
    processes = []
    try:
        for gateway in gateways:
            with gateway.log_path.open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "open_llm_auth.cli", "serve", "--port", str(gateway.port)],
                        env=environment(home),
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        deadline = time.monotonic() + 20
        while not all("curl" in gateway.log() for gateway in gateways):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        token = (home / "admin-token").read_text().strip()
        for gateway in gateways:
            assert gateway.request("GET", "/v1/models", token=token).status == 200
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)
    assert len(json.loads((home / "config.json").read_text())["authorization"]["tokens"]) == 1
    assert sum("Made an admin token" in gateway.log() for gateway in gateways) == 1


def test_a_connection_made_as_soon_as_the_banner_is_read_waits_for_its_answer(home):
    port = a_free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "open_llm_auth.cli", "serve", "--port", str(port)],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert b"Open LLM Auth" in first
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        process.terminate()
        process.wait(20)


def test_reload_serves_too(home):
    with GatewayProcess(home, None, arguments=("--reload",)) as gateway:
        assert gateway.request("GET", "/health", token="").status == 200


def test_the_module_is_a_command_too(home):
    done = subprocess.run(
        [sys.executable, "-m", "open_llm_auth", "--version"], env=environment(home), capture_output=True, text=True
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_help_brings_neither_server_nor_schema_with_it(home):
    program = "import sys; from open_llm_auth.cli import app; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], env=environment(home), capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"pydantic", "uvicorn", "fastapi", "msgspec", "open_llm_auth.config"}
