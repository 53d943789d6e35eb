"""`GET /v1/models` and `GET /v1/models/{model}` (SPEC §1): what this caller may use now."""

from __future__ import annotations

from typing import Final

from ...auth.manager import ProviderManager
from ...values import Model, Provider
from ...wire import google_genai
from ..asgi import Exchange, Handler
from ..discovery import Discovery

__all__ = ["google_entry", "model_handler", "models_handler"]

#: Anthropic's clients always send the one, Google's the other, and nobody else does.
_ANTHROPIC: Final = b"anthropic-version"
_GOOGLE: Final = b"x-goog-api-client"


def models_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """The list, as OpenAI's clients expect it, or Anthropic's or Google's, who ask at the same address."""

    async def models(exchange: Exchange) -> None:
        await discovery.settled()
        found = manager.models(exchange.snapshot, exchange.authenticated, discovery.models())
        if _ANTHROPIC in exchange.headers:
            entries = [_anthropic_entry(*row) for row in found]
            ends = {"first_id": entries[0]["id"], "last_id": entries[-1]["id"]} if entries else {}
            await exchange.respond_json(200, {"data": entries, "has_more": False, **ends})
        elif _GOOGLE in exchange.headers:
            await exchange.respond_json(200, {"models": [google_entry(*row) for row in found]})
        else:
            await exchange.respond_json(200, {"object": "list", "data": [_entry(*row) for row in found]})

    return models


def model_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """One model, by any name that a call may give it."""

    async def model(exchange: Exchange) -> None:
        await discovery.settled()
        found = manager.resolve(
            exchange.snapshot, model=exchange.tail, caller=exchange.authenticated, discovered=discovery.models()
        )
        write = _anthropic_entry if _ANTHROPIC in exchange.headers else _entry
        await exchange.respond_json(200, write(*found))

    return model


def _entry(provider: Provider, model: Model) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": f"{provider.id}/{model.id}",
        "object": "model",
        # The field is required by clients' types and nobody here knows the date.
        "created": 0,
        "owned_by": provider.id,
    }
    if model.name and model.name != model.id:
        entry["name"] = model.name
    if model.context_window:
        entry["context_length"] = model.context_window
    return entry


def _anthropic_entry(provider: Provider, model: Model) -> dict[str, object]:
    return {
        "type": "model",
        "id": f"{provider.id}/{model.id}",
        "display_name": model.name or model.id,
        # As in `_entry`: required, and not known.
        "created_at": "1970-01-01T00:00:00Z",
    }


def google_entry(provider: Provider, model: Model) -> dict[str, object]:
    """A row of the list that Google's clients expect."""
    return google_genai.model_entry(f"{provider.id}/{model.id}", name=model.name, context_window=model.context_window)
