"""Requests: the top level for a provider of the same dialect, the whole for any other, and one written from another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...errors import InvalidRequest
from ..caching import is_automatic
from ..conversation import Conversation, OutputFormat, Reasoning, Text, ToolChoice
from ..dialect import Fields, Request
from ..efforts import effort_of
from ..envelope import Envelope, first_byte, is_null, read_envelope, read_flag, read_model, type_of
from ..fitting import LABEL
from .fields import (
    as_list,
    as_object,
    as_text,
    decode_field,
    opt_count,
    opt_flag,
    opt_number,
    opt_object,
    opt_text,
)
from .items import read_items, tools_in, write_items
from .tools import ToolNames, read_choice, read_tools, write_choice, write_tools

__all__ = ["ENCRYPTED", "read_conversation", "read_request", "rewrite", "write_request"]

#: What `include` says to get reasoning back sealed, for a provider that keeps nothing.
ENCRYPTED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"
#: Where a request says that its input goes on from something the provider keeps.
_CONTINUES: Final = ("previous_response_id", "conversation", "prompt")


def read_request(body: bytes) -> Request:
    """A response as it is asked for; what is below the top level is left to the provider.

    Raises:
        InvalidRequest: the body is not a JSON object, or `input`, `model` or `stream` is not what it must be; `param`
            names the field.
    """
    envelope = read_envelope(body)
    _check_input(envelope)
    return Request(envelope, read_model(envelope), read_flag(envelope, "stream"))


def _check_input(envelope: Envelope) -> None:
    raw = envelope.get("input")
    if raw is None or is_null(raw):
        if all(is_null(envelope.get(name)) for name in _CONTINUES):
            raise InvalidRequest("'input' is missing; send a string or a list of items.", param="input")
        return
    if first_byte(raw) == ord('"'):
        return
    if first_byte(raw) != ord("["):
        raise InvalidRequest(f"'input' must be a string or a list of items, not {type_of(raw)}.", param="input")
    head = bytes(memoryview(raw)[1:64]).lstrip()
    if (head or bytes(raw)[1:].lstrip()).startswith(b"]") and all(is_null(envelope.get(name)) for name in _CONTINUES):
        raise InvalidRequest("'input' is empty; send at least one item.", param="input")


def rewrite(envelope: Envelope, model: str, stream: bool) -> Fields:
    """The same request for a provider of the same dialect."""
    fields: Fields = {**envelope, "model": model}
    if read_flag(envelope, "stream") != stream:
        fields["stream"] = stream
    return fields


# ---------------------------------------------------------------------------------------------- reading

#: Fields that are read below, and those that are about transport or about what this gateway doesn't keep.
_KNOWN: Final = frozenset(
    {
        "background",
        "client_metadata",
        "conversation",
        "frequency_penalty",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)


def read_conversation(envelope: Envelope) -> Conversation:
    """The call without its dialect.

    Raises:
        InvalidRequest: a field is not what it must be, or asks for something kept from an earlier call.
    """
    _refuse_what_is_kept(envelope)
    items = decode_field(envelope, "input")
    tools, names = read_tools([*_declared(envelope), *tools_in(items)])
    instructions = opt_text(decode_field(envelope, "instructions"), "instructions")
    before, turns = read_items(items, names)
    choice, extras = _read_choice(envelope, names)
    include = _read_include(envelope)
    text = opt_object(decode_field(envelope, "text"), "text")
    return Conversation(
        turns=turns,
        system=(*_texts(instructions), *before),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=opt_flag(decode_field(envelope, "parallel_tool_calls"), "parallel_tool_calls"),
        max_tokens=opt_count(decode_field(envelope, "max_output_tokens"), "max_output_tokens"),
        temperature=opt_number(decode_field(envelope, "temperature"), "temperature"),
        top_p=opt_number(decode_field(envelope, "top_p"), "top_p"),
        frequency_penalty=opt_number(decode_field(envelope, "frequency_penalty"), "frequency_penalty"),
        presence_penalty=opt_number(decode_field(envelope, "presence_penalty"), "presence_penalty"),
        logprobs=_read_logprobs(envelope, include),
        output=_read_format(text.get("format")),
        reasoning=_read_reasoning(envelope, include),
        verbosity=opt_text(text.get("verbosity"), "text.verbosity"),
        service_tier=opt_text(decode_field(envelope, "service_tier"), "service_tier"),
        user=_read_user(envelope),
        metadata=opt_object(decode_field(envelope, "metadata"), "metadata"),
        prompt_cache_key=opt_text(decode_field(envelope, "prompt_cache_key"), "prompt_cache_key"),
        caches=is_automatic(envelope),
        store=opt_flag(decode_field(envelope, "store"), "store"),
        stream=read_flag(envelope, "stream"),
        extras=(*extras, *_unknown_in(envelope, include)),
    )


def _refuse_what_is_kept(envelope: Envelope) -> None:
    for name in _CONTINUES:
        if not is_null(envelope.get(name)):
            raise InvalidRequest(
                f"{name!r} needs a provider that keeps responses, and this model's does not speak this dialect: the "
                "gateway keeps none itself. Send every item of the conversation in 'input'.",
                param=name,
            )
    if read_flag(envelope, "background"):
        raise InvalidRequest("'background' is not possible with this model; wait for the answer.", param="background")


def _texts(instructions: str | None) -> tuple[Text, ...]:
    return (Text(instructions),) if instructions else ()


def _declared(envelope: Envelope) -> list[tuple[object, str]]:
    value = decode_field(envelope, "tools")
    rows = [] if value is None else as_list(value, "tools")
    return [(tool, f"tools.{number}") for number, tool in enumerate(rows)]


def _read_choice(envelope: Envelope, names: ToolNames) -> tuple[ToolChoice | None, tuple[str, ...]]:
    """The choice; a tool that only the provider can run is no choice elsewhere, and is told as a field left out."""
    value = decode_field(envelope, "tool_choice")
    choice = read_choice(value, names)
    return choice, () if value is None or choice is not None else ("tool_choice",)


def _read_include(envelope: Envelope) -> frozenset[str]:
    value = decode_field(envelope, "include")
    rows = [] if value is None else as_list(value, "include")
    return frozenset(as_text(row, f"include.{number}") for number, row in enumerate(rows))


def _read_logprobs(envelope: Envelope, include: frozenset[str]) -> int | None:
    rivals = opt_count(decode_field(envelope, "top_logprobs"), "top_logprobs")
    return (rivals or 0) if rivals or _LOGPROBS in include else None


def _read_format(value: object) -> OutputFormat | None:
    form = opt_object(value, "text.format")
    kind = form.get("type", "text")
    if kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat()
    if kind != "json_schema":
        raise InvalidRequest(
            f'\'text.format.type\' is {kind!r:.40}; it must be "text", "json_object" or "json_schema".',
            param="text.format.type",
        )
    return OutputFormat(
        as_object(form.get("schema"), "text.format.schema"),
        opt_text(form.get("name"), "text.format.name") or "answer",
        opt_text(form.get("description"), "text.format.description") or "",
        opt_flag(form.get("strict"), "text.format.strict"),
    )


def _read_reasoning(envelope: Envelope, include: frozenset[str]) -> Reasoning | None:
    value = decode_field(envelope, "reasoning")
    sealed = ENCRYPTED in include
    if value is None:
        return Reasoning(sealed=True) if sealed else None
    asked = as_object(value, "reasoning")
    effort = opt_text(asked.get("effort"), "reasoning.effort")
    summary = opt_text(asked.get("summary") or asked.get("generate_summary"), "reasoning.summary")
    return Reasoning(
        enabled=None if effort is None else effort != "none",
        effort=effort,
        summary=summary,
        sealed=sealed,
        shown=True if summary else None,
    )


def _read_user(envelope: Envelope) -> str | None:
    safety = opt_text(decode_field(envelope, "safety_identifier"), "safety_identifier")
    return safety or opt_text(decode_field(envelope, "user"), "user")


def _unknown_in(envelope: Envelope, include: frozenset[str]) -> tuple[str, ...]:
    unknown = [name for name, raw in envelope.items() if name not in _KNOWN and not is_null(raw)]
    return (*unknown, "include") if include - {ENCRYPTED, _LOGPROBS} else tuple(unknown)


# ---------------------------------------------------------------------------------------------- writing

#: The least that OpenAI takes as `max_output_tokens`; clients that ask for one token only want to see a sign of life.
_LEAST_TOKENS: Final = 16
#: Names that other dialects have for OpenAI's tiers.
_TIERS: Final[Mapping[str, str]] = {"standard_only": "default", "standard": "default"}


def write_request(conversation: Conversation, model: str) -> Fields:
    """The fields for a provider of this dialect. Nothing is kept there: the whole conversation goes along."""
    fields: Fields = {
        "model": model,
        "input": write_items(conversation.turns),
        "stream": conversation.stream,
        "store": False,
    }
    if conversation.system:
        fields["instructions"] = "\n\n".join(text.text for text in conversation.system)
    _write_tools(conversation, fields)
    _write_settings(conversation, fields)
    _write_text(conversation, fields)
    include = [*_write_reasoning(conversation.reasoning, fields), *_write_logprobs(conversation, fields)]
    if include:
        fields["include"] = include
    return fields


def _write_tools(conversation: Conversation, fields: Fields) -> None:
    tools = write_tools(conversation.tools)
    if not tools:
        return
    fields["tools"] = tools
    if conversation.tool_choice is not None:
        fields["tool_choice"] = write_choice(conversation.tool_choice, conversation.tools)
    if conversation.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = conversation.parallel_tool_calls


def _write_settings(conversation: Conversation, fields: Fields) -> None:
    tier = conversation.service_tier
    settings = {
        "max_output_tokens": None if conversation.max_tokens is None else max(_LEAST_TOKENS, conversation.max_tokens),
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "service_tier": None if tier is None else _TIERS.get(tier, tier),
        "user": LABEL.fit(conversation.user) if conversation.user else None,
        "metadata": conversation.metadata or None,
        "prompt_cache_key": LABEL.fit(conversation.prompt_cache_key) if conversation.prompt_cache_key else None,
    }
    fields.update({name: value for name, value in settings.items() if value is not None})


def _write_text(conversation: Conversation, fields: Fields) -> None:
    text: dict[str, Any] = {}
    if conversation.output is not None:
        text["format"] = _write_format(conversation.output)
    if conversation.verbosity is not None:
        text["verbosity"] = conversation.verbosity
    if text:
        fields["text"] = text


def _write_format(output: OutputFormat) -> dict[str, Any]:
    if output.schema is None:
        return {"type": "json_object"}
    form = {"type": "json_schema", "name": output.name, "schema": output.schema, "strict": output.strict is True}
    return {**form, "description": output.description} if output.description else form


def _write_reasoning(reasoning: Reasoning | None, fields: Fields) -> list[str]:
    """What is asked of the model's reasoning, and what `include` must say for it.

    Reasoning that was only turned off is left as the model likes: many have no way to say it, and refuse the field.
    """
    if reasoning is None:
        return []
    asked: dict[str, str] = {}
    effort = reasoning.effort or effort_of(reasoning.budget)
    if effort is not None:
        asked["effort"] = effort
    off = reasoning.enabled is False or effort == "none"
    if not off and (summary := _summary_for(reasoning)) is not None:
        asked["summary"] = summary
    if asked:
        fields["reasoning"] = asked
    # A model that does not reason refuses to seal what it has not.
    wanted = reasoning.sealed or reasoning.enabled is True or effort is not None or reasoning.adaptive
    return [ENCRYPTED] if wanted and not off else []


def _summary_for(reasoning: Reasoning) -> str | None:
    """An effort alone asks for no words: OpenAI gives none then, and gives them to verified organisations only."""
    if reasoning.summary is not None:
        return reasoning.summary
    shown = reasoning.shown if reasoning.shown is not None else reasoning.budget is not None or reasoning.adaptive
    return "auto" if shown else None


def _write_logprobs(conversation: Conversation, fields: Fields) -> list[str]:
    if conversation.logprobs is None:
        return []
    fields["top_logprobs"] = conversation.logprobs
    return [_LOGPROBS]
