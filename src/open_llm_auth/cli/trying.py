"""`open-llm-auth auth test`: one small, real call with each credential, because nothing else proves that it works."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from .inventory import inventory, named
from .output import JsonOption, note, printable, say, say_json, say_table
from .workbench import Workbench

if TYPE_CHECKING:
    import asyncio

    from ..main import Gateway
    from ..values import Call
    from .inventory import Item

__all__ = ["try_credentials"]

_QUESTION = "Answer with the one word: ok"
#: OpenAI's Responses take no less.
_MOST_TOKENS = 16
_AT_ONCE = 8
#: Of many models, one of these costs little; these others do not talk.
_SMALL = ("nano", "mini", "flash", "haiku", "lite", "small", "8b")
_SILENT = ("embed", "whisper", "tts", "image", "dall-e", "moderation", "rerank", "audio", "realtime", "sora", "veo")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one credential. `seconds` is None where nothing could be asked."""

    credential: str
    provider: str
    model: str | None
    ok: bool
    seconds: float | None
    message: str


def try_credentials(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[PROFILE|PROVIDER]", help="Such as openai:default, env:OPENAI_API_KEY or openai."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="The model to ask.")] = None,
    json: JsonOption = False,
) -> None:
    """Make one small call with each credential and say what came of it. Exit 1 when one fails.

    It costs what a question of a few words costs. Without a name every credential is tried.
    """
    from ..errors import InvalidRequest

    bench = Workbench.here()
    items = inventory(bench)
    chosen = items if name is None else named(items, bench, name)
    chosen = [item for item in chosen if item.provider.id != "demo" or name is not None]
    if name is not None and not chosen:
        raise InvalidRequest(f"{name!r} is no credential, and no provider that has one. See: open-llm-auth auth list")
    results = _run(bench, chosen, model)
    if json:
        say_json([asdict(result) for result in results])
    elif results:
        say_table(("CREDENTIAL", "PROVIDER", "MODEL", "RESULT", "TIME"), [_cells(result) for result in results])
        for result in results:
            if not result.ok:
                note(f"{printable(result.credential)}: {printable(result.message)}")
    else:
        say("There is no credential to try. Add one with: open-llm-auth auth add-api-key PROVIDER")
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


def _cells(result: Result) -> tuple[str, ...]:
    time = "-" if result.seconds is None else f"{result.seconds:.2f} s"
    return result.credential, result.provider, result.model or "-", "ok" if result.ok else "failed", time


def _run(bench: Workbench, items: list[Item], model: str | None) -> list[Result]:
    import asyncio

    # Late: it brings the server and the transport with it.
    from ..main import open_gateway

    async def work() -> list[Result]:
        async with open_gateway(bench.environ, log=lambda _text: None, stores=bench.opened_stores()) as gateway:
            if model is None and any(not item.provider.models for item in items):
                await gateway.discovery.settled()
            gate = asyncio.Semaphore(_AT_ONCE)
            return list(await asyncio.gather(*(_try(bench, gateway, item, model, gate) for item in items)))

    return asyncio.run(work())


async def _try(bench: Workbench, gateway: Gateway, item: Item, model: str | None, gate: asyncio.Semaphore) -> Result:
    from ..errors import GatewayError

    def result(message: str, asked: str | None = None, began: float | None = None) -> Result:
        seconds = None if began is None else bench.clock.monotonic() - began
        return Result(item.id, item.provider.id, asked, not message, seconds, message)

    if item.credential is None:
        return result(item.flaw)
    asked = model or _model_of(gateway, item)
    if asked is None:
        return result("no model of it is known; name one with --model")
    async with gate:
        began = bench.clock.monotonic()
        try:
            answer = await gateway.relay.open(_call(bench, item, asked))
            await answer.aclose()
        except GatewayError as error:
            return result(error.message, asked, began)
    return result("", asked, began)


def _call(bench: Workbench, item: Item, model: str) -> Call:
    """One that nothing but this credential may answer."""
    from ..values import Call
    from ..wire.openai_chat import read_request

    body = {
        "model": f"{item.provider.id}/{model}",
        "messages": [{"role": "user", "content": _QUESTION}],
        "max_tokens": _MOST_TOKENS,
    }
    owner = item.profile.owner if item.profile is not None else None
    caller = replace(
        bench.caller,
        subject=owner or bench.caller.subject,
        providers=(_literally(item.provider.id),),
        profiles=(_literally(item.id),),
    )
    return Call(
        id=f"call_{0:024x}",
        operation="chat",
        dialect="openai-chat",
        request=read_request(jsonlib.dumps(body).encode()),
        caller=caller,
        preferred_profile=item.id if item.profile is not None else None,
    )


def _literally(text: str) -> str:
    """A glob that matches `text` and nothing else."""
    from glob import escape

    return escape(text)


def _model_of(gateway: Gateway, item: Item) -> str | None:
    listed = [*item.provider.models, *gateway.discovery.models().get(item.provider.id, {})]
    talking = [model for model in listed if not any(word in model.lower() for word in _SILENT)]
    small = [model for model in talking if any(word in model.lower() for word in _SMALL)]
    return next(iter(small or talking), None)
