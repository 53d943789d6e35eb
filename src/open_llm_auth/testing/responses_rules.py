"""What OpenAI's Responses API refuses, and with which words.

Source: the Responses API reference, the guides on reasoning, function calling and structured outputs, and the types of
OpenAI's SDK. The sentences are what callers of the API report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from .answers import Refused, Seal

__all__ = ["check_call", "declared"]

Object = Mapping[str, Any]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: `client_metadata` stands in no reference; Codex sends it, and it is taken.
_FIELDS: Final = _names(
    "access_programs background background_options client_metadata context_management conversation image include "
    "input instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls "
    "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning "
    "safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p "
    "truncation user"
)
_ITEMS: Final[Mapping[str, frozenset[str]]] = {
    "message": _names("type id role content status phase"),
    "function_call": _names("type id call_id name arguments status namespace caller async"),
    "function_call_output": _names("type id call_id output status caller name namespace"),
    "custom_tool_call": _names("type id call_id name input status namespace caller"),
    "custom_tool_call_output": _names("type id call_id output status caller name namespace"),
    "reasoning": _names("type id summary content encrypted_content status"),
    "item_reference": _names("type id"),
}
#: Items of tools that the API runs; what they hold is not looked at.
_HOSTED: Final = _names(
    "additional_tools apply_patch_call apply_patch_call_output code_interpreter_call compaction computer_call "
    "computer_call_output file_search_call image_generation_call local_shell_call local_shell_call_output "
    "mcp_approval_request mcp_approval_response mcp_call mcp_list_tools shell_call shell_call_output tool_search_call "
    "tool_search_output web_search_call"
)
_PREFIXES: Final = {"message": "msg", "function_call": "fc", "reasoning": "rs", "custom_tool_call": "ctc"}
_CALLS: Final = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
_ROLES: Final = ("assistant", "system", "developer", "user")
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "input_text": _names("type text prompt_cache_breakpoint"),
    "input_image": _names("type image_url file_id detail prompt_cache_breakpoint"),
    "input_file": _names("type file_data file_id file_url filename detail prompt_cache_breakpoint"),
    "output_text": _names("type text annotations logprobs"),
    "refusal": _names("type refusal"),
}
_SAID: Final = ("output_text", "refusal")
_FUNCTION: Final = _names("type name description parameters strict defer_loading allowed_callers output_schema")
_CUSTOM: Final = _names("type name description format defer_loading allowed_callers")
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_FORMATS: Final[Mapping[str, frozenset[str]]] = {
    "text": _names("type"),
    "json_object": _names("type"),
    "json_schema": _names("type name description schema strict"),
}
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
_LENGTH: Final = 64
_LEAST_TOKENS: Final = 16
_URL: Final = re.compile(r"https?://|data:[\w.+-]+/[\w.+-]+;base64,")
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_logprobs": (0, 20),
    "max_output_tokens": (_LEAST_TOKENS, 1 << 30),
}


def check_call(document: Object, seal: Seal, stored: Mapping[str, Sequence[str]]) -> None:
    """A call that the API would answer. `stored` are the responses it keeps, with the ids of the calls in them.

    Raises:
        Refused: it would not.
    """
    _only(document, _FIELDS, "")
    if not isinstance(document.get("model"), str):
        raise _missing("model")
    _check_numbers(document)
    _check_reasoning(document.get("reasoning"))
    _check_text(document.get("text"))
    _check_tools(document)
    previous = document.get("previous_response_id")
    if previous is not None and previous not in stored:
        raise Refused(
            400,
            f"Previous response with id {previous!r} not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    _check_input(document, seal, stored.get(previous or "", ()))


def declared(document: Object) -> dict[str, Object]:
    """The tools that a caller answers itself, by name; those in a namespace carry its name as `namespace`."""
    found: dict[str, Object] = {}
    for tool in document.get("tools") or ():
        if tool.get("type") == "namespace":
            for inner in tool.get("tools") or ():
                found[str(inner.get("name"))] = {**inner, "namespace": tool.get("name")}
        elif tool.get("type") in ("function", "custom"):
            found[str(tool.get("name"))] = tool
    return found


def _only(found: Object, fields: Collection[str], place: str) -> None:
    for name in found:
        if name not in fields:
            param = f"{place}.{name}".lstrip(".")
            raise Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def _missing(place: str) -> Refused:
    return Refused(400, f"Missing required parameter: '{place}'.", param=place, code="missing_required_parameter")


def _invalid(place: str, value: object, supported: Sequence[str] = ()) -> Refused:
    said = f"Invalid value: {value!r}."
    if supported:
        said += f" Supported values are: {', '.join(map(repr, supported[:-1]))}, and {supported[-1]!r}."
    return Refused(400, said, param=place, code="invalid_value")


def _wrong_type(place: str, wanted: str) -> Refused:
    return Refused(400, f"Invalid type for '{place}': expected {wanted}.", param=place, code="invalid_type")


# ---------------------------------------------------------------------------------------------- input


def _check_input(document: Object, seal: Seal, kept: Sequence[str]) -> None:
    given = document.get("input")
    if given is None:
        if document.get("prompt") is None and document.get("previous_response_id") is None:
            raise _missing("input")
        return
    if isinstance(given, str):
        return
    if not isinstance(given, list):
        raise _wrong_type("input", "one of a list of input items or string")
    if not given:
        raise Refused(400, "Invalid 'input': empty array.", param="input", code="empty_array")
    items = [_check_item(item, f"input[{place}]", seal) for place, item in enumerate(given)]
    _check_order(items)
    _check_answers(items, kept)


def _check_item(item: object, place: str, seal: Seal) -> Object:
    if not isinstance(item, dict):
        raise _wrong_type(place, "an input item")
    kind = item.get("type", "message")
    if kind in _HOSTED:
        return item
    if kind not in _ITEMS:
        raise _invalid(place, kind, sorted(_ITEMS))
    _only(item, _ITEMS[kind], place)
    _check_id(item.get("id"), kind, place)
    if kind == "message":
        _check_message(item, place)
    elif kind == "reasoning":
        _check_thought(item, place, seal)
    elif kind != "item_reference":
        _check_called(item, kind, place)
    return item


def _check_id(found: object, kind: str, place: str) -> None:
    if found is None:
        return
    _check_length(found, f"{place}.id")
    prefix = _PREFIXES.get(kind)
    if prefix is not None and not str(found).startswith(prefix):
        raise Refused(
            400,
            f"Invalid '{place}.id': {found!r}. Expected an ID that begins with {prefix!r}.",
            param=f"{place}.id",
            code="invalid_value",
        )
    if not _NAME.fullmatch(str(found)):
        raise Refused(
            400,
            f"Invalid '{place}.id': {found!r}. Expected an ID that contains letters, numbers, underscores, or dashes, "
            "but this value contained additional characters.",
            param=f"{place}.id",
            code="invalid_value",
        )


def _check_length(value: object, place: str, *, name: bool = False) -> None:
    if not isinstance(value, str):
        raise _wrong_type(place, "a string")
    if not value:
        raise Refused(
            400,
            f"Invalid '{place}': empty string. Expected a string with minimum length 1, but got an empty string "
            "instead.",
            param=place,
            code="empty_string",
        )
    if len(value) > _LENGTH:
        raise Refused(
            400,
            f"Invalid '{place}': string too long. Expected a string with maximum length {_LENGTH}, but got a string "
            f"with length {len(value)} instead.",
            param=place,
            code="string_above_max_length",
        )
    if name and not _NAME.fullmatch(value):
        raise Refused(
            400,
            f"Invalid '{place}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            param=place,
            code="invalid_value",
        )


def _check_message(item: Object, place: str) -> None:
    role = item.get("role")
    if role not in _ROLES:
        raise _invalid(f"{place}.role" if "role" in item else place, role, _ROLES)
    if "content" not in item:
        raise _missing(f"{place}.content")
    content = item["content"]
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _wrong_type(f"{place}.content", "one of an array of objects or string")
    allowed = _SAID if role == "assistant" else tuple(kind for kind in _PARTS if kind not in _SAID)
    for number, part in enumerate(content):
        _check_part(part, f"{place}.content[{number}]", allowed)


def _check_part(part: object, place: str, allowed: Sequence[str]) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in allowed:
        raise _invalid(place, kind, allowed)
    _only(part, _PARTS[str(kind)], place)
    if kind in ("input_text", "output_text") and not isinstance(part.get("text"), str):
        raise _missing(f"{place}.text")
    if kind == "input_image":
        if part.get("image_url") is None and part.get("file_id") is None:
            raise _missing(f"{place}.image_url")
        if part.get("image_url") is not None and not _URL.match(str(part["image_url"])):
            raise Refused(
                400,
                f"Invalid '{place}.image_url'. Expected a valid URL, but got a value with an invalid format.",
                param=f"{place}.image_url",
                code="invalid_value",
            )


def _check_thought(item: Object, place: str, seal: Seal) -> None:
    if "summary" not in item:
        raise _missing(f"{place}.summary")
    for number, part in enumerate(item["summary"]):
        if not isinstance(part, dict) or part.get("type") != "summary_text":
            raise _invalid(f"{place}.summary[{number}]", part, ("summary_text", "summary_text"))
        _only(part, ("type", "text"), f"{place}.summary[{number}]")
    sealed = item.get("encrypted_content")
    if sealed is None:
        # The fake keeps no reasoning, as the API with `store` false.
        raise Refused(
            404,
            f"Item with id {item.get('id')!r} not found. Items are not persisted when `store` is set to false. Try "
            "again with `store` set to true, or remove this item from your input.",
            param="input",
        )
    if not isinstance(sealed, str) or not seal.issued(sealed):
        raise Refused(
            400,
            f"The encrypted content {str(sealed)[:8]}... could not be verified. Reason: Encrypted content could not be "
            "decrypted or parsed.",
            code="invalid_encrypted_content",
        )


def _check_called(item: Object, kind: str, place: str) -> None:
    if "call_id" not in item:
        raise _missing(f"{place}.call_id")
    _check_length(item["call_id"], f"{place}.call_id")
    needed = {"function_call": ("name", "arguments"), "custom_tool_call": ("name", "input")}.get(kind, ("output",))
    for name in needed:
        if name not in item:
            raise _missing(f"{place}.{name}")
    if "name" in needed:
        _check_length(item["name"], f"{place}.name", name=True)
    for name in ("arguments", "input"):
        if name in item and not isinstance(item[name], str):
            raise _wrong_type(f"{place}.{name}", "a string")
    output = item.get("output")
    if isinstance(output, list):
        for number, part in enumerate(output):
            _check_part(part, f"{place}.output[{number}]", ("input_text", "input_image", "input_file"))
    elif output is not None and not isinstance(output, str):
        raise _wrong_type(f"{place}.output", "one of an array of objects or string")


def _check_order(items: Sequence[Object]) -> None:
    """Reasoning comes back with what it led to."""
    for place, item in enumerate(items):
        if item.get("type") != "reasoning":
            continue
        after = items[place + 1] if place + 1 < len(items) else {}
        is_followed = after.get("type") not in (None, "message", *_CALLS) or after.get("role") == "assistant"
        if not is_followed:
            raise Refused(
                400,
                f"Item {item.get('id')!r} of type 'reasoning' was provided without its required following item.",
                param="input",
            )


def _check_answers(items: Sequence[Object], kept: Sequence[str]) -> None:
    open_calls = set(kept)
    answered: set[str] = set()
    for item in items:
        kind = item.get("type")
        if kind in _CALLS.values():
            open_calls.add(item["call_id"])
        elif kind in _CALLS:
            if item["call_id"] not in open_calls:
                what = "function call" if kind == "function_call_output" else "custom tool call"
                raise Refused(
                    400, f"No tool call found for {what} output with call_id {item['call_id']}.", param="input"
                )
            answered.add(item["call_id"])
    for call in sorted(open_calls - answered):
        raise Refused(400, f"No tool output found for function call {call}.", param="input")


# ---------------------------------------------------------------------------------------------- settings


def _check_numbers(document: Object) -> None:
    for name, (least, most) in _RANGES.items():
        value = document.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(name, "a number")
        what = "decimal" if name in ("temperature", "top_p") else "integer"
        if value < least:
            raise Refused(
                400,
                f"Invalid '{name}': {what} below minimum value. Expected a value >= {least}, but got {value} instead.",
                param=name,
                code=f"{what}_below_min_value",
            )
        if value > most:
            raise Refused(
                400,
                f"Invalid '{name}': {what} above maximum value. Expected a value <= {most}, but got {value} instead.",
                param=name,
                code=f"{what}_above_max_value",
            )


def _check_reasoning(reasoning: object) -> None:
    if not isinstance(reasoning, dict):
        return
    _only(reasoning, ("effort", "summary", "generate_summary", "context", "mode"), "reasoning")
    if reasoning.get("effort") is not None and reasoning["effort"] not in _EFFORTS:
        raise _invalid("reasoning.effort", reasoning["effort"], _EFFORTS)
    if reasoning.get("summary") not in (None, "auto", "concise", "detailed"):
        raise _invalid("reasoning.summary", reasoning["summary"], ("auto", "concise", "detailed"))


def _check_text(text: object) -> None:
    if not isinstance(text, dict):
        return
    _only(text, ("format", "verbosity"), "text")
    wanted = text.get("format")
    if not isinstance(wanted, dict):
        return
    kind = str(wanted.get("type"))
    if kind not in _FORMATS:
        raise _invalid("text.format.type", kind, tuple(_FORMATS))
    _only(wanted, _FORMATS[kind], "text.format")
    if kind == "json_schema":
        for name in ("name", "schema"):
            if name not in wanted:
                raise _missing(f"text.format.{name}")
        _check_length(wanted["name"], "text.format.name", name=True)
        if wanted.get("strict"):
            _check_strict(wanted["schema"], f"response_format {wanted['name']!r}", "text.format.schema")


def _check_tools(document: Object) -> None:
    for place, tool in enumerate(document.get("tools") or ()):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise _missing(f"tools[{place}].type")
        if tool["type"] in ("function", "custom"):
            _check_tool(tool, f"tools[{place}]")
    choice = document.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        _only(choice, ("type", "name"), "tool_choice")
        if choice.get("name") not in declared(document):
            raise Refused(
                400, f"Tool choice {choice.get('name')!r} not found in 'tools' parameter.", param="tool_choice"
            )
    elif isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise _invalid("tool_choice", choice, ("none", "auto", "required"))


def _check_tool(tool: Object, place: str) -> None:
    if "name" not in tool:
        raise _missing(f"{place}.name")
    _only(tool, _FUNCTION if tool["type"] == "function" else _CUSTOM, place)
    _check_length(tool["name"], f"{place}.name", name=True)
    if tool.get("strict") and tool["type"] == "function":
        _check_strict(tool.get("parameters") or {}, f"function {tool['name']!r}", f"{place}.parameters")


def _check_strict(schema: object, what: str, place: str) -> None:
    """Strict schemas close their objects and require all that they name."""
    for path, part in _objects(schema, ()):
        if part.get("additionalProperties") is not False:
            fault = "'additionalProperties' is required to be supplied and to be false."
        elif set(part.get("required") or ()) != set(part.get("properties") or ()):
            fault = (
                "'required' is required to be supplied and to be an array including every key in properties. Missing "
                f"{min(set(part.get('properties') or ()) - set(part.get('required') or ()))!r}."
            )
        else:
            continue
        message = f"Invalid schema for {what}: In context={path!r}, {fault}"
        raise Refused(400, message, param=place, code="invalid_function_parameters")


def _objects(schema: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Object]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for name, part in schema.items():
            yield from _objects(part, (*path, name))
