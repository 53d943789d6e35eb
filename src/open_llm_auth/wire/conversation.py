"""A model call without a dialect: what every reader of requests makes, and every writer takes (ARCHITECTURE)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .events import Signature

__all__ = [
    "Audio",
    "CacheControl",
    "Conversation",
    "Document",
    "Image",
    "OpaquePart",
    "OpaqueTool",
    "OutputFormat",
    "Part",
    "Reasoning",
    "Refusal",
    "Role",
    "Text",
    "Thinking",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Turn",
]

#: `system` within the turns is an instruction in the middle of a conversation; those before it are the
#: `Conversation`'s own.
Role = Literal["user", "assistant", "system"]


@dataclass(frozen=True, slots=True)
class CacheControl:
    """A prompt-cache breakpoint after the part that carries it. `ttl` is "5m" or "1h" where it was said."""

    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """Exactly one of `data` (base64), `url` and `file_id` is set. `detail` is OpenAI's low, high or auto."""

    media_type: str = ""
    data: str = field(default="", repr=False)
    url: str = ""
    file_id: str = ""
    detail: str | None = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A file. Exactly one of `data` (base64), `text`, `url` and `file_id` is set."""

    media_type: str = ""
    data: str = field(default="", repr=False)
    text: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    cache: CacheControl | None = None
    #: Anthropic's: the answer may cite it
    citations: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """`data` is base64, `format` such as "wav" or "mp3"."""

    data: str = field(repr=False)
    format: str = "wav"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is the JSON text of an object ("{}" when empty), or free text for a custom tool.

    `id` is the plain one, without an envelope (`signatures.py`); the envelope's content is `signature`.
    """

    id: str
    name: str
    arguments: str = "{}"
    custom: bool = False
    signature: Signature | None = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Stands in a `user` turn. `name` is the tool's, looked up from its call by the reader ("" when there is none)."""

    id: str
    name: str
    parts: tuple[Text | Image | Document, ...] = ()
    is_error: bool = False
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning of an earlier turn. `text` may be empty: then the signature is all there is of it.

    `redacted`: the signature's value is Anthropic's `redacted_thinking`.
    """

    text: str = ""
    signature: Signature | None = None
    summary: bool = False
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    text: str


@dataclass(frozen=True, slots=True)
class OpaquePart:
    """Something only `dialect` understands; `what` names it for a person, such as "server_tool_use"."""

    dialect: str
    what: str
    value: Any = field(repr=False)


Part = Text | Image | Document | Audio | ToolCall | ToolResult | Thinking | Refusal | OpaquePart


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. Two of the same role may follow each other: a writer whose dialect forbids that joins them."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `name` is unique in the call; a dialect with namespaces flattens them into it.

    `parameters` is a JSON schema, raw JSON or decoded. `custom`: the caller's tool takes one free text, so it is
    offered to other dialects as a function with the one string `input`, and its calls are mapped back.
    """

    name: str
    description: str = ""
    parameters: Any = None
    strict: bool | None = None
    custom: bool = False
    #: how the free text of a custom tool must look, as its dialect says it
    grammar: Any = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class OpaqueTool:
    """A tool that the provider itself runs; only `dialect` understands it. `what` names it for a person."""

    dialect: str
    what: str
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`tool` calls the tool `name`; `allowed` restricts to `names` (mode `required` when `must_call`)."""

    mode: Literal["auto", "none", "required", "tool", "allowed"]
    name: str = ""
    names: tuple[str, ...] = ()
    must_call: bool = False


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """`schema` None is any JSON object."""

    schema: Any = None
    name: str = "answer"
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What was asked of the model's thinking; None everywhere is "as the model likes".

    `enabled` False turns it off, True on. `effort` is none, minimal, low, medium, high, xhigh or max. `budget` is
    tokens. `adaptive`: the model decides how much. `summary` is OpenAI's auto, concise or detailed. `sealed`: encrypted
    reasoning is wanted in the answer. `shown` False keeps the words of it out of the answer.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    adaptive: bool = False
    summary: str | None = None
    sealed: bool = False
    shown: bool | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One call. What was not said is None or empty, so that a writer can leave it out.

    `extras` are the top-level fields of the request that have no place here, by name: their own dialect relays them,
    and toward others they are dropped, or refused when the caller is strict.
    """

    turns: tuple[Turn, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool | OpaqueTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    #: the caller's dialect has no call without `max_tokens`, so that one need not mean anything
    must_limit: bool = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    #: None: not wanted; else how many rivals of each token, 0 for none
    logprobs: int | None = None
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    user: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    prompt_cache_key: str | None = None
    #: the caller's dialect caches prompts without being asked, so that no breakpoint says where
    caches: bool = False
    store: bool | None = None
    choices: int = 1
    stream: bool = False
    extras: tuple[str, ...] = ()


#: The one parameter of the function that stands for a custom tool.
CUSTOM_INPUT: Final = "input"
