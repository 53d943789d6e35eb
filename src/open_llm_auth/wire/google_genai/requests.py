"""GenerateContent requests (https://ai.google.dev/api/generate-content): taken apart at the top, or read to the end.

The model and whether to stream stand in the address, so that a request read from a body knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import Conversation, OpaqueTool, OutputFormat, Text, Tool, ToolChoice
from ..dialect import Fields, Request
from ..envelope import Envelope, first_byte, read_envelope, type_of
from .fields import NO_FIELDS, Node
from .foreign import without_foreign
from .history import read_turns
from .names import NAME
from .schema import read_schema
from .thinking import read_thinking

__all__ = ["check_contents", "read_conversation", "read_request", "rewrite", "shows_thoughts"]

_ANY: Final = msgspec.json.Decoder()
_CONFIGS: Final = ("generationConfig", "generation_config")
#: Fields that have a place in a conversation, or are the address's business.
_TOP: Final = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model", "stream", "serviceTier"}
)
_CONFIG: Final = frozenset(
    {
        "candidateCount",
        "frequencyPenalty",
        "logprobs",
        "maxOutputTokens",
        "presencePenalty",
        "responseFormat",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseSchema",
        "seed",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
    }
)
_JSON: Final = "application/json"


def read_request(body: bytes) -> Request:
    """A request taken apart at its top level; `model` and `stream` are for whoever knows the address.

    Raises:
        InvalidRequest: it is not a JSON object, `contents` is missing, empty or no list, or `generationConfig` is not
            an object.
    """
    envelope = read_envelope(body)
    check_contents(envelope)
    return Request(envelope, None, False, choices=_config_of(envelope).integer("candidateCount") or 1)


def check_contents(envelope: Mapping[str, msgspec.Raw], path: str = "contents") -> None:
    """Refuses a request without anything to answer; `path` is where its `contents` stand."""
    raw = envelope.get("contents")
    if raw is None:
        raise InvalidRequest(f"{path!r} is missing; send a list of contents.", param=path)
    if first_byte(raw) not in b"[{":
        raise InvalidRequest(f"{path!r} must be a list, not {type_of(raw)}.", param=path)
    head = bytes(memoryview(raw)[1:64]).lstrip()
    if (head or bytes(raw)[1:].lstrip()).startswith((b"]", b"}")):
        raise InvalidRequest(f"{path!r} is empty; send at least one content.", param=path)


def rewrite(envelope: Envelope, model: str, stream: bool) -> Fields:  # noqa: ARG001 - it stands in the address
    """The request for a provider of the same dialect: the same fields in the same order, without others' reasoning."""
    return without_foreign({name: value for name, value in envelope.items() if name != "model"}, model)


def shows_thoughts(envelope: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the caller wants thoughts in the answer."""
    thinking = _config_of(envelope).node("thinkingConfig")
    return thinking is not None and bool(thinking.flag("includeThoughts"))


def read_conversation(envelope: Mapping[str, msgspec.Raw]) -> Conversation:
    """The request without its dialect. `stream` is the address's to tell.

    Raises:
        InvalidRequest: something of it is not what the dialect says; `param` is its path.
    """
    call = Node({name: _decode(name, raw) for name, raw in envelope.items()}, "")
    if call.get("cachedContent") is not None:
        raise InvalidRequest(
            "'cachedContent' stands for a part of the conversation that Google keeps, and this model's provider can't "
            "read it. Send all of the conversation in 'contents'.",
            param="cachedContent",
        )
    config = call.node("generationConfig") or NO_FIELDS
    tool_config = call.node("toolConfig") or NO_FIELDS
    return Conversation(
        turns=read_turns(call.nodes("contents")),
        system=_read_system(call.node("systemInstruction")),
        tools=tuple(tool for node in call.nodes("tools") for tool in _read_tools(node)),
        tool_choice=_read_choice(tool_config.node("functionCallingConfig")),
        max_tokens=config.integer("maxOutputTokens"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        frequency_penalty=config.number("frequencyPenalty"),
        presence_penalty=config.number("presencePenalty"),
        seed=config.integer("seed"),
        stop=config.texts("stopSequences"),
        logprobs=(config.integer("logprobs") or 0) if config.flag("responseLogprobs") else None,
        output=_read_output(config),
        reasoning=read_thinking(config.node("thinkingConfig")),
        service_tier=_read_tier(call),
        choices=config.integer("candidateCount") or 1,
        caches=True,
        extras=_extras(call, config, tool_config),
    )


def _config_of(envelope: Mapping[str, msgspec.Raw]) -> Node:
    name = next((name for name in _CONFIGS if name in envelope), "")
    if not name:
        return NO_FIELDS
    return Node({name: _decode(name, envelope[name])}, "").node(_CONFIGS[0]) or NO_FIELDS


def _decode(name: str, raw: msgspec.Raw) -> Any:
    try:
        return _ANY.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{name!r} is not valid JSON: {error}.", param=name) from error
    except RecursionError as error:
        raise InvalidRequest(f"{name!r} is nested too deeply.", param=name) from error


def _read_system(content: Node | None) -> tuple[Text, ...]:
    if content is None:
        return ()
    found = []
    for part in content.nodes("parts"):
        text = part.text("text")
        if text is None:
            raise part.fault("text", "is missing; a system instruction is text alone")
        if text:
            found.append(Text(text))
    return tuple(found)


def _read_tools(node: Node) -> list[Tool | OpaqueTool]:
    """One entry of `tools` may hold functions and several tools that Google runs."""
    tools: list[Tool | OpaqueTool] = [_read_function(function) for function in node.nodes("functionDeclarations")]
    own = (name for name in node.names() if name != "functionDeclarations")
    return [*tools, *(OpaqueTool(NAME, name, {name: node.get(name)}) for name in own)]


def _read_function(function: Node) -> Tool:
    name = function.text("name")
    if not name:
        raise function.fault("name", "is missing; every function has a name")
    schema = function.get("parametersJsonSchema")
    if schema is None:
        schema = read_schema(function.get("parameters"))
    if schema is not None and not isinstance(schema, dict):
        raise function.fault("parameters", "must be a schema, which is an object")
    return Tool(name, function.text("description") or "", schema)


def _read_choice(config: Node | None) -> ToolChoice | None:
    if config is None:
        return None
    mode = config.word("mode") or "AUTO"
    names = config.texts("allowedFunctionNames")
    match mode:
        case "AUTO" | "MODE_UNSPECIFIED":
            return ToolChoice("auto")
        case "NONE":
            return ToolChoice("none")
        case "VALIDATED":
            return ToolChoice("allowed", names=names) if names else ToolChoice("auto")
        case "ANY" if len(names) == 1:
            return ToolChoice("tool", names[0])
        case "ANY":
            return ToolChoice("allowed", names=names, must_call=True) if names else ToolChoice("required")
    raise config.fault("mode", f"must be AUTO, ANY, NONE or VALIDATED, not {mode!r}")


def _read_output(config: Node) -> OutputFormat | None:
    schema = config.get("responseJsonSchema")
    if schema is None:
        schema = read_schema(config.get("responseSchema"))
    wanted = config.text("responseMimeType")
    for format_ in config.nodes("responseFormat"):
        text = format_.node("text")
        if text is not None:
            schema = text.get("schema") if schema is None else schema
            wanted = wanted or _JSON
    if wanted == _JSON:
        return OutputFormat(schema)
    return OutputFormat(schema) if wanted is None and schema is not None else None


def _read_tier(call: Node) -> str | None:
    tier = call.text("serviceTier")
    if tier is None or tier.lower() == "unspecified":
        return None
    return "default" if tier.lower() == "standard" else tier.lower()


def _extras(call: Node, config: Node, tool_config: Node) -> tuple[str, ...]:
    found = [name for name in call.names() if name not in _TOP]
    found += [f"generationConfig.{name}" for name in config.names() if name not in _CONFIG]
    found += [f"toolConfig.{name}" for name in tool_config.names() if name != "functionCallingConfig"]
    if config.get("responseMimeType") not in (None, "text/plain", _JSON):
        found.append("generationConfig.responseMimeType")
    return tuple(found)
