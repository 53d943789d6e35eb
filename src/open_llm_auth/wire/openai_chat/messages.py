"""The messages of a chat completion request as turns: what a client sent, read in full."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from ...errors import InvalidRequest
from ..conversation import (
    CUSTOM_INPUT,
    Audio,
    CacheControl,
    Document,
    Image,
    OpaquePart,
    Part,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from ..events import Signature
from ..signatures import open_call_id, unseal
from . import fields
from .reasoning import NAME, read_thinking

__all__ = ["GOOGLE", "read_cache", "read_messages"]

Item = dict[str, Any]

#: Whose thought signatures travel in the `extra_content` of a call: Google's own dialect has the same ones.
GOOGLE: Final = "google-genai"
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: What a file is where nothing but its name tells.
_MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "json": "application/json",
    "md": "text/markdown",
    "txt": "text/plain",
}
_PDF: Final = "application/pdf"


def read_messages(messages: list[Any]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """The system text before the conversation, and the conversation.

    Raises:
        InvalidRequest: a message is not one; `param` is its path, such as ``messages.2.content``.
    """
    history = _History()
    for index, message in enumerate(messages):
        history.add(fields.object_(message, f"messages.{index}"), f"messages.{index}")
    return tuple(history.system), tuple(history.turns)


class _History:
    """The turns so far, and the tools by the ids of their calls."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self._tools: dict[str, str] = {}
        #: ids made for calls of the old form, which has none, by the function's name
        self._functions: dict[str, str] = {}

    def add(self, message: Item, path: str) -> None:
        role = fields.text(fields.found(message, "role", path, "say who speaks"), f"{path}.role")
        add = _ROLES.get(role)
        if add is None:
            known = ", ".join(sorted(_ROLES))
            raise InvalidRequest(f"'{path}.role' is {role[:40]!r}; it must be one of {known}.", param=f"{path}.role")
        add(self, message, path)

    def add_system(self, message: Item, path: str) -> None:
        parts = _content(message, path)
        if self.turns:
            self._say("system", parts, message, path)
        else:
            self.system += [part for part in _cached(parts, message, path) if isinstance(part, Text)]

    def add_user(self, message: Item, path: str) -> None:
        fields.found(message, "content", path, "send a text or a list of parts")
        self._say("user", _content(message, path), message, path)

    def add_assistant(self, message: Item, path: str) -> None:
        said = [part for part in _content(message, path) if part != Text("")]
        parts: list[Part] = [*read_thinking(message, path), *said]
        refusal = fields.text_of(message, "refusal", path)
        if refusal:
            parts.append(Refusal(refusal))
        if message.get("audio") is not None:
            parts.append(OpaquePart(NAME, "audio", {"audio": message["audio"]}))
        parts += self._calls(message, path)
        if parts:
            self._say("assistant", parts, message, path)

    def add_tool(self, message: Item, path: str) -> None:
        given = fields.found(message, "tool_call_id", path, "name the call that this is the result of")
        call_id, _ = open_call_id(fields.text(given, f"{path}.tool_call_id"))
        self._answer(call_id, self._tools.get(call_id) or fields.text_of(message, "name", path), message, path)

    def add_function(self, message: Item, path: str) -> None:
        name = fields.text(fields.found(message, "name", path, "name the function"), f"{path}.name")
        self._answer(self._functions.get(name, f"call_{name}"), name, message, path)

    def _say(self, role: Role, parts: list[Part], message: Item, path: str) -> None:
        self.turns.append(Turn(role, tuple(_cached(parts, message, path)), fields.text_of(message, "name", path)))

    def _answer(self, call_id: str, name: str, message: Item, path: str) -> None:
        parts = tuple(part for part in _content(message, path) if isinstance(part, Text | Image | Document))
        result = ToolResult(call_id, name, parts, cache=read_cache(message, path))
        self.turns.append(Turn("user", (result,)))

    def _calls(self, message: Item, path: str) -> list[ToolCall]:
        given = message.get("tool_calls")
        place = f"{path}.tool_calls"
        calls = [] if given is None else [
            _call(fields.object_(call, f"{place}.{number}"), f"{place}.{number}")
            for number, call in enumerate(fields.items(given, place))
        ]  # fmt: skip
        if message.get("function_call") is not None and not calls:
            calls.append(self._old_call(message, f"{path}.function_call", len(self.turns)))
        self._tools.update((call.id, call.name) for call in calls)
        return calls

    def _old_call(self, message: Item, path: str, number: int) -> ToolCall:
        function = fields.object_(message["function_call"], path)
        name = fields.text(fields.found(function, "name", path, "name the function"), f"{path}.name")
        self._functions[name] = f"call_{name}_{number}"
        return ToolCall(self._functions[name], name, _arguments(function.get("arguments"), f"{path}.arguments"))


_ROLES: Final[Mapping[str, Callable[[_History, Item, str], None]]] = {
    "system": _History.add_system,
    "developer": _History.add_system,
    "user": _History.add_user,
    "assistant": _History.add_assistant,
    "tool": _History.add_tool,
    "function": _History.add_function,
}


# ---------------------------------------------------------------------------------------------- calls


def _call(call: Item, path: str) -> ToolCall:
    given = fields.text(fields.found(call, "id", path, "give the call the id it had"), f"{path}.id")
    call_id, signature = open_call_id(given)
    cache = read_cache(call, path)
    if call.get("type") == "custom":
        custom = fields.object_(fields.found(call, "custom", path, "say which tool is called"), f"{path}.custom")
        name = fields.text(fields.found(custom, "name", f"{path}.custom", "name the tool"), f"{path}.custom.name")
        words = fields.text_of(custom, "input", f"{path}.custom")
        return ToolCall(call_id, name, words, custom=True, signature=signature, cache=cache)
    function = fields.object_(fields.found(call, "function", path, "say which tool is called"), f"{path}.function")
    name = fields.text(fields.found(function, "name", f"{path}.function", "name the tool"), f"{path}.function.name")
    arguments = _arguments(function.get("arguments"), f"{path}.function.arguments")
    return ToolCall(call_id, name, arguments, signature=signature or _thought_signature(call), cache=cache)


def _thought_signature(call: Item) -> Signature | None:
    """Gemini's, where its OpenAI-compatible endpoint puts it."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    value = google.get("thought_signature") if isinstance(google, dict) else None
    return unseal(value, GOOGLE) if isinstance(value, str) and value else None


def _arguments(value: Any, path: str) -> str:
    """The JSON text of an object, whatever a model made of it: what is none is handed on as a text within one."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if value is None or not (text := fields.text(value, path)).strip():
        return "{}"
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return msgspec.json.encode({CUSTOM_INPUT: text}).decode()
    return text


# ---------------------------------------------------------------------------------------------- content


def _content(message: Item, path: str) -> list[Part]:
    content = message.get("content")
    path = f"{path}.content"
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        raise fields.wrong(path, "a string or a list of parts", content)
    return [_part(part, f"{path}.{number}") for number, part in enumerate(content)]


def _part(part: Any, path: str) -> Part:
    if isinstance(part, str):
        return Text(part)
    part = fields.object_(part, path)
    kind = fields.text(fields.found(part, "type", path, "say what the part is"), f"{path}.type")
    read = _PARTS.get(kind)
    return OpaquePart(NAME, kind, part) if read is None else read(part, path)


def _text(part: Item, path: str) -> Text:
    given = fields.found(part, "text", path, "send the text")
    return Text(fields.text(given, f"{path}.text"), cache=read_cache(part, path))


def _refusal(part: Item, path: str) -> Refusal:
    return Refusal(fields.text(fields.found(part, "refusal", path, "send the text"), f"{path}.refusal"))


def _image(part: Item, path: str) -> Image:
    given = fields.found(part, "image_url", path, "send the image's address or a data: URL")
    path = f"{path}.image_url"
    image = {"url": given} if isinstance(given, str) else fields.object_(given, path)
    url = fields.text(fields.found(image, "url", path, "send an address or a data: URL"), f"{path}.url")
    detail = fields.text_of(image, "detail", path) or None
    cache = read_cache(part, path)
    if url.startswith("data:"):
        media_type, data = _data_in(url, f"{path}.url")
        return Image(media_type or "image/png", data, detail=detail, cache=cache)
    if "://" not in url:
        raise InvalidRequest(f"'{path}.url' is neither an address nor a data: URL.", param=f"{path}.url")
    return Image(url=url, detail=detail, cache=cache)


def _audio(part: Item, path: str) -> Audio:
    audio = fields.object_(fields.found(part, "input_audio", path, "send the audio"), f"{path}.input_audio")
    path = f"{path}.input_audio"
    data = fields.text(fields.found(audio, "data", path, "send it as base64"), f"{path}.data")
    return Audio(data, fields.text_of(audio, "format", path) or "wav")


def _file(part: Item, path: str) -> Document:
    given = fields.object_(fields.found(part, "file", path, "send the file"), f"{path}.file")
    place = f"{path}.file"
    name = fields.text_of(given, "filename", place)
    data = fields.text_of(given, "file_data", place)
    # LiteLLM's clients put an address, and the type beside it, where OpenAI's put an id.
    stated = fields.text_of(given, "format", place)
    file_id = fields.text_of(given, "file_id", place)
    document = Document(name=name, cache=read_cache(part, path))
    if not data and not file_id:
        raise fields.missing(f"{place}.file_data", "send a data: URL, or a 'file_id'")
    source = data or file_id
    if source.startswith("data:"):
        media_type, data = _data_in(source, f"{place}.file_data")
        return replace(document, media_type=stated or media_type or _type_by(name), data=data)
    if source.startswith(("http://", "https://")):
        return replace(document, media_type=stated, url=source)
    if not data:
        return replace(document, media_type=stated, file_id=file_id)
    return replace(document, media_type=stated or _type_by(name), data=data)


_PARTS: Final[Mapping[str, Callable[[Item, str], Part]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def _data_in(url: str, path: str) -> tuple[str, str]:
    """The media type of a data: URL (RFC 2397) and what it holds, as base64."""
    head, comma, data = url[len("data:") :].partition(",")
    if not comma:
        raise InvalidRequest(f"{path!r} is a data: URL without a comma; send data:<type>;base64,<data>.", param=path)
    media_type, *parameters = head.split(";")
    if "base64" not in [parameter.strip().lower() for parameter in parameters]:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return media_type.strip().lower(), data


def _type_by(name: str) -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), _PDF)


# ---------------------------------------------------------------------------------------------- caching


def read_cache(value: Item, path: str) -> CacheControl | None:
    """Anthropic's `cache_control`, as clients of OpenRouter and LiteLLM send it.

    Raises:
        InvalidRequest: it is not an object.
    """
    given = value.get("cache_control")
    if given is None:
        return None
    control = fields.object_(given, f"{path}.cache_control")
    return CacheControl(fields.text_of(control, "ttl", f"{path}.cache_control") or None)


def _cached(parts: list[Part], message: Item, path: str) -> list[Part]:
    """A breakpoint at a message is one at its last part."""
    cache = read_cache(message, path)
    if cache is not None and parts and isinstance(last := parts[-1], Text | Image | Document | ToolCall):
        parts[-1] = replace(last, cache=cache)
    return parts
