"""`open-llm-auth chat`: a conversation in the terminal, through a gateway opened in this very process."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from .asking import at_terminal
from .output import complain_of, note, printable, say
from .workbench import Workbench

if TYPE_CHECKING:
    import asyncio

    from ..main import Gateway
    from ..server.answer import Answer
    from ..values import Call

__all__ = ["chat"]

_T = TypeVar("_T")

_LETTING_GO_SECONDS = 2.0

_HELP = """\
/model REF     talk to another model; without REF: say which one answers now
/models        list what can be called
/system TEXT   set the system text; without TEXT: remove it
/clear         begin a new conversation
/exit          leave (so does Ctrl-D)
Ctrl-C stops an answer. A line that begins with // is sent with one / less."""


def chat(
    model: Annotated[str | None, typer.Option("--model", "-m", metavar="REF", help="Such as openai/gpt-5.5.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", metavar="ID", help="Credential to try first.")] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="TEXT", help="System text.")] = None,
) -> None:
    """Talk to a model. Without a terminal each line of standard input gets one answer."""
    bench = Workbench.here()
    talk = Talk(bench, model or bench.default_ref(), profile, system)
    talk.plan(talk.model)
    with _loop() as run, _gateway(bench, run) as gateway:
        failed = _interact(talk, gateway, run) if at_terminal() else _pipe(talk, gateway, run)
    raise typer.Exit(1 if failed else 0)


@dataclass
class Talk:
    """The conversation so far, and what it goes to."""

    bench: Workbench
    model: str
    profile: str | None
    system: str | None
    messages: list[dict[str, str]] = field(default_factory=list)
    #: how many calls there were: they are numbered, and appear in no log
    asked: int = 0

    def plan(self, model: str) -> None:
        """See that the model can be called. Raises a GatewayError that says why not."""
        self.bench.manager.plan(
            self.bench.snapshot,
            model=model,
            caller=self.bench.caller,
            preferred_profile=self.profile,
            surface="ui",
        )

    def call(self) -> Call:
        """The conversation as a call."""
        from ..values import Call
        from ..wire.openai_chat import read_request

        system = [{"role": "system", "content": self.system}] if self.system else []
        body = {"model": self.model, "messages": [*system, *self.messages], "stream": True}
        self.asked += 1
        return Call(
            id=f"call_{self.asked:024x}",
            operation="chat",
            dialect="openai-chat",
            request=read_request(json.dumps(body).encode()),
            caller=self.bench.caller,
            preferred_profile=self.profile,
            surface="ui",
        )


class _Runner:
    """Runs coroutines on a loop in a thread of its own, so that the gateway lives on while a person thinks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`; Ctrl-C cancels it, waits until it has let go, and is raised again."""
        done = threading.Event()

        async def whole() -> _T:
            try:
                return await work
            finally:
                done.set()

        # Late, because it takes as long to import as all of --help.
        import asyncio

        future = asyncio.run_coroutine_threadsafe(whole(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            done.wait(_LETTING_GO_SECONDS)
            raise


@contextmanager
def _loop() -> Iterator[_Runner]:
    import asyncio

    loop = asyncio.new_event_loop()

    def live() -> None:
        # A Ctrl-C that this thread took would not wake the one that waits for a line or an answer.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        loop.run_forever()

    thread = threading.Thread(target=live, name="gateway", daemon=True)
    thread.start()
    try:
        yield _Runner(loop)
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _gateway(bench: Workbench, run: _Runner) -> Iterator[Gateway]:
    # Late: it brings the server and the transport with it.
    from ..main import open_gateway

    # Its request log would stand between the answers.
    opening = open_gateway(bench.environ, log=lambda _text: None, stores=bench.opened_stores())
    gateway = run(opening.__aenter__())
    try:
        yield gateway
    finally:
        run(opening.__aexit__(None, None, None))


def _pipe(talk: Talk, gateway: Gateway, run: _Runner) -> bool:
    """One answer a line. Whether any failed."""
    failed = False
    for line in sys.stdin:
        text = line.strip()
        if text == "/exit":
            break
        if text.startswith("/") and not text.startswith("//"):
            failed = not _command(talk, gateway, text) or failed
        elif text:
            failed = not _exchange(talk, gateway, run, text) or failed
    return failed


def _interact(talk: Talk, gateway: Gateway, run: _Runner) -> bool:
    """Prompt, answer, prompt. Never fails as a whole: each error was told where it arose."""
    _enable_editing()
    note(f"Talking to {talk.model}. /help lists the commands, Ctrl-D leaves.")
    while True:
        try:
            text = input("> ").strip()
        except KeyboardInterrupt:
            note("\n(Ctrl-D or /exit leaves)")
            continue
        except EOFError:
            say()
            return False
        if text == "/exit":
            return False
        if text.startswith("/") and not text.startswith("//"):
            _command(talk, gateway, text)
        elif text:
            _exchange(talk, gateway, run, text)


def _enable_editing() -> None:
    try:
        import readline  # noqa: F401  # its import gives input() a history and arrow keys
    except ImportError:
        pass  # a Python without it still reads lines


def _command(talk: Talk, gateway: Gateway, text: str) -> bool:
    name, _, rest = text.partition(" ")
    action = _COMMANDS.get(name)
    if action is None:
        note(f"There is no {name}. /help lists the commands; // sends a line that begins with /.")
        return False
    return action(talk, gateway, rest.strip())


def _switch(talk: Talk, _gateway: Gateway, ref: str) -> bool:
    from ..errors import GatewayError

    if ref:
        try:
            talk.plan(ref)
        except GatewayError as error:
            complain_of(error)
            return False
        talk.model = ref
    note(f"{talk.model} answers.")
    return True


def _show_models(talk: Talk, gateway: Gateway, _rest: str) -> bool:
    bench = talk.bench
    for provider, model in bench.manager.models(bench.snapshot, bench.caller, gateway.discovery.models()):
        note(f"  {printable(f'{provider.id}/{model.id}')}")
    return True


def _set_system(talk: Talk, _gateway: Gateway, text: str) -> bool:
    talk.system = text or None
    note("System text set." if text else "No system text.")
    return True


def _clear(talk: Talk, _gateway: Gateway, _rest: str) -> bool:
    talk.messages.clear()
    note("A new conversation.")
    return True


def _help(_talk: Talk, _gateway: Gateway, _rest: str) -> bool:
    note(_HELP)
    return True


_COMMANDS: dict[str, Callable[[Talk, Gateway, str], bool]] = {
    "/model": _switch,
    "/models": _show_models,
    "/system": _set_system,
    "/clear": _clear,
    "/help": _help,
}


def _exchange(talk: Talk, gateway: Gateway, run: _Runner, text: str) -> bool:
    """One question and its answer. Whether it went well; a question that failed is taken back."""
    from ..errors import GatewayError

    talk.messages.append({"role": "user", "content": text.removeprefix("/") if text.startswith("//") else text})
    heard: list[str] = []
    problem = None
    try:
        run(_answer(gateway, talk.call(), heard.append))
    except GatewayError as error:
        problem = error
    except KeyboardInterrupt:
        if not at_terminal():
            raise
        note("\n(stopped)" if heard else "(stopped)")
    else:
        say()
    if problem is not None:
        if heard:
            say()
        complain_of(problem)
    if heard:
        talk.messages.append({"role": "assistant", "content": "".join(heard)})
    else:
        talk.messages.pop()
    return problem is None


async def _answer(gateway: Gateway, call: Call, hear: Callable[[str], None]) -> None:
    """Make the call, and print its text as it arrives."""
    answer = await gateway.relay.open(call)
    try:
        async for piece in _pieces(answer):
            hear(piece)
            sys.stdout.write(printable(piece, keep="\n\t"))
            sys.stdout.flush()
    finally:
        await answer.aclose()
    if answer.failed is not None:
        raise answer.failed


async def _pieces(answer: Answer) -> AsyncIterator[str]:
    """The text of an answer, streamed or whole. Raises the error that an event of the stream carries."""
    from ..wire import sse

    if answer.stream is None:
        for text in _texts(answer.body or b""):
            yield text
        return
    splitter = sse.EventSplitter()
    async for chunk in answer.stream:
        for event in sse.split_events(splitter.feed(chunk)):
            for text in _texts(sse.data_of(event) or b""):
                yield text


def _texts(data: bytes) -> list[str]:
    """The text in one chunk, or one whole answer, of the OpenAI dialect."""
    from ..errors import UpstreamInvalidResponse

    if not data.startswith(b"{"):
        return []
    try:
        value = json.loads(data)
    except ValueError:
        return []
    if isinstance(error := value.get("error"), dict):
        raise UpstreamInvalidResponse(str(error.get("message") or "the provider ended the answer with an error"))
    found = []
    for choice in value.get("choices") or []:
        part = choice.get("delta") or choice.get("message") or {}
        if isinstance(text := part.get("content") or part.get("refusal"), str):
            found.append(text)
    return found
