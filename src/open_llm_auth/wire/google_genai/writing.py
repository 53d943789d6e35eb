"""A conversation as a GenerateContent request (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..carrying import Feature, Handling
from ..conversation import (
    CUSTOM_INPUT,
    Audio,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from ..dialect import Fields
from ..fitting import ANY_NAME, NameRule
from ..instructions import user_parts
from .media import audio_type, is_google_file, type_of_url
from .names import MODEL, NAME, USER
from .schema import write_parameters, write_schema
from .thinking import signs_calls, write_thinking

__all__ = ["CALL_IDS", "LIMITS", "TOOL_NAMES", "UNSIGNED", "write_request"]

JsonObject = dict[str, Any]

LIMITS: Final[Mapping[Feature, Handling]] = {
    "cache_control": "dropped",
    "citations": "dropped",
    "custom_tool": "adapted",
    "custom_tool_grammar": "dropped",
    "document_file_id": "refused",
    "image_file_id": "refused",
    "metadata": "dropped",
    "mid_conversation_system": "adapted",
    "n": "refused",
    "parallel_tool_calls": "dropped",
    "prompt_cache_key": "dropped",
    "provider_tool": "dropped",
    "reasoning_budget": "adapted",
    "reasoning_effort": "adapted",
    "reasoning_replay": "adapted",
    "refusal": "adapted",
    "service_tier": "adapted",
    "store": "dropped",
    "strict_tool": "dropped",
    "unknown_field": "dropped",
    "unknown_item": "dropped",
    "user": "dropped",
    "verbosity": "dropped",
}

#: Newer models take 128 characters and colons too; every one takes these.
TOOL_NAMES: Final = NameRule(re.compile(r"[^A-Za-z0-9_.-]"), 64, re.compile(r"[A-Za-z_]"))
CALL_IDS: Final = ANY_NAME

_STOP_LIMIT: Final = 5
#: What Google documents for calls that none of its models made (thought signatures, FAQ): it is checked for nothing.
UNSIGNED: Final = "skip_thought_signature_validator"
_CUSTOM_PARAMETERS: Final = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}
_TIERS: Final[Mapping[str, str]] = {"default": "standard", "flex": "flex", "priority": "priority"}
_URL_SCHEMES: Final = ("https://", "http://", "gs://")
#: Answers with one of these keys mean something else than they say (FunctionResponse.response).
_SPECIAL_RESULTS: Final = frozenset({"output", "error"})
_INT32: Final = 2**31
_ANY: Final = msgspec.json.Decoder()


def write_request(conversation: Conversation, model: str) -> Fields:
    """The body; the model stands in the address, and here it decides how reasoning is asked for.

    Raises:
        InvalidRequest: Google takes no such thing; the message says what instead.
    """
    fields: Fields = {"contents": _contents(conversation, model)}
    if conversation.system:
        fields["systemInstruction"] = {"parts": [{"text": text.text} for text in conversation.system]}
    tools = _tools(conversation.tools)
    if tools:
        fields["tools"] = tools
    if conversation.tool_choice is not None and tools:
        fields["toolConfig"] = {"functionCallingConfig": _choice(conversation.tool_choice)}
    config = _generation_config(conversation, model)
    if config:
        fields["generationConfig"] = config
    tier = _TIERS.get(conversation.service_tier or "")
    return {**fields, "serviceTier": tier} if tier else fields


# ---------------------------------------------------------------------------------------------- settings


def _generation_config(call: Conversation, model: str) -> JsonObject:
    settings = {
        "maxOutputTokens": call.max_tokens,
        "temperature": call.temperature,
        "topP": call.top_p,
        "topK": call.top_k,
        "frequencyPenalty": call.frequency_penalty,
        "presencePenalty": call.presence_penalty,
        # An int32 there; a larger one stands for one of them, always the same.
        "seed": None if call.seed is None else (call.seed + _INT32) % (2 * _INT32) - _INT32,
        "stopSequences": _stop(call.stop),
        "responseLogprobs": None if call.logprobs is None else True,
        "logprobs": call.logprobs or None,
        **_output(call.output),
        "thinkingConfig": write_thinking(call.reasoning, model),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _stop(stop: tuple[str, ...]) -> list[str] | None:
    if len(stop) > _STOP_LIMIT:
        raise InvalidRequest(
            f"'stop' holds {len(stop)} sequences; this model's provider takes {_STOP_LIMIT} at most.", param="stop"
        )
    return list(stop) or None


def _output(output: OutputFormat | None) -> JsonObject:
    if output is None:
        return {}
    schema = {} if output.schema is None else {"responseJsonSchema": write_schema(output.schema)}
    return {"responseMimeType": "application/json", **schema}


def _tools(tools: Iterable[Tool | OpaqueTool]) -> list[JsonObject]:
    functions = [_function(tool) for tool in tools if isinstance(tool, Tool)]
    own = [tool.value for tool in tools if isinstance(tool, OpaqueTool) and tool.dialect == NAME]
    return [*([{"functionDeclarations": functions}] if functions else []), *own]


def _function(tool: Tool) -> JsonObject:
    declared: JsonObject = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    parameters = _CUSTOM_PARAMETERS if tool.custom else write_parameters(tool.parameters)
    if parameters is not None:
        declared["parametersJsonSchema"] = parameters
    return declared


def _choice(choice: ToolChoice) -> JsonObject:
    match choice.mode:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "tool":
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case "allowed":
            # Names are not allowed beside AUTO; VALIDATED leaves the choice between a call and words, too.
            return {"mode": "ANY" if choice.must_call else "VALIDATED", "allowedFunctionNames": list(choice.names)}
    return {"mode": "AUTO"}


# ---------------------------------------------------------------------------------------------- contents


def _contents(conversation: Conversation, model: str) -> list[JsonObject]:
    """Turns of the two roles in turn. A conversation of instructions alone is said by the user, since Google answers
    to contents only."""
    signs = signs_calls(model)
    contents: list[JsonObject] = []
    for turn in conversation.turns:
        role = MODEL if turn.role == "assistant" else USER
        parts = [written for part in user_parts(turn) for written in _parts(part, signs)]
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    if signs:
        _sign(contents)
    return contents or [{"role": USER, "parts": [{"text": text.text} for text in conversation.system]}]


def _sign(contents: list[JsonObject]) -> None:
    """The first call of each step has a signature (of parallel ones no other has)."""
    for content in contents:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = UNSIGNED


def _parts(part: Part, in_results: bool) -> list[JsonObject]:
    """`in_results`: the model takes media within a tool's result."""
    match part:
        case Text() | Refusal():
            return [{"text": part.text}] if part.text else []
        case Image() | Document() | Audio():
            return [_media(part)]
        case ToolCall():
            return [_call(part)]
        case ToolResult():
            return _result(part, in_results)
        case Thinking():
            return _thinking(part)
        case OpaquePart():
            return [part.value] if part.dialect == NAME else []


def _media(part: Image | Document | Audio) -> JsonObject:
    if isinstance(part, Audio):
        return _inline(audio_type(part.format), part.data)
    if part.data:
        return _inline(part.media_type or _guess(part), part.data)
    if part.url or part.file_id:
        return {"fileData": _file(part)}
    text = part.text if isinstance(part, Document) else ""
    return _inline(part.media_type or "text/plain", base64.b64encode(text.encode()).decode())


def _inline(media_type: str, data: str) -> JsonObject:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _guess(part: Image | Document) -> str:
    if isinstance(part, Image):
        return "image/png"
    return type_of_url(part.name) or "application/pdf"


def _file(part: Image | Document) -> JsonObject:
    """Google's own files, and since 2026 what stands anywhere on the web (file input methods)."""
    uri = part.url or part.file_id
    param = "image_url" if isinstance(part, Image) else "document_url"
    if part.file_id and not is_google_file(uri):
        raise InvalidRequest(
            f"A file is named by an id ({uri[:80]!r}) that means nothing to this model's provider; send its content.",
            param="file_id",
        )
    if part.url and not uri.lower().startswith(_URL_SCHEMES):
        raise InvalidRequest(
            "The address of a file must begin with https://; send the file itself as base64 instead.", param=param
        )
    media_type = part.media_type or type_of_url(uri)
    return {"fileUri": uri, **({"mimeType": media_type} if media_type else {})}


def _thinking(part: Thinking) -> list[JsonObject]:
    """Thoughts go back to where they came from, and nowhere else."""
    signature = part.signature
    if signature is None or signature.origin != NAME:
        return []
    thought = {"thought": True} if part.text else {}
    return [{"text": part.text, **thought, "thoughtSignature": signature.value}]


def _call(call: ToolCall) -> JsonObject:
    part: JsonObject = {"functionCall": {"id": call.id, "name": call.name, "args": _arguments(call)}}
    if call.signature is not None and call.signature.origin == NAME:
        part["thoughtSignature"] = call.signature.value
    return part


def _arguments(call: ToolCall) -> Any:
    if call.custom:
        return {CUSTOM_INPUT: call.arguments}
    arguments = _read_json(call.arguments or "{}")
    if not isinstance(arguments, dict):
        raise InvalidRequest(
            f"The arguments of the call {call.id[:80]!r} are not the JSON text of an object.", param="arguments"
        )
    return msgspec.Raw(call.arguments.encode()) if arguments else {}


def _result(result: ToolResult, in_results: bool) -> list[JsonObject]:
    """A function response, and beside it the media that may not stand within it."""
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    media = [_media(part) for part in result.parts if not isinstance(part, Text)]
    inner = [part for part in media if in_results and "inlineData" in part]
    response: JsonObject = {"id": result.id, "name": result.name or result.id, "response": _response(result, text)}
    if inner:
        response["parts"] = inner
    return [{"functionResponse": response}, *(part for part in media if part not in inner)]


def _response(result: ToolResult, text: str) -> Any:
    """Objects as they are, unless a key of theirs means something; all else under the key that says what it is."""
    if result.is_error:
        return {"error": text}
    answered = _read_json(text) if text.lstrip().startswith("{") else None
    if isinstance(answered, dict) and not _SPECIAL_RESULTS & answered.keys():
        return msgspec.Raw(text.encode())
    return {"output": text}


def _read_json(text: str) -> Any:
    try:
        return _ANY.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
