"""The five ways into a gateway, as their clients use them: how each asks, and how it knows an answer from a failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from open_llm_auth.testing import GatewayAnswer, GatewayProcess
from open_llm_auth.wire import sse
from open_llm_auth.wire.dialect import DialectName
from open_llm_auth.wire.dialects import provider_side
from open_llm_auth.wire.events import Event, Failed, TextDelta

__all__ = ["PIXEL", "WAYS", "WayIn", "data_in", "text_in"]

#: a PNG of one dot
PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True, slots=True)
class WayIn:
    """One surface. `dialect` is what its answers are told in, `text_at` where a body has its one message.

    `failure` stands in a stream that failed, and `good_end` in one that is whole (None where the last chunk alone says
    so). `silence` is what may be sent in a silence; None where nothing may.
    """

    name: str
    dialect: DialectName
    path: str
    stream_path: str
    failure: bytes
    good_end: bytes | None
    silence: bytes | None

    def body(self, model: str, text: str = "hi", /, *, stream: bool = False, **more: Any) -> dict[str, Any]:
        """A user says `text`. `more` is added as it is; for the universal way it stands in the options."""
        said = [{"role": "user", "content": text}]
        if self.name == "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}
        if self.name == "universal":
            return {"model": model, "input": said, "stream": stream, **({"options": more} if more else {})}
        place = "input" if self.name == "responses" else "messages"
        fields = {"model": model, place: said, "stream": stream}
        return fields | ({"max_tokens": 4000} if self.name == "messages" else {}) | more

    def target(self, model: str, *, stream: bool = False) -> str:
        """The address of such a call."""
        return (self.stream_path if stream else self.path).format(model=model)

    def ask(
        self,
        gateway: GatewayProcess,
        model: str,
        text: str = "hi",
        /,
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> GatewayAnswer:
        """The call made, and what it came to."""
        target = self.target(model, stream=stream)
        return gateway.request("POST", target, body=self.body(model, text, stream=stream, **more), headers=headers)

    def read(self, body: bytes, *, stream: bool = False) -> list[Event]:
        """What a client of the dialect makes of an answer.

        Raises:
            UpstreamInvalidResponse: it is none, or not whole.
        """
        side = provider_side(self.dialect)
        if not stream:
            return side.read_reply(self._unwrapped(body))
        decoder = side.decoder()
        return decoder.feed(self._unwrapped_stream(body)) + decoder.end()

    def code(self, answer: GatewayAnswer) -> str:
        """The word that tells errors apart here."""
        error = answer.json()["error"]
        return str(error[{"messages": "type", "gemini": "status"}.get(self.name, "code")])

    def _unwrapped(self, body: bytes) -> bytes:
        return json.dumps(json.loads(body)["response"]).encode() if self.name == "universal" else body

    def _unwrapped_stream(self, body: bytes) -> bytes:
        if self.name != "universal":
            return body
        pieces = []
        for data in data_in(body):
            document = json.loads(data) if data.startswith(b"{") else {}
            is_chunk = document.get("object") == "universal.chunk"
            pieces.append(sse.event(json.dumps(document["raw"]).encode() if is_chunk else data))
        return b"".join(pieces)


#: By name.
WAYS: Final[Mapping[str, WayIn]] = MappingProxyType(
    {
        way.name: way
        for way in (
            WayIn(
                "chat",
                "openai-chat",
                "/v1/chat/completions",
                "/v1/chat/completions",
                failure=b'data: {"error":{',
                good_end=b"data: [DONE]",
                silence=b": keep-alive\n\n",
            ),
            WayIn(
                "responses",
                "openai-responses",
                "/v1/responses",
                "/v1/responses",
                failure=b"event: response.failed\n",
                good_end=b"event: response.completed\n",
                silence=b": keep-alive\n\n",
            ),
            WayIn(
                "messages",
                "anthropic-messages",
                "/v1/messages",
                "/v1/messages",
                failure=b"event: error\n",
                good_end=b"event: message_stop\n",
                silence=b": keep-alive\n\n",
            ),
            WayIn(
                "gemini",
                "google-genai",
                "/v1beta/models/{model}:generateContent",
                "/v1beta/models/{model}:streamGenerateContent?alt=sse",
                failure=b'data: {"error":{',
                good_end=None,
                silence=None,
            ),
            WayIn(
                "universal",
                "openai-chat",
                "/v1/universal",
                "/v1/universal",
                failure=b'data: {"error":{',
                good_end=b"data: [DONE]",
                silence=b": keep-alive\n\n",
            ),
        )
    }
)


def data_in(stream: bytes) -> list[bytes]:
    """The data of each server-sent event."""
    found = (sse.data_of(event) for event in sse.split_events(stream))
    return [data.strip() for data in found if data is not None]


def text_in(events: list[Event]) -> str:
    """All the text that was said."""
    assert not any(isinstance(event, Failed) for event in events), events
    return "".join(event.text for event in events if isinstance(event, TextDelta))
