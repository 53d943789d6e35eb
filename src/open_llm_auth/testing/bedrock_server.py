"""A fake Amazon Bedrock: Converse and ConverseStream over real HTTP, as documented until a test says otherwise.

Source: the API reference of the Bedrock runtime, and botocore's model of it, which judges what it is sent.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from .answers import JSON, Asked, Call, Choice, Finish, Refused, Said, Seal, decide, pieces_of
from .bedrock_rules import check_call
from .behaviours import Behaviour
from .event_stream import event_message, exception_message
from .fake_server import KEY, Answered, FakeServer, Headers, Streamed
from .http_server import SeenRequest
from .sigv4 import Signature, read_signature

__all__ = ["ACCESS_KEY", "SECRET_KEY", "FakeBedrock"]

#: The AWS credential that the fake knows beside its bearer key.
ACCESS_KEY: Final = "AKIAFAKEPROVIDER0001"
SECRET_KEY: Final = "fake/secret+access+key/of/the/provider00"
MODELS: Final = ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0")

_EVENT_STREAM: Final[Headers] = (("content-type", "application/vnd.amazon.eventstream"),)
_TYPES: Final[Mapping[int, str]] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
_STOPS: Final[Mapping[Finish, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "refusal": "content_filtered",
}
_CHOICES: Final[Mapping[str, Choice]] = {"any": "required", "none": "none"}
#: Every event is padded, so that its length does not tell what is said.
_PADDING: Final = "abcdefghijklm"
_BROKEN: Final = b"\x00\x00\x00\x20\x00\x00\x00\x04\xde\xad\xbe\xef" + bytes(20)


class FakeBedrock(FakeServer):
    """`with FakeBedrock() as provider:` serves `provider.base_url` until the block ends (see `FakeServer`).

    It answers `POST /model/{id}/converse` and `/converse-stream`. `keys` are bearer keys; `access_keys` are secrets by
    access key, `tokens` session tokens by access key: requests are signed with one of them for `region`.
    """

    def __init__(
        self,
        *,
        keys: Collection[str] | None = (KEY,),
        models: tuple[str, ...] = MODELS,
        behaviour: Behaviour | str = "documented",
        access_keys: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        region: str = "us-east-1",
        issuer: str = "bedrock",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.access_keys = {ACCESS_KEY: SECRET_KEY} if access_keys is None else dict(access_keys)
        self.tokens = dict(tokens or {})
        self.region = region
        self._seal = Seal(issuer)
        all_keys = None if keys is None else (*keys, *self.access_keys)
        super().__init__(keys=all_keys, models=models, behaviour=behaviour, host=host, tls=tls)

    def key_of(self, request: SeenRequest) -> str | None:
        signature = read_signature(request)
        if signature is None:
            return request.key
        sound = (signature.service, signature.region) == ("bedrock", self.region)
        if not sound or not signature.matches(request, self.access_keys, self.tokens):
            return ""
        return signature.access_key

    @property
    def signatures(self) -> list[Signature]:
        """What the requests so far were signed with, good or not."""
        return [signature for request in self.requests if (signature := read_signature(request)) is not None]

    def refuse_key(self, key: str | None) -> Refused:
        if key is None:
            return Refused(403, "Missing Authentication Token", kind="MissingAuthenticationTokenException")
        if not key:
            message = "The request signature we calculated does not match the signature you provided."
            return Refused(403, message, kind="InvalidSignatureException")
        return Refused(
            403, "The security token included in the request is invalid.", kind="UnrecognizedClientException"
        )

    def said_to(self, document: Mapping[str, Any]) -> str:
        return _last_words(document.get("messages"))

    def error(self, refused: Refused) -> JSON:
        return {"message": refused.message, "__type": _type(refused)}

    def headers(self, number: str) -> Headers:
        return (("x-amzn-requestid", f"00000000-0000-4000-8000-{number}"),)

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        prefix, _, operation = request.path.rpartition("/")
        model = unquote(prefix.removeprefix("/model/"))
        known = prefix.startswith("/model/") and "/" not in prefix.removeprefix("/model/")
        if request.method != "POST" or not known or operation not in ("converse", "converse-stream"):
            raise Refused(
                404, "The requested operation is not recognized by the service.", kind="UnknownOperationException"
            )
        check_call(document, model, self._seal)
        said = decide(_asked(document, model), number, behaviour.script)
        if operation == "converse" or behaviour.plain_for_stream:
            return Answered(_document(said, self._seal))
        return Streamed(_events(said, self._seal), headers=_EVENT_STREAM, failure=_failure, garbage=_BROKEN)


# ---------------------------------------------------------------------------------------------- what is asked


def _asked(document: Mapping[str, Any], model: str) -> Asked:
    config = document.get("toolConfig") or {}
    own = document.get("additionalModelRequestFields") or {}
    own_choice = own.get("tool_choice") or {}
    choice = config.get("toolChoice") or {str(own_choice.get("type", "auto")): own_choice}
    inference = document.get("inferenceConfig") or {}
    last = document["messages"][-1]["content"]
    return Asked(
        model=model,
        text=_last_words(document["messages"]),
        answered=any("toolResult" in block for block in last),
        tools={
            tool["toolSpec"]["name"]: tool["toolSpec"]["inputSchema"]["json"]
            for tool in config.get("tools", ())
            if "toolSpec" in tool
        },
        choice=_CHOICES.get(next(iter(choice)), "auto"),
        forced=choice.get("tool", {}).get("name", ""),
        parallel=not own_choice.get("disable_parallel_tool_use"),
        limit=inference.get("maxTokens"),
        stop=tuple(inference.get("stopSequences", ())),
        schema=_schema(document.get("outputConfig") or {}),
        thinks=(own.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        words=_words(document),
    )


def _schema(output: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = output.get("textFormat")
    return None if form is None else json.loads(form["structure"]["jsonSchema"]["schema"])


def _last_words(messages: object) -> str:
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            found = " ".join(_texts(message.get("content")))
            if found:
                return found
    return ""


def _texts(content: object) -> Iterator[str]:
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            yield block["text"]


def _words(document: Mapping[str, Any]) -> int:
    said = [message["content"] for message in document["messages"]]
    said += [document["system"]] if "system" in document else []
    return sum(3 + len(" ".join(_texts(blocks)).split()) for blocks in said)


# ---------------------------------------------------------------------------------------------- what is answered


def _document(said: Said, seal: Seal) -> JSON:
    return {
        "output": {"message": {"role": "assistant", "content": list(_content(said, seal))}},
        "stopReason": _STOPS[said.finish],
        "usage": _usage(said),
        "metrics": {"latencyMs": 42},
        **_own_fields(said),
    }


def _content(said: Said, seal: Seal) -> Iterator[JSON]:
    if said.thinking:
        words = "".join(said.thinking)
        yield {"reasoningContent": {"reasoningText": {"text": words, "signature": seal.sign(words)}}}
    text = said.refusal if said.refusal is not None else "".join(said.text)
    if text:
        yield {"text": text}
    for call in said.calls:
        yield {"toolUse": _use(said, call) | {"input": json.loads(call.arguments)}}


def _use(said: Said, call: Call) -> JSON:
    return {"toolUseId": f"tooluse_{said.number}_{call.place}", "name": call.name}


def _usage(said: Said) -> JSON:
    cached = {"cacheReadInputTokens": said.cache_read, "cacheWriteInputTokens": said.cache_write}
    return {"inputTokens": said.prompt, "outputTokens": said.output, "totalTokens": said.input + said.output} | cached


def _own_fields(said: Said) -> JSON:
    if said.stop_sequence is None:
        return {}
    return {"additionalModelResponseFields": {"stop_sequence": said.stop_sequence}}


def _events(said: Said, seal: Seal) -> Iterator[bytes]:
    for kind, fields in _frames(said, seal):
        yield event_message(kind, fields | {"p": _PADDING[: 4 + len(kind) % 8]})


def _frames(said: Said, seal: Seal) -> Iterator[tuple[str, JSON]]:
    yield "messageStart", {"role": "assistant"}
    for index, (start, deltas) in enumerate(_streamed(said, seal)):
        if start:
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for delta in deltas:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": _STOPS[said.finish], **_own_fields(said)}
    yield "metadata", {"usage": _usage(said), "metrics": {"latencyMs": 42}}


def _streamed(said: Said, seal: Seal) -> Iterator[tuple[JSON, list[JSON]]]:
    """Each block as its start says it, if it has one, and its deltas."""
    if said.thinking:
        words = [{"reasoningContent": {"text": piece}} for piece in said.thinking]
        yield {}, [*words, {"reasoningContent": {"signature": seal.sign("".join(said.thinking))}}]
    text = (said.refusal,) if said.refusal is not None else said.text
    if text:
        yield {}, [{"text": piece} for piece in text]
    for call in said.calls:
        pieces = [{"toolUse": {"input": piece}} for piece in pieces_of(call.arguments)]
        yield {"toolUse": _use(said, call)}, [{"toolUse": {"input": ""}}, *pieces]


def _type(refused: Refused) -> str:
    if refused.kind is not None and refused.kind.endswith("Exception"):
        return refused.kind
    return _TYPES.get(refused.status) or ("InternalServerException" if refused.status >= 500 else "ValidationException")


def _failure(refused: Refused) -> bytes:
    kind = _type(refused)
    return exception_message(kind[:1].lower() + kind[1:], {"message": refused.message})
