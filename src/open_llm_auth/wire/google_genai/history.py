"""Contents of a request as turns: what was said, called and answered so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from ..conversation import Audio, Document, Image, OpaquePart, Part, Role, Text, Thinking, ToolCall, ToolResult, Turn
from ..signatures import Recalled, open_call_id, unseal, unseal_thinking
from .fields import Node
from .media import audio_format, is_google_file, type_of_url
from .names import NAME

__all__ = ["read_turns"]

#: `function` is what the role of results was called once.
_ROLES: Final[Mapping[str, Role]] = {"user": "user", "model": "assistant", "function": "user"}
#: What may stand in a part beside its content.
_ABOUT: Final = frozenset(
    {"thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution", "mediaProcessing"}
)
#: The keys that clients put a plain result under.
_PLAIN_RESULTS: Final = ("output", "result")


def read_turns(contents: Iterable[Node]) -> tuple[Turn, ...]:
    """The turns. What a model said in several contents, as clients keep a stream, is one turn.

    Raises:
        InvalidRequest: a content or a part is not what the dialect says.
    """
    history = _History()
    for number, content in enumerate(contents):
        history.add(content, number)
    return history.turns()


class _History:
    """Contents on their way to turns. It knows the calls without an answer, because ids are optional here."""

    def __init__(self) -> None:
        self._turns: list[tuple[Role, list[Part | Recalled]]] = []
        #: name by id of the calls that wait for a result, oldest first, and of all calls
        self._waiting: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._place = ""

    def add(self, content: Node, number: int) -> None:
        role = _ROLES.get(content.text("role") or "user")
        if role is None:
            raise content.fault("role", "must be 'user' or 'model'")
        parts: list[Part | Recalled] = []
        for position, part in enumerate(content.nodes("parts")):
            self._place = f"call_{number}_{position}"
            parts += self._read(part, role)
        if role == "assistant" and self._turns and self._turns[-1][0] == "assistant":
            self._turns[-1][1].extend(parts)
        elif parts:
            self._turns.append((role, parts))

    def turns(self) -> tuple[Turn, ...]:
        return tuple(
            Turn(role, tuple(_with_thoughts(_joined(parts) if role == "assistant" else parts)))
            for role, parts in self._turns
        )

    def _read(self, part: Node, role: Role) -> Sequence[Part | Recalled]:
        what = next((name for name in part.names() if name not in _ABOUT), None)
        if what is None:
            if "thoughtSignature" not in part:
                raise part.fault("text", "is missing; a part holds text, data, a call or a result")
            return self._text(part)
        if role == "assistant" and what in ("inlineData", "fileData"):
            # What a model drew or spoke itself; no other dialect takes that back.
            return [OpaquePart(NAME, what, part.plain())]
        match what:
            case "text":
                return self._text(part)
            case "inlineData" | "fileData":
                return [_read_data(part) if what == "inlineData" else _read_file(part)]
            case "functionCall":
                return self._call(part)
            case "functionResponse":
                return self._result(part)
        return [OpaquePart(NAME, what, part.plain())]

    def _text(self, part: Node) -> Sequence[Part]:
        text = part.text("text") or ""
        sealed = part.text("thoughtSignature")
        signature = unseal(sealed, NAME) if sealed else None
        if part.flag("thought"):
            return [Thinking(text, signature, summary=True)] if text or signature else []
        found: list[Part] = [Text(text)] if text else []
        # A signature that came with words of the answer stands for thoughts that were not shown.
        return [*found, Thinking(signature=signature)] if signature else found

    def _call(self, part: Node) -> Sequence[Part | Recalled]:
        call = part.node("functionCall")
        name = call.text("name") if call is not None else None
        if call is None or not name:
            raise part.fault("functionCall.name", "is missing")
        arguments = call.get("args")
        if arguments is not None and not isinstance(arguments, dict):
            raise call.fault("args", "must be an object")
        call_id, signature = open_call_id(call.text("id") or self._place)
        sealed = part.text("thoughtSignature") or ""
        self._waiting[call_id] = self._names[call_id] = name
        recalled = unseal_thinking(sealed)
        if sealed and recalled is None:
            signature = unseal(sealed, NAME)
        made = ToolCall(call_id, name, _to_json(arguments or {}), signature=signature)
        return [made] if recalled is None else [recalled, made]

    def _result(self, part: Node) -> Sequence[Part]:
        result = part.node("functionResponse")
        if result is None:
            raise part.fault("functionResponse", "must be an object")
        name = result.text("name") or ""
        call_id = self._answered(open_call_id(result.text("id") or "")[0], name)
        response = result.get("response")
        if response is not None and not isinstance(response, dict):
            raise result.fault("response", "must be an object")
        text, is_error = _read_response(response or {})
        said: list[Text | Image | Document] = [Text(text)] if text else []
        said += [_read_media(item) for item in result.nodes("parts")]
        return [ToolResult(call_id, self._names.get(call_id) or name, tuple(said), is_error)]

    def _answered(self, call_id: str, name: str) -> str:
        """The call that a result answers: the one it names, else the oldest of its function that waits."""
        if call_id not in self._names:
            same = (waiting for waiting, called in self._waiting.items() if called == name or not name)
            call_id = next(same, "") or call_id or self._place
        self._waiting.pop(call_id, None)
        return call_id


def _read_data(part: Node) -> Image | Audio | Document:
    blob = part.node("inlineData")
    if blob is None:
        raise part.fault("inlineData", "is missing; this part holds data")
    return _read_blob(blob)


def _read_file(part: Node) -> Image | Document:
    file = part.node("fileData")
    uri = file.text("fileUri") if file is not None else None
    if file is None or not uri:
        raise part.fault("fileData.fileUri", "is missing")
    media_type = file.text("mimeType") or type_of_url(uri)
    url, file_id = ("", uri) if is_google_file(uri) else (uri, "")
    if media_type.startswith("image/"):
        return Image(media_type=media_type, url=url, file_id=file_id)
    return Document(media_type=media_type, url=url, file_id=file_id, name=file.text("displayName") or "")


def _read_blob(blob: Node) -> Image | Audio | Document:
    data, media_type = blob.text("data"), blob.text("mimeType")
    if not data:
        raise blob.fault("data", "is missing")
    if not media_type:
        raise blob.fault("mimeType", "is missing")
    # Proto JSON takes both alphabets of base64, the rest of the world one.
    data = data.translate(_FROM_URL)
    data += "=" * (-len(data) % 4)
    kind = media_type.partition("/")[0].lower()
    if kind == "image":
        return Image(media_type=media_type, data=data)
    if kind == "audio":
        return Audio(data, audio_format(media_type))
    return Document(media_type=media_type, data=data, name=blob.text("displayName") or "")


_FROM_URL: Final = str.maketrans("-_", "+/")


def _read_media(part: Node) -> Image | Document:
    """A part of a result: media alone."""
    if "fileData" in part:
        return _read_file(part)
    read = _read_data(part)
    return Document(media_type=f"audio/{read.format}", data=read.data) if isinstance(read, Audio) else read


def _read_response(response: dict[str, Any]) -> tuple[str, bool]:
    """What a function answered as text, and whether it is an error: `output` holds an answer, `error` a failure, and
    anything else is the answer itself."""
    is_error = response.get("error") is not None
    if len(response) != 1:
        return (_to_json(response) if response else ""), is_error
    (name, value), *_ = response.items()
    if name not in _PLAIN_RESULTS and not is_error:
        return _to_json(response), False
    return value if isinstance(value, str) else _to_json(value), is_error


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _with_thoughts(parts: Iterable[Part | Recalled]) -> list[Part]:
    """The parts with the thinking that travelled in their calls, in the place of thoughts that came back beside it."""
    out: list[Part] = []
    #: where what was said for the next call begins
    step = 0
    for part in parts:
        if isinstance(part, Recalled):
            said = [before for before in out[step:] if not isinstance(before, Thinking)]
            out[step:] = [*part.first, *said, *part.later]
            continue
        out.append(part)
        if isinstance(part, ToolCall):
            step = len(out)
    return out


def _joined(parts: Iterable[Part | Recalled]) -> list[Part | Recalled]:
    """Words that a stream parted put together again."""
    joined: list[Part | Recalled] = []
    for part in parts:
        before = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(before, Text):
            joined[-1] = Text(before.text + part.text)
        elif isinstance(part, Thinking) and isinstance(before, Thinking) and before.signature is None:
            joined[-1] = replace(part, text=before.text + part.text, summary=before.summary or part.summary)
        else:
            joined.append(part)
    return joined
