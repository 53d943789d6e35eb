"""`open-llm-auth models`: what can be called, and what a request without a model gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import edits
from .output import JsonOption, note, say, say_json, say_table
from .workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..values import ConfigFault, Model, Snapshot

__all__ = ["app", "discover"]

app = typer.Typer(help="Models that can be called.", no_args_is_help=True, rich_markup_mode=None)


class _Still:
    """A config that does not change while a command runs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def current(self) -> Snapshot:
        return self._snapshot

    def fault(self) -> ConfigFault | None:
        return None


def discover(bench: Workbench) -> Mapping[str, Mapping[str, Model]]:
    """Ask the usable providers which models they have; one that does not answer is left out."""
    import asyncio

    from ..providers import KINDS
    from ..server.discovery import Discovery
    from ..transport import HttpTransport

    async def ask() -> Mapping[str, Mapping[str, Model]]:
        transport = HttpTransport(lambda: bench.snapshot.egress, bench.secrets, bench.clock)
        discovery = Discovery(
            config=_Still(bench.snapshot),
            manager=bench.manager,
            transport=transport,
            kinds=KINDS,
            secrets=bench.secrets,
            clock=bench.clock,
        )
        try:
            await discovery.refresh()
            return discovery.models()
        finally:
            await transport.aclose()

    return asyncio.run(ask())


@app.command("list")
def list_models(
    json: JsonOption = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: only what catalog and config list.")] = False,
) -> None:
    """Show the models of the providers that can be called now."""
    bench = Workbench.here()
    found = bench.manager.models(bench.snapshot, bench.caller, {} if offline else discover(bench))
    default = bench.snapshot.default_model
    if json:
        rows = [
            {
                "id": f"{provider.id}/{model.id}",
                "name": model.name or model.id,
                "provider": provider.id,
                "reasoning": model.reasoning,
                "input": list(model.input),
                "contextWindow": model.context_window,
                "maxTokens": model.max_tokens,
            }
            for provider, model in found
        ]
        say_json({"models": rows, "defaultModel": default})
        return
    if found:
        say_table(
            ("MODEL", "CONTEXT", "NAME"),
            [(f"{p.id}/{m.id}", str(m.context_window or "-"), m.name or m.id) for p, m in found],
        )
    if default:
        say(f"A request without a model gets {default}.")
    if all(provider.id == "demo" for provider, _ in found):
        note("No real provider can be called yet. Add one with: open-llm-auth auth add-api-key PROVIDER")


@app.command("set-default")
def set_default(ref: Annotated[str, typer.Argument(metavar="REF", help="Such as openai/gpt-5.5.")]) -> None:
    """Choose the model of requests that name none."""
    bench = Workbench.here()
    ref = ref.strip()
    if not ref:
        raise typer.BadParameter("name a model, such as demo/echo")
    plan = bench.manager.plan(bench.snapshot, model=ref, caller=bench.caller)
    bench.file.update(edits.set_default_model(ref))
    first = plan.attempts[0]
    say(f"A request without a model gets {ref} now, which is {first.model!r} at {first.provider.id}.")
