"""What Google's Gemini API refuses, and with which words.

Source: the reference of ``generateContent``, the pages on function calling, thought signatures and structured output,
and the types of Google's SDK. Like every server of protocol buffers it takes a field in camel case and in snake case.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .answers import Refused, Seal

__all__ = ["DUMMIES", "camel", "check_call"]

Object = Mapping[str, Any]

#: What the page on thought signatures gives to callers whose history has none.
DUMMIES: Final = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FIELDS: Final = _names(
    "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent model serviceTier store "
    "labels continuationToken"
)
_SETTINGS: Final = _names(
    "audioTranscriptionConfig candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs "
    "maxOutputTokens mediaResolution presencePenalty responseFormat responseJsonSchema responseLogprobs "
    "responseMimeType responseModalities responseSchema seed speechConfig stopSequences temperature thinkingConfig "
    "topK topP"
)
_THINKING: Final = _names("includeThoughts thinkingBudget thinkingLevel")
_DATA: Final[Mapping[str, frozenset[str] | None]] = {
    "text": None,
    "inlineData": _names("mimeType data displayName"),
    "fileData": _names("mimeType fileUri displayName"),
    "functionCall": _names("id name args partialArgs willContinue"),
    "functionResponse": _names("id name response parts willContinue scheduling"),
    "executableCode": None,
    "codeExecutionResult": None,
    "toolCall": None,
    "toolResponse": None,
}
_BESIDE: Final = _names(
    "thought thoughtSignature videoMetadata mediaResolution partMetadata audioTranscription mediaProcessing "
    "speechMetadata documentMetadata spreadsheetMetadata audioMetadata"
)
_TOOL: Final = _names(
    "functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext googleMaps computerUse "
    "fileSearch mcpServers retrieval"
)
_DECLARATION: Final = _names("name description parameters parametersJsonSchema response responseJsonSchema behavior")
_SCHEMA: Final = _names(
    "additionalProperties anyOf default defs description enum example format items maxItems maxLength maxProperties "
    "maximum minItems minLength minProperties minimum nullable pattern properties propertyOrdering ref required title "
    "type"
)
_TYPES: Final = ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_MODES: Final = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_LEVELS: Final = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH")
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_HUMP: Final = re.compile(r"_([a-z])")


def camel(name: str) -> str:
    """A field's name as the API spells it."""
    return _HUMP.sub(lambda match: match[1].upper(), name)


def check_call(document: Object, model: str, seal: Seal) -> None:
    """A call that the API would answer.

    Raises:
        Refused: it would not.
    """
    _only(document, _FIELDS, "")
    request = {camel(name): value for name, value in document.items()}
    contents = request.get("contents")
    if not isinstance(contents, list) or not contents:
        raise _invalid("* GenerateContentRequest.contents: contents is not specified")
    for place, content in enumerate(contents):
        _check_content(content, f"contents[{place}]", seal)
    if "systemInstruction" in request:
        _check_parts(request["systemInstruction"], "system_instruction", seal)
    _check_turns(contents)
    _check_tools(request)
    _check_settings(request.get("generationConfig"))
    if "gemini-3" in model:
        _check_signed(contents)


def _invalid(message: str) -> Refused:
    return Refused(400, message, kind="INVALID_ARGUMENT")


def _only(found: Object, fields: frozenset[str], place: str) -> None:
    for name in found:
        if camel(name) not in fields:
            where = f" at '{place}'" if place else ""
            raise _invalid(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')


# ---------------------------------------------------------------------------------------------- contents


def _check_content(content: object, place: str, seal: Seal) -> None:
    if not isinstance(content, dict):
        raise _invalid(f"Invalid value at '{place}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content)")
    role = content.get("role", "user")
    if role not in ("user", "model", "function"):
        raise _invalid("Please use a valid role: user, model.")
    _check_parts(content, place, seal)


def _check_parts(content: Object, place: str, seal: Seal) -> None:
    _only(content, frozenset({"role", "parts"}), place)
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        raise _invalid(f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.")
    for number, part in enumerate(parts):
        _check_part(part, f"{place}.parts[{number}]", seal)


def _check_part(part: object, place: str, seal: Seal) -> None:
    if not isinstance(part, dict):
        raise _invalid(f"Invalid value at '{place}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Part)")
    _only(part, frozenset(_DATA) | _BESIDE, place)
    found = {camel(name): value for name, value in part.items()}
    kinds = [name for name in _DATA if name in found]
    if not kinds:
        raise _invalid(
            f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field"
        )
    if len(kinds) > 1:
        raise _invalid(
            f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{kinds[1]}'"
        )
    inner = _DATA[kinds[0]]
    if inner is not None:
        _only(found[kinds[0]], inner, f"{place}.{kinds[0]}")
    if kinds[0] in ("functionCall", "functionResponse"):
        _check_function(found[kinds[0]], kinds[0], place)
    if kinds[0] == "inlineData":
        _check_base64(str(found["inlineData"].get("data", "")), f"{place}.inline_data.data")
    if found.get("thoughtSignature"):
        _check_signature(str(found["thoughtSignature"]), f"{place}.thought_signature", seal)


def _check_function(value: Object, kind: str, place: str) -> None:
    if not _NAME.fullmatch(str(value.get("name", ""))):
        what = "function_call" if kind == "functionCall" else "function_response"
        raise _invalid(f"* GenerateContentRequest.{place}.{what}.name: Name cannot be empty or is invalid.")
    held = value.get("args" if kind == "functionCall" else "response")
    if held is not None and not isinstance(held, dict):
        raise _invalid(f"Invalid value at '{place}' (type.googleapis.com/google.protobuf.Struct), {str(held)[:40]!r}")


def _check_base64(text: str, place: str) -> bytes:
    plain = text.translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise _invalid(f"Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed for \"{text[:40]}\"") from None


def _check_signature(text: str, place: str, seal: Seal) -> None:
    packed = _check_base64(text, place)
    if text in DUMMIES or packed in {dummy.encode() for dummy in DUMMIES}:
        return
    if not seal.issued(base64.b64encode(packed).decode()):
        raise _invalid("Corrupted thought signature.")


def _held(content: Object, kind: str) -> list[Object]:
    parts = [{camel(name): value for name, value in part.items()} for part in content["parts"]]
    return [part for part in parts if kind in part]


def _check_turns(contents: Sequence[Object]) -> None:
    """Calls come after the user, and are answered at once, each by one response of its name."""
    turns = list(_turns(contents))
    for number, (role, calls, responses) in enumerate(turns):
        before = turns[number - 1] if number else ("", [], [])
        if calls and (role != "model" or before[0] in ("", "model")):
            raise _invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        if responses and not before[1]:
            raise _invalid("Please ensure that function response turn comes immediately after a function call turn.")
        if before[1] and len(responses) != len(before[1]):
            raise _unequal()
        if sorted(responses) != sorted(before[1]):
            raise _invalid("The function response names do not match the names of the function calls.")
    if turns[-1][1]:
        raise _unequal()


def _unequal() -> Refused:
    return _invalid(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the "
        "function call turn."
    )


def _turns(contents: Sequence[Object]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Who speaks, which functions are called and which answer; contents of one role in a row are one turn."""
    found: list[tuple[str, list[str], list[str]]] = []
    for content in contents:
        role = "model" if content.get("role") == "model" else "user"
        calls = [str(part["functionCall"]["name"]) for part in _held(content, "functionCall")]
        responses = [str(part["functionResponse"]["name"]) for part in _held(content, "functionResponse")]
        if found and found[-1][0] == role:
            found[-1][1].extend(calls)
            found[-1][2].extend(responses)
        else:
            found.append((role, calls, responses))
    yield from found


def _check_signed(contents: Sequence[Object]) -> None:
    """Gemini 3: the first call of every step since the user last spoke is signed."""
    starts = [place for place, content in enumerate(contents) if content.get("role", "user") == "user"
              and not _held(content, "functionResponse")]  # fmt: skip
    for place, content in enumerate(contents):
        if place < (starts[-1] if starts else 0) or content.get("role") != "model":
            continue
        calls = _held(content, "functionCall")
        if calls and not calls[0].get("thoughtSignature"):
            name = calls[0]["functionCall"]["name"]
            raise _invalid(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. "
                f"Additional data, function call `{name}` , position {place + 1}."
            )


# ---------------------------------------------------------------------------------------------- tools and settings


def _check_tools(request: Object) -> None:
    for place, tool in enumerate(request.get("tools") or ()):
        _only(tool, _TOOL, f"tools[{place}]")
        declarations = tool.get("functionDeclarations", tool.get("function_declarations")) or ()
        for number, declaration in enumerate(declarations):
            _check_declaration(declaration, f"tools[{place}].function_declarations[{number}]")
    config = request.get("toolConfig") or {}
    calling = config.get("functionCallingConfig", config.get("function_calling_config")) or {}
    mode = calling.get("mode", "AUTO")
    if mode not in _MODES:
        raise _invalid(f"Invalid value at 'tool_config.function_calling_config.mode' (Mode), \"{mode}\"")
    allowed = calling.get("allowedFunctionNames", calling.get("allowed_function_names"))
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise _invalid(
            "* GenerateContentRequest.tool_config.function_calling_config.allowed_function_names: should only be "
            "set when mode is ANY."
        )


def _check_declaration(declaration: Object, place: str) -> None:
    _only(declaration, _DECLARATION, place)
    if not _NAME.fullmatch(str(declaration.get("name", ""))):
        raise _invalid(
            f"* GenerateContentRequest.{place}.name: Invalid function name. Must start with a letter or an underscore. "
            "Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum "
            "length of 128."
        )
    found = {camel(name): value for name, value in declaration.items()}
    if "parameters" in found and "parametersJsonSchema" in found:
        raise _invalid(f"{place}: parameters and parameters_json_schema are mutually exclusive.")
    if found.get("parameters") is not None:
        _check_schema(found["parameters"], f"{place}.parameters")


def _check_schema(schema: object, place: str) -> None:
    """The subset of OpenAPI's schema that the field of that type takes; raw JSON schemas have a field of their own."""
    if not isinstance(schema, dict):
        raise _invalid(f"Invalid value at '{place}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)")
    _only(schema, _SCHEMA, place)
    kind = schema.get("type", "OBJECT")
    if not isinstance(kind, str) or kind.upper() not in _TYPES:
        raise _invalid(
            f"Invalid value at '{place}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type)"
        )
    for name, part in (schema.get("properties") or {}).items():
        _check_schema(part, f"{place}.properties[{name}].value")
    if "items" in schema:
        _check_schema(schema["items"], f"{place}.items")
    for number, part in enumerate(schema.get("anyOf", schema.get("any_of")) or ()):
        _check_schema(part, f"{place}.any_of[{number}]")


def _check_settings(settings: object) -> None:
    if not isinstance(settings, dict):
        return
    _only(settings, _SETTINGS, "generation_config")
    found = {camel(name): value for name, value in settings.items()}
    for name, most in (("temperature", 2), ("topP", 1)):
        value = found.get(name)
        if value is not None and not 0 <= value <= most:
            raise _invalid(f"* GenerateContentRequest.generation_config.{name}: must be in the range [0, {most}]")
    if len(found.get("stopSequences") or ()) > 5:
        raise _invalid("* GenerateContentRequest.generation_config.stop_sequences: at most 5 are allowed.")
    if (found.get("candidateCount") or 1) > 1 and found.get("responseLogprobs"):
        raise _invalid("logprobs are not supported with more than one candidate.")
    wants_schema = found.get("responseSchema") is not None or found.get("responseJsonSchema") is not None
    if wants_schema and found.get("responseMimeType") != "application/json":
        raise _invalid("response_schema is only allowed with response_mime_type `application/json`.")
    if found.get("responseSchema") is not None:
        _check_schema(found["responseSchema"], "generation_config.response_schema")
    _check_thinking(found.get("thinkingConfig"))


def _check_thinking(config: object) -> None:
    if not isinstance(config, dict):
        return
    _only(config, _THINKING, "generation_config.thinking_config")
    found = {camel(name): value for name, value in config.items()}
    level = found.get("thinkingLevel")
    if level is not None and str(level).upper() not in _LEVELS:
        raise _invalid(
            f"Invalid value at 'generation_config.thinking_config.thinking_level' (ThinkingLevel), \"{level}\""
        )
    if level is not None and found.get("thinkingBudget") is not None:
        raise _invalid("You can only set only one of thinking budget and thinking level.")
    budget = found.get("thinkingBudget")
    if budget is not None and (not isinstance(budget, int) or budget < -1):
        raise _invalid("* GenerateContentRequest.generation_config.thinking_config.thinking_budget: out of range.")
