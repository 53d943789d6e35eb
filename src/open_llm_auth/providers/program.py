"""What kinds that run a program of the user's have in common: who may be passed to it, and what its end means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from ..errors import InternalError, InvalidRequest
from ..values import Fault, Headers, Provider
from ..wire.events import ErrorBody
from .faults import told_in_stream
from .spec import ReadError, Sending

__all__ = ["ending_reader", "read_prompt"]

_Prompt = TypeVar("_Prompt", bound=msgspec.Struct)

_SAYS_NOTHING: Final = ErrorBody("The program ended without an answer and did not say why.")


def read_prompt(provider: Provider, sending: Sending, form: type[_Prompt]) -> _Prompt:
    """The body of a call, which the dialect wrote, as the value it is.

    Raises:
        InvalidRequest: it is not a chat, or the model's name would be read as an option.
    """
    if sending.operation != "chat":
        raise InvalidRequest(f"Provider {provider.id!r} runs a program, which can't be asked for {sending.operation}.")
    if sending.model.startswith("-"):
        raise InvalidRequest(f"{sending.model!r} is no name of a model.", param="model")
    try:
        return msgspec.json.decode(sending.body, type=form)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InternalError("The prompt for a program was not written as it is read.") from error


def ending_reader(read_body: Callable[[bytes], ErrorBody | None]) -> ReadError:
    """A kind's `read_error`: the program's end has no status, so that of the error it names counts, and the one that
    stands for an end is not told."""

    def read(
        provider_id: str,
        status: int,  # noqa: ARG001 - a program has none
        headers: Headers,  # noqa: ARG001 - nor these
        body: bytes,
        hide: Callable[[str], str],
    ) -> Fault:
        return told_in_stream(provider_id, None, read_body(body) or _SAYS_NOTHING, hide)

    return read
