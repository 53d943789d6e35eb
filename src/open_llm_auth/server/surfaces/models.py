"""`GET /v1/models` and `GET /v1/models/{model}` (SPEC §1): what this caller may use now."""

from __future__ import annotations

from ...auth.manager import ProviderManager
from ...errors import ModelNotFound
from ...values import Model, Provider
from ..asgi import Exchange, Handler
from ..discovery import Discovery

__all__ = ["model_handler", "models_handler"]


def models_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """The list, as OpenAI's clients expect it."""

    async def models(exchange: Exchange) -> None:
        found = await _listing(exchange, manager, discovery)
        await exchange.respond_json(200, {"object": "list", "data": [_entry(*row) for row in found]})

    return models


def model_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """One model, by `provider/model` or by a bare id that one provider has."""

    async def model(exchange: Exchange) -> None:
        wanted = exchange.tail.lower()
        found = await _listing(exchange, manager, discovery)
        rows = [row for row in found if wanted in (_reference(*row).lower(), row[1].id.lower())]
        if not rows:
            raise ModelNotFound(
                f"No usable provider has the model {exchange.tail[:200]!r}. GET /v1/models lists those that do.",
                param="model",
            )
        await exchange.respond_json(200, _entry(*rows[0]))

    return model


async def _listing(
    exchange: Exchange, manager: ProviderManager, discovery: Discovery
) -> tuple[tuple[Provider, Model], ...]:
    await discovery.settled()
    return manager.models(exchange.snapshot, exchange.authenticated, discovery.models())


def _reference(provider: Provider, model: Model) -> str:
    return f"{provider.id}/{model.id}"


def _entry(provider: Provider, model: Model) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": _reference(provider, model),
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
