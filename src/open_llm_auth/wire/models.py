"""Lists of models as servers that speak an OpenAI dialect give them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ..errors import UpstreamInvalidResponse

__all__ = ["ListedModel", "read_models"]

_ANY: Final = msgspec.json.Decoder()
_LIMIT: Final = 10_000
_ID_LIMIT: Final = 512
_WINDOWS: Final = (
    "context_window",
    "context_length",
    #: vLLM
    "max_model_len",
    #: LM Studio
    "loaded_context_length",
    "max_context_length",
    #: Google
    "inputTokenLimit",
)
#: how Google names a model, in its own list and in the one it has for OpenAI's clients
_GOOGLE_PREFIX: Final = "models/"
#: what a model of Google's must be able to do to be of use here
_GOOGLE_METHODS: Final = frozenset({"generateContent", "embedContent"})


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One row of a list. `context_window` is in tokens."""

    id: str
    context_window: int | None = None


def read_models(body: bytes) -> tuple[ListedModel, ...]:
    """The models of a list, each id once, at most 10,000; rows that make no sense are left out.

    Takes ``{"data": [{"id"}]}``, ``{"models": [{"id" or "name"}]}`` and bare lists of rows or ids. Of Google's models
    those that answer or embed, without the ``models/`` before their names.

    Raises:
        UpstreamInvalidResponse: the body is not a list of models.
    """
    found: dict[str, ListedModel] = {}
    for row in _rows(_decode(body)):
        model = _read_row(row)
        if model is not None and len(found) < _LIMIT:
            found.setdefault(model.id, model)
    return tuple(found.values())


def _decode(body: bytes) -> object:
    try:
        return _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # Half of a surrogate pair or a stray byte spoils the row it is in, and not the others: this reader lets both
    # through, as characters that do not print.
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise UpstreamInvalidResponse("The provider's list of models is not JSON.") from error


def _rows(value: object) -> list[Any]:
    if isinstance(value, dict):
        # llama-server gives both; `data` is the richer one.
        value = next((value[key] for key in ("data", "models") if isinstance(value.get(key), list)), None)
    if not isinstance(value, list):
        raise UpstreamInvalidResponse("The provider's answer is not a list of models.")
    return value


def _read_row(row: object) -> ListedModel | None:
    if isinstance(row, str):
        row = {"id": row}
    if not isinstance(row, dict):
        return None
    name = next((row[key] for key in ("id", "name", "model") if isinstance(row.get(key), str) and row[key]), None)
    if name is None or len(name) > _ID_LIMIT or not name.isprintable():
        return None
    methods = row.get("supportedGenerationMethods")
    if isinstance(methods, list):
        if not any(method in _GOOGLE_METHODS for method in methods if isinstance(method, str)):
            return None
        name = name.removeprefix(_GOOGLE_PREFIX)
    elif row.get("owned_by") == "google":
        name = name.removeprefix(_GOOGLE_PREFIX)
    return ListedModel(name, _read_window(row)) if name else None


def _read_window(row: dict[str, Any]) -> int | None:
    meta = row.get("meta")
    # llama-server: what the model was trained for
    stated = [row.get(key) for key in _WINDOWS] + ([meta.get("n_ctx_train")] if isinstance(meta, dict) else [])
    return next((size for size in stated if type(size) is int and 0 < size < 10**9), None)
