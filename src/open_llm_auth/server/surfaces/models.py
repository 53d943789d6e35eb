"""`GET /v1/models` and `GET /v1/models/{model}` (SPEC §1): what this caller may use now."""

from __future__ import annotations

from ...auth.manager import ProviderManager
from ...values import Model, Provider
from ..asgi import Exchange, Handler
from ..discovery import Discovery

__all__ = ["model_handler", "models_handler"]


def models_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """The list, as OpenAI's clients expect it."""

    async def models(exchange: Exchange) -> None:
        await discovery.settled()
        found = manager.models(exchange.snapshot, exchange.authenticated, discovery.models())
        await exchange.respond_json(200, {"object": "list", "data": [_entry(*row) for row in found]})

    return models


def model_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """One model, by any name that a call may give it."""

    async def model(exchange: Exchange) -> None:
        await discovery.settled()
        found = manager.resolve(
            exchange.snapshot, model=exchange.tail, caller=exchange.authenticated, discovered=discovery.models()
        )
        await exchange.respond_json(200, _entry(*found))

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
