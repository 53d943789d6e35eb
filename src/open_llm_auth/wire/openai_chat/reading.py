"""A chat completion request as a conversation: OpenAI's fields, and those that its imitators made common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..caching import is_automatic
from ..conversation import Conversation, OpaqueTool, OutputFormat, Reasoning, Tool, ToolChoice
from ..envelope import Envelope, is_null
from . import fields
from .messages import read_cache, read_messages
from .reasoning import NAME

__all__ = ["read_conversation"]

Item = dict[str, Any]
Values = dict[str, Any]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: field of the request: what it is called in a conversation, and how it is read
_SETTINGS: Final[Mapping[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "max_tokens": ("max_tokens", fields.whole),
    "max_completion_tokens": ("max_tokens", fields.whole),
    "temperature": ("temperature", fields.number),
    "top_p": ("top_p", fields.number),
    "top_k": ("top_k", fields.whole),
    "frequency_penalty": ("frequency_penalty", fields.number),
    "presence_penalty": ("presence_penalty", fields.number),
    "seed": ("seed", fields.whole),
    "parallel_tool_calls": ("parallel_tool_calls", fields.flag),
    "verbosity": ("verbosity", fields.text),
    "service_tier": ("service_tier", fields.text),
    "safety_identifier": ("user", fields.text),
    "user": ("user", fields.text),
    "metadata": ("metadata", fields.object_),
    "prompt_cache_key": ("prompt_cache_key", fields.text),
    "store": ("store", fields.flag),
    "stream": ("stream", fields.flag),
}
#: fields that are read by functions of their own
_READ: Final = frozenset(
    {"messages", "tools", "functions", "tool_choice", "function_call", "stop", "n", "logprobs", "top_logprobs",
     "reasoning_effort", "reasoning", "thinking"}
)  # fmt: skip
#: fields that mean nothing to a model
_TRANSPORT: Final = frozenset({"model", "stream_options"})
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
#: as the model likes
_NO_EFFORT: Final = ("auto", "default")
#: what an unknown field holds where it says nothing
_NOTHING: Final = (b"null", b"{}", b"[]", b'""')


def read_conversation(envelope: Envelope) -> Conversation:
    """The call without its dialect.

    Raises:
        InvalidRequest: a field is not what it must be; `param` is its path.
    """
    known = {name: raw for name, raw in envelope.items() if name in _SETTINGS or name in _READ}
    values = {name: _decode(raw, name) for name, raw in known.items() if not is_null(raw)}
    system, turns = read_messages(fields.items(fields.found(values, "messages", "", "send a list"), "messages"))
    settings = {
        name: read(values[field], field) for field, (name, read) in _SETTINGS.items() if field in values
    }  # fmt: skip
    output, told = _output(envelope.get("response_format"))
    extras = tuple(name for name, raw in envelope.items() if name not in known and _says_something(name, raw))
    return Conversation(
        turns=turns,
        system=system,
        tools=_tools(values),
        tool_choice=_choice(values),
        stop=_stop(values.get("stop")),
        logprobs=_logprobs(values),
        output=output,
        reasoning=_reasoning(values),
        choices=_choices(values.get("n")),
        caches=is_automatic(envelope),
        extras=tuple(name for name in extras if name != "response_format" or not told),
        **settings,
    )


def _decode(raw: msgspec.Raw, name: str) -> Any:
    try:
        return _ANY.decode(raw)
    except _NOT_JSON as error:
        raise InvalidRequest(f"{name!r} is not valid JSON.", param=name) from error


def _says_something(name: str, raw: msgspec.Raw) -> bool:
    if name in _TRANSPORT or bytes(memoryview(raw)[:4]) in _NOTHING:
        return False
    return name != "modalities" or bytes(raw).translate(None, b" \t\r\n") != b'["text"]'


# ---------------------------------------------------------------------------------------------- settings


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(fields.text(stop, f"stop.{number}") for number, stop in enumerate(fields.items(value, "stop")))


def _choices(value: Any) -> int:
    choices = 1 if value is None else fields.whole(value, "n")
    if choices < 1:
        raise InvalidRequest("'n' must be 1 or more.", param="n")
    return choices


def _logprobs(values: Values) -> int | None:
    wanted = fields.flag(values.get("logprobs", False), "logprobs")
    rivals = fields.whole(values.get("top_logprobs", 0), "top_logprobs")
    return max(0, rivals) if wanted else None


def _output(raw: msgspec.Raw | None) -> tuple[OutputFormat | None, bool]:
    """What form the answer must have, and whether that was understood."""
    if raw is None or is_null(raw):
        return None, True
    given = fields.object_(_decode(raw, "response_format"), "response_format")
    kind = fields.text_of(given, "type", "response_format")
    if kind == "json_object":
        return OutputFormat(), True
    if kind != "json_schema":
        return None, kind == "text"
    path = "response_format.json_schema"
    schema = fields.object_(fields.found(given, "json_schema", "response_format", "send the schema"), path)
    strict = schema.get("strict")
    return OutputFormat(
        schema=None if schema.get("schema") is None else fields.object_(schema["schema"], f"{path}.schema"),
        name=fields.text_of(schema, "name", path) or "answer",
        description=fields.text_of(schema, "description", path),
        strict=None if strict is None else fields.flag(strict, f"{path}.strict"),
    ), True


def _reasoning(values: Values) -> Reasoning | None:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, and `thinking` as Anthropic and others have it."""
    router = fields.object_(values.get("reasoning", {}), "reasoning")
    thinking = fields.object_(values.get("thinking", {}), "thinking")
    effort = _effort(values.get("reasoning_effort"), "reasoning_effort")
    effort = effort or _effort(router.get("effort"), "reasoning.effort")
    kind = fields.text_of(thinking, "type", "thinking")
    wanted = Reasoning(
        enabled=_enabled(router, kind, effort),
        effort=effort,
        budget=_budget(router, "max_tokens", "reasoning") or _budget(thinking, "budget_tokens", "thinking"),
        adaptive=kind == "adaptive",
        summary=fields.text_of(router, "summary", "reasoning") or None,
        shown=False if fields.flag(router.get("exclude") or False, "reasoning.exclude") else None,
    )
    return None if wanted == Reasoning() else wanted


def _effort(value: Any, path: str) -> str | None:
    if value is None or value in _NO_EFFORT:
        return None
    if fields.text(value, path) not in _EFFORTS:
        raise InvalidRequest(f"{path!r} must be one of {', '.join(_EFFORTS)}.", param=path)
    return str(value)


def _enabled(router: Item, kind: str, effort: str | None) -> bool | None:
    if effort == "none" or kind == "disabled":
        return False
    if router.get("enabled") is not None:
        return fields.flag(router["enabled"], "reasoning.enabled")
    return True if kind == "enabled" else None


def _budget(given: Item, name: str, path: str) -> int | None:
    return None if given.get(name) is None else fields.whole(given[name], f"{path}.{name}")


# ---------------------------------------------------------------------------------------------- tools


def _tools(values: Values) -> tuple[Tool | OpaqueTool, ...]:
    tools = [
        _tool(fields.object_(tool, f"tools.{number}"), f"tools.{number}")
        for number, tool in enumerate(fields.items(values.get("tools", []), "tools"))
    ]
    functions = fields.items(values.get("functions", []), "functions")
    tools += [_function(function, f"functions.{number}", {}) for number, function in enumerate(functions)]
    return tuple(tools)


def _tool(tool: Item, path: str) -> Tool | OpaqueTool:
    kind = fields.text(fields.found(tool, "type", path, "send 'function'"), f"{path}.type")
    if kind == "function":
        given = fields.found(tool, "function", path, "put name and parameters into an object of that name")
        return _function(given, f"{path}.function", tool)
    if kind == "custom":
        return _custom(tool, path)
    return OpaqueTool(NAME, kind, tool)


def _function(given: Any, path: str, tool: Item) -> Tool:
    function = fields.object_(given, path)
    strict, parameters = function.get("strict"), function.get("parameters")
    return Tool(
        name=fields.text(fields.found(function, "name", path, "name the function"), f"{path}.name"),
        description=fields.text_of(function, "description", path),
        parameters=None if parameters is None else fields.object_(parameters, f"{path}.parameters"),
        strict=None if strict is None else fields.flag(strict, f"{path}.strict"),
        cache=read_cache(tool, path) or read_cache(function, path),
    )


def _custom(tool: Item, path: str) -> Tool:
    custom = fields.object_(fields.found(tool, "custom", path, "describe the tool"), f"{path}.custom")
    path = f"{path}.custom"
    return Tool(
        name=fields.text(fields.found(custom, "name", path, "name the tool"), f"{path}.name"),
        description=fields.text_of(custom, "description", path),
        custom=True,
        grammar=_grammar(fields.object_(custom.get("format") or {}, f"{path}.format"), f"{path}.format"),
    )


def _grammar(form: Item, path: str) -> Item | None:
    """The form of a custom tool's text, flat as the Responses API has it."""
    if form.get("type") != "grammar":
        return None
    grammar = fields.object_(form.get("grammar") or {}, f"{path}.grammar")
    return {"type": "grammar", "syntax": grammar.get("syntax"), "definition": grammar.get("definition")}


_MODES: Final[Mapping[str, ToolChoice]] = {
    "none": ToolChoice("none"),
    "auto": ToolChoice("auto"),
    "required": ToolChoice("required"),
    #: Mistral
    "any": ToolChoice("required"),
}


def _choice(values: Values) -> ToolChoice | None:
    given, path = values.get("tool_choice"), "tool_choice"
    if given is None:
        given, path = values.get("function_call"), "function_call"
        if isinstance(given, dict):
            return ToolChoice("tool", _named(given, path))
    if given is None:
        return None
    if isinstance(given, str):
        if given not in _MODES:
            raise InvalidRequest(f"{path!r} must be one of {', '.join(_MODES)}, or an object.", param=path)
        return _MODES[given]
    choice = fields.object_(given, path)
    kind = fields.text_of(choice, "type", path) or "function"
    if kind == "allowed_tools":
        return _allowed(choice)
    if kind not in ("function", "custom"):
        raise InvalidRequest(f"'{path}.type' must be function, custom or allowed_tools.", param=f"{path}.type")
    return ToolChoice("tool", _named(fields.found(choice, kind, path, "name the tool"), f"{path}.{kind}"))


def _allowed(choice: Item) -> ToolChoice:
    path = "tool_choice.allowed_tools"
    # Also seen flat, as the Responses API has it.
    allowed = fields.object_(choice.get("allowed_tools") or choice, path)
    tools = fields.items(fields.found(allowed, "tools", path, "list the tools"), f"{path}.tools")
    names = []
    for number, tool in enumerate(tools):
        tool = fields.object_(tool, f"{path}.tools.{number}")
        inner = tool.get("function") or tool.get("custom") or tool
        names.append(_named(inner, f"{path}.tools.{number}"))
    return ToolChoice("allowed", names=tuple(names), must_call=allowed.get("mode") == "required")


def _named(given: Any, path: str) -> str:
    return fields.text(
        fields.found(fields.object_(given, path), "name", path, "name the tool"), f"{path}.name"
    )  # fmt: skip
