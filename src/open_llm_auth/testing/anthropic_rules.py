"""What Anthropic's Messages API refuses, and with which words.

Source: the Messages API reference, the pages on thinking, tool use, prompt caching, structured outputs, system messages
in a conversation and API versions, and the types of Anthropic's SDK. The sentences are what callers of the API report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from .answers import Refused, Seal

__all__ = ["VERSIONS", "check_call", "check_count"]

#: From the last one on, sampling is no longer the caller's to set.
VERSIONS: Final = ("2023-06-01", "2026-10-21")

Object = Mapping[str, Any]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COUNTED: Final = _names(
    "cache_control context_management mcp_servers messages model output_config speed system thinking tool_choice tools"
)
_SAMPLING: Final = _names("temperature top_p top_k")
_FIELDS: Final = (
    _COUNTED
    | _SAMPLING
    | _names("container diagnostics inference_geo max_tokens metadata service_tier stop_sequences stream")
)
_SPOKEN: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "cache_control", "citations", "context", "title"}),
    "search_result": frozenset({"type", "content", "source", "title", "cache_control", "citations"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller", "toolset_name"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_BY_ROLE: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("text", "image", "document", "search_result", "tool_result"),
    "assistant": ("text", "tool_use", "thinking", "redacted_thinking", "search_result", "document"),
    "system": ("text",),
    "tool_result": ("text", "image", "document", "search_result", "tool_reference"),
}
_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "base64": ("type", "media_type", "data"),
    "url": ("type", "url"),
    "file": ("type", "file_id"),
    "text": ("type", "media_type", "data"),
    "content": ("type", "content"),
}
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CUSTOM_TOOL: Final = _names(
    "allowed_callers cache_control defer_loading description eager_input_streaming input_examples input_schema name "
    "strict type"
)
_THINKING: Final[Mapping[str, frozenset[str]]] = {
    "enabled": frozenset({"type", "budget_tokens", "display"}),
    "adaptive": frozenset({"type", "display"}),
    "between_tools": frozenset({"type"}),
    "disabled": frozenset({"type"}),
}
_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "auto": frozenset({"type", "disable_parallel_tool_use"}),
    "any": frozenset({"type", "disable_parallel_tool_use"}),
    "tool": frozenset({"type", "name", "disable_parallel_tool_use"}),
    "none": frozenset({"type"}),
}
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CACHE_LIMIT: Final = 4
_STEP: Final = 1024


def check_call(document: Object, version: str, seal: Seal) -> None:
    """A call that the API would answer.

    Raises:
        Refused: it would not.
    """
    gone = _SAMPLING if version == VERSIONS[-1] else frozenset[str]()
    _check(document, _FIELDS - gone, ("model", "messages", "max_tokens"), seal, version)
    if not _is_count(document["max_tokens"]):
        raise _wrong("max_tokens", "Input should be a valid integer, greater than or equal to 1")
    _check_numbers(document)
    _check_metadata(document.get("metadata"))


def check_count(document: Object, version: str, seal: Seal) -> None:
    """The same for a request that counts tokens.

    Raises:
        Refused: the API would not answer it.
    """
    _check(document, _COUNTED, ("model", "messages"), seal, version)


def _check(document: Object, fields: frozenset[str], needed: Sequence[str], seal: Seal, version: str) -> None:
    for name in needed:
        if name not in document:
            raise _wrong(name, "Field required")
    _only(document, fields, "")
    if not isinstance(document["model"], str) or not document["model"]:
        raise _wrong("model", "Input should be a valid string")
    _check_system(document.get("system"))
    _check_tools(document.get("tools"), document.get("tool_choice"))
    _check_messages(document["messages"], seal, version)
    _check_thinking(document)
    _check_output(document.get("output_config"))
    _check_caching(document)


def _wrong(place: str, what: str) -> Refused:
    return Refused(400, f"{place}: {what}", kind="invalid_request_error")


def _only(found: Object, fields: frozenset[str] | Sequence[str], place: str) -> None:
    for name in found:
        if name not in fields:
            raise _wrong(f"{place}.{name}".lstrip("."), "Extra inputs are not permitted")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


# ---------------------------------------------------------------------------------------------- messages


def _check_system(system: object) -> None:
    for place, block in _blocks(system or "", "system", "system"):
        if not block["text"].strip():
            raise _wrong(place, "text content blocks must be non-empty")


def _check_messages(messages: object, seal: Seal, version: str) -> None:
    if not isinstance(messages, list):
        raise _wrong("messages", "Input should be a valid list")
    if not messages:
        raise _wrong("messages", "at least one message is required")
    roles = [_role(message, place) for place, message in enumerate(messages)]
    for place, role in enumerate(roles):
        _check_place(roles, place)
        last = place == len(messages) - 1
        _check_content(messages[place], place, role, seal, version, may_be_empty=last and role == "assistant")
    if roles[0] == "assistant":
        raise _wrong("messages", 'first message must use the "user" role')
    _check_calls(messages)


def _role(message: object, place: int) -> str:
    if not isinstance(message, dict):
        raise _wrong(f"messages.{place}", "Input should be a valid dictionary or object to extract fields from")
    for name in ("role", "content"):
        if name not in message:
            raise _wrong(f"messages.{place}.{name}", "Field required")
    _only(message, ("role", "content"), f"messages.{place}")
    if message["role"] not in ("user", "assistant", "system"):
        raise _wrong(f"messages.{place}.role", "Input should be 'user', 'assistant' or 'system'")
    return str(message["role"])


def _check_place(roles: Sequence[str], place: int) -> None:
    if roles[place] != "system":
        return
    after = roles[place + 1] if place + 1 < len(roles) else "assistant"
    if place == 0 or roles[place - 1] != "user" or after != "assistant":
        raise _wrong(
            f"messages.{place}.role",
            "a 'system' message must come directly after a 'user' message, and before an 'assistant' one or at the end",
        )


def _check_content(message: Object, place: int, role: str, seal: Seal, version: str, *, may_be_empty: bool) -> None:
    content = message["content"]
    if not content and not may_be_empty:
        raise _wrong(
            f"messages.{place}",
            "all messages must have non-empty content except for the optional final assistant message",
        )
    for where, block in _blocks(content, f"messages.{place}.content", role):
        kind = block["type"]
        if kind == "text" and not block["text"]:
            raise _wrong("messages", "text content blocks must be non-empty")
        if kind == "text" and not block["text"].strip():
            raise _wrong("messages", "text content blocks must contain non-whitespace text")
        if version == VERSIONS[-1] and role == "user" and kind == "text" and block.get("citations"):
            raise _wrong(f"{where}.text.citations", "Extra inputs are not permitted")
        if version == VERSIONS[-1] and role == "assistant" and kind == "document":
            raise _wrong(where, "`document` blocks are not permitted in 'assistant' messages")
        if kind in _CHECKS:
            _CHECKS[kind](block, f"{where}.{kind}")
        if kind in _SEALED:
            _SEALED[kind](block, f"{where}.{kind}", seal)
    if may_be_empty and isinstance(content, str) and content != content.rstrip():
        raise _wrong("messages", "final assistant content cannot end with trailing whitespace")


def _blocks(content: object, place: str, role: str) -> Iterator[tuple[str, Object]]:
    """The blocks of a content with their places, each of a type that may stand there and with its own fields only."""
    if isinstance(content, str):
        if content:
            yield place, {"type": "text", "text": content}
        return
    if not isinstance(content, list):
        raise _wrong(place, "Input should be a valid string or list")
    for number, block in enumerate(content):
        where = f"{place}.{number}"
        if not isinstance(block, dict):
            raise _wrong(where, "Input should be a valid dictionary or object to extract fields from")
        kind = block.get("type")
        if kind not in _BY_ROLE[role]:
            tags = ", ".join(f"'{tag}'" for tag in _BY_ROLE[role])
            raise _wrong(
                where, f"Input tag {kind!r} found using 'type' does not match any of the expected tags: {tags}"
            )
        if kind in _SPOKEN:
            _only(block, _SPOKEN[kind], f"{where}.{kind}")
        if kind == "text" and not isinstance(block.get("text"), str):
            raise _wrong(
                f"{where}.text.text", "Input should be a valid string" if "text" in block else "Field required"
            )
        yield where, block


def _check_source(block: Object, place: str) -> None:
    source = block.get("source")
    if not isinstance(source, dict):
        raise _wrong(f"{place}.source", "Field required")
    kind = str(source.get("type"))
    if kind not in _SOURCES:
        raise _wrong(
            f"{place}.source", f"Input tag {kind!r} found using 'type' does not match any of the expected tags"
        )
    _only(source, _SOURCES[kind], f"{place}.source.{kind}")
    for name in _SOURCES[kind]:
        if not source.get(name):
            raise _wrong(f"{place}.source.{kind}.{name}", "Field required")
    if block["type"] == "image" and kind == "base64" and source["media_type"] not in _IMAGES:
        raise _wrong(f"{place}.source.base64.media_type", f"Input should be {', '.join(map(repr, _IMAGES))}")


def _check_use(block: Object, place: str) -> None:
    for name in ("id", "name", "input"):
        if name not in block:
            raise _wrong(f"{place}.{name}", "Field required")
    if not isinstance(block["input"], dict):
        raise _wrong(f"{place}.input", "Input should be a valid dictionary")
    if not _CALL_ID.fullmatch(str(block["id"])):
        raise _wrong(f"{place}.id", "String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not _TOOL_NAME.fullmatch(str(block["name"])):
        raise _wrong(f"{place}.name", "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")


def _check_result(block: Object, place: str) -> None:
    if not _CALL_ID.fullmatch(str(block.get("tool_use_id"))):
        raise _wrong(f"{place}.tool_use_id", "String should match pattern '^[a-zA-Z0-9_-]+$'")
    for where, part in _blocks(block.get("content") or "", f"{place}.content", "tool_result"):
        if part["type"] == "text" and not part["text"]:
            raise _wrong(where, "text content blocks must be non-empty")
        if part["type"] in ("image", "document"):
            _check_source(part, f"{where}.{part['type']}")


def _check_thought(block: Object, place: str, seal: Seal) -> None:
    for name in ("thinking", "signature"):
        if not isinstance(block.get(name), str):
            raise _wrong(f"{place}.{name}", "Field required")
    words, signature = block["thinking"], block["signature"]
    # Thinking whose words were left out of the answer comes back without them.
    if not (seal.has_signed(signature, words) or (not words and seal.issued(signature))):
        raise _wrong(place.removesuffix(".thinking"), "Invalid `signature` in `thinking` block")


def _check_redacted(block: Object, place: str, seal: Seal) -> None:
    if not isinstance(block.get("data"), str) or not seal.issued(block["data"]):
        raise _wrong(place.removesuffix(".redacted_thinking"), "Invalid `data` in `redacted_thinking` block")


_CHECKS: Final[Mapping[str, Callable[[Object, str], None]]] = {
    "image": _check_source,
    "document": _check_source,
    "tool_use": _check_use,
    "tool_result": _check_result,
}
_SEALED: Final[Mapping[str, Callable[[Object, str, Seal], None]]] = {
    "thinking": _check_thought,
    "redacted_thinking": _check_redacted,
}


# ---------------------------------------------------------------------------------------------- tools


def _check_calls(messages: Sequence[Object]) -> None:
    """Calls are answered in the next message, before anything else is said there; messages of one role count as one."""
    seen: set[str] = set()
    turns = list(_turns(messages))
    for number, (place, role, blocks) in enumerate(turns):
        answered = [block["tool_use_id"] for block in _head(blocks)] if role == "user" else []
        before = turns[number - 1] if number and turns[number - 1][1] == "assistant" else (0, "", [])
        called = [block["id"] for block in before[2] if block["type"] == "tool_use"]
        if role == "user":
            _check_answers(place, blocks, called)
            missing = [call for call in called if call not in answered]
        else:
            missing = called
        if missing:
            raise _unanswered(before[0], missing)
        for block in blocks:
            if block["type"] == "tool_use":
                if block["id"] in seen:
                    raise _wrong("messages", "`tool_use` ids must be unique")
                seen.add(block["id"])
    place, role, blocks = turns[-1]
    pending = [block["id"] for block in blocks if block["type"] == "tool_use"]
    if role == "assistant" and pending:
        raise _unanswered(place, pending)


def _unanswered(place: int, calls: Sequence[str]) -> Refused:
    return _wrong(
        f"messages.{place}",
        f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(calls)}. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message.",
    )


def _check_answers(place: int, blocks: Sequence[Object], called: Sequence[str]) -> None:
    for number, block in enumerate(blocks):
        if block["type"] == "tool_result" and block["tool_use_id"] not in called:
            raise _wrong(
                f"messages.{place}.content.{number}",
                f"unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}. Each `tool_result` "
                "block must have a corresponding `tool_use` block in the previous message.",
            )


def _head(blocks: Sequence[Object]) -> Iterator[Object]:
    """The results that open a message."""
    for block in blocks:
        if block["type"] != "tool_result":
            return
        yield block


def _turns(messages: Sequence[Object]) -> Iterator[tuple[int, str, list[Object]]]:
    """The messages with their places, those of one role in a row as one; a system message parts nothing."""
    found: list[tuple[int, str, list[Object]]] = []
    for place, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if message["role"] == "system":
            continue
        if found and found[-1][1] == message["role"]:
            found[-1][2].extend(blocks)
        else:
            found.append((place, message["role"], blocks))
    yield from found


def _check_tools(tools: object, choice: object) -> None:
    if tools is not None and not isinstance(tools, list):
        raise _wrong("tools", "Input should be a valid list")
    names: list[str] = []
    for place, tool in enumerate(tools or ()):
        if not isinstance(tool, dict):
            raise _wrong(f"tools.{place}", "Input should be a valid dictionary or object to extract fields from")
        if tool.get("type") in (None, "custom"):
            _check_tool(tool, f"tools.{place}.custom")
        names.append(str(tool.get("name")))
    if len(names) != len(set(names)):
        raise _wrong("tools", "Tool names must be unique.")
    if choice is not None:
        _check_choice(choice, names)


def _check_tool(tool: Object, place: str) -> None:
    _only(tool, _CUSTOM_TOOL, place)
    for name in ("name", "input_schema"):
        if name not in tool:
            raise _wrong(f"{place}.{name}", "Field required")
    if not _TOOL_NAME.fullmatch(str(tool["name"])):
        raise _wrong(f"{place}.name", "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")
    schema = tool["input_schema"]
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _wrong(
            f"{place}.input_schema.type", "Input should be 'object'" if isinstance(schema, dict) else "Field required"
        )
    for word in ("oneOf", "allOf", "anyOf"):
        if word in schema:
            raise _wrong(
                f"{place}.input_schema", "input_schema does not support oneOf, allOf, or anyOf at the top level"
            )


def _check_choice(choice: object, names: Sequence[str]) -> None:
    kind = str(choice.get("type")) if isinstance(choice, dict) else ""
    if not isinstance(choice, dict) or kind not in _CHOICES:
        raise _wrong("tool_choice", f"Input tag {kind!r} found using 'type' does not match any of the expected tags")
    _only(choice, _CHOICES[kind], f"tool_choice.{kind}")
    if kind == "tool" and choice.get("name") not in names:
        raise _wrong("tool_choice", f"Tool {choice.get('name')!r} not found in provided tools")
    if kind in ("any", "tool", "auto") and not names:
        raise _wrong("tool_choice", "tool_choice may only be specified while providing tools")


# ---------------------------------------------------------------------------------------------- settings


def _check_thinking(document: Object) -> None:
    thinking = document.get("thinking")
    if thinking is None:
        return
    kind = str(thinking.get("type")) if isinstance(thinking, dict) else ""
    if kind not in _THINKING:
        raise _wrong("thinking", f"Input tag {kind!r} found using 'type' does not match any of the expected tags")
    _only(thinking, _THINKING[kind], f"thinking.{kind}")
    if kind == "disabled":
        return
    if kind == "enabled":
        _check_budget(thinking, document.get("max_tokens"))
        _check_last_turn(document["messages"])
    if document.get("temperature") not in (None, 1):
        raise Refused(400, "`temperature` may only be set to 1 when thinking is enabled.")
    if document.get("top_k") is not None:
        raise Refused(400, "`top_k` must be unset when thinking is enabled.")
    if (document.get("top_p") or 1) < 0.95:
        raise Refused(400, "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if (document.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise Refused(400, "Thinking may not be enabled when tool_choice forces tool use.")


def _check_budget(thinking: Object, max_tokens: object) -> None:
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        raise _wrong("thinking.enabled.budget_tokens", "Field required")
    if budget < _STEP:
        raise _wrong("thinking.enabled.budget_tokens", f"Input should be greater than or equal to {_STEP}")
    if isinstance(max_tokens, int) and max_tokens <= budget:
        raise Refused(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_last_turn(messages: Sequence[Object]) -> None:
    """With thinking on, the calls whose results come last were thought about first."""
    place, _, blocks = next((turn for turn in reversed(list(_turns(messages))) if turn[1] == "assistant"), (0, "", []))
    if not any(block["type"] == "tool_use" for block in blocks):
        return
    if blocks[0]["type"] not in ("thinking", "redacted_thinking"):
        raise _wrong(
            f"messages.{place}.content.0.type",
            f"Expected `thinking` or `redacted_thinking`, but found `{blocks[0]['type']}`. When `thinking` is enabled, "
            "a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` "
            "and `tool_result` blocks).",
        )


def _check_output(config: object) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        raise _wrong("output_config", "Input should be a valid dictionary or object to extract fields from")
    _only(config, ("effort", "format"), "output_config")
    if config.get("effort") is not None and config["effort"] not in _EFFORTS:
        raise _wrong("output_config.effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    wanted = config.get("format")
    if wanted is None:
        return
    if wanted.get("type") != "json_schema":
        raise _wrong("output_config.format", "Input tag found using 'type' does not match any of the expected tags")
    _only(wanted, ("type", "schema"), "output_config.format")
    _check_closed(wanted.get("schema"))


def _check_closed(schema: object) -> None:
    """Structured outputs take schemas whose objects are closed."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            raise _wrong(
                "output_config.format.schema",
                "For 'object' type, 'additionalProperties' must be explicitly set to false",
            )
        for part in schema.values():
            _check_closed(part)
    elif isinstance(schema, list):
        for part in schema:
            _check_closed(part)


def _check_numbers(document: Object) -> None:
    for name in ("temperature", "top_p"):
        value = document.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong(name, "Input should be a valid number")
        if not 0 <= value <= 1:
            side = "less than or equal to 1" if value > 1 else "greater than or equal to 0"
            raise _wrong(name, f"Input should be {side}")
    stops = document.get("stop_sequences") or ()
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise _wrong("stop_sequences", "Input should be a valid list of strings")
    if any(not stop.strip() for stop in stops):
        raise _wrong("stop_sequences", "each stop sequence must contain non-whitespace")


def _check_metadata(metadata: object) -> None:
    if isinstance(metadata, dict):
        _only(metadata, ("user_id",), "metadata")
        if len(str(metadata.get("user_id") or "")) > 256:
            raise _wrong("metadata.user_id", "String should have at most 256 characters")


def _check_caching(document: Object) -> None:
    found = sum(1 for _ in _cached(document))
    if found > _CACHE_LIMIT:
        raise Refused(400, f"A maximum of {_CACHE_LIMIT} blocks with cache_control may be provided. Found {found}.")


def _cached(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        if value.get("cache_control") is not None:
            control = value["cache_control"]
            if not isinstance(control, dict) or control.get("type") != "ephemeral":
                raise _wrong("cache_control.type", "Input should be 'ephemeral'")
            yield control
        for name, part in value.items():
            # A tool's input and schemas are the caller's own words.
            if name not in ("input", "input_schema", "schema"):
                yield from _cached(part)
    elif isinstance(value, list):
        for part in value:
            yield from _cached(part)
