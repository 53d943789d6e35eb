"""Parts of a conversation as content blocks: what each becomes, and what Converse does not take."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.bedrock_converse.blocks import BlockWriter
from open_llm_auth.wire.conversation import (
    Audio,
    CacheControl,
    Document,
    Image,
    OpaquePart,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from open_llm_auth.wire.events import Signature

OWN = Signature("bedrock-converse", "c2ln")


def written(*parts: Part, caches: bool = True) -> Any:
    writer = BlockWriter(caches=caches)
    return msgspec.json.decode(msgspec.json.encode([block for part in parts for block in writer.write(part)]))


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text("hi"), {"text": "hi"}),
        (Refusal("no"), {"text": "no"}),
        (Image("image/png", "AA=="), {"image": {"format": "png", "source": {"bytes": "AA=="}}}),
        (Image("IMAGE/JPG", "AA=="), {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}}),
        (Audio("AA==", "WAV"), {"audio": {"format": "wav", "source": {"bytes": "AA=="}}}),
        (
            Document("application/pdf", "AA==", name="Q3 (final).pdf"),
            {"document": {"format": "pdf", "name": "Q3 (final) pdf", "source": {"bytes": "AA=="}}},
        ),
        (
            Document(text="words", citations=True),
            {
                "document": {
                    "format": "txt",
                    "name": "document",
                    "source": {"text": "words"},
                    "citations": {"enabled": True},
                }
            },
        ),
        (ToolCall("c", "f", '{"a":1.50}'), {"toolUse": {"toolUseId": "c", "name": "f", "input": {"a": 1.5}}}),
        (ToolCall("c", "f", " "), {"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}),
        (ToolCall("c", "f", "[1]"), {"toolUse": {"toolUseId": "c", "name": "f", "input": {"input": "[1]"}}}),
        (ToolCall("c", "f", '{"a":'), {"toolUse": {"toolUseId": "c", "name": "f", "input": {"input": '{"a":'}}}),
        (
            ToolCall("c", "f", '{"a":1}', custom=True),
            {"toolUse": {"toolUseId": "c", "name": "f", "input": {"input": '{"a":1}'}}},
        ),
        (ToolResult("c", "f", (Text("ok"),)), {"toolResult": {"toolUseId": "c", "content": [{"text": "ok"}]}}),
        (ToolResult("c", "f"), {"toolResult": {"toolUseId": "c", "content": [{"text": "(empty)"}]}}),
        (
            ToolResult("c", "f", (Text("bad"), Image("image/gif", "AA==")), is_error=True),
            {
                "toolResult": {
                    "toolUseId": "c",
                    "content": [{"text": "bad"}, {"image": {"format": "gif", "source": {"bytes": "AA=="}}}],
                    "status": "error",
                }
            },
        ),
        (Thinking("hm", OWN), {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}}),
        (Thinking("", OWN, redacted=True), {"reasoningContent": {"redactedContent": "c2ln"}}),
    ],
)
def test_each_part_is_its_block(part: Part, block: object) -> None:
    assert written(part) == [block]


@pytest.mark.parametrize(
    "part",
    [
        Text(""),
        Text(" \n"),
        Text(" ", CacheControl()),
        Thinking("unsigned"),
        OpaquePart("x", "server_tool_use", {}),
    ],
)
def test_what_has_no_place_is_left_out(part: Part) -> None:
    assert written(part) == []


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (Document("text/csv", "AA=="), "csv"),
        (Document("text/html; charset=utf-8", "AA=="), "html"),
        (Document("text/x-python", "AA=="), "txt"),
        (Document("application/json", "AA=="), "txt"),
        (Document("image/svg+xml", "AA=="), "txt"),
        (Document("application/octet-stream", "AA==", name="a.XLSX"), "xlsx"),
        (Document("", "AA==", name="notes.md"), "md"),
        (Document(text="words", name="pdf"), "txt"),
    ],
)
def test_a_document_has_the_format_of_its_type_or_its_name(document: Document, kind: str) -> None:
    (block,) = written(document)
    assert block["document"]["format"] == kind


def test_no_two_documents_have_one_name_and_none_has_odd_characters() -> None:
    names = ["a/b\n c.txt", "a b c txt", "", "…", "x" * 400, "x" * 300]
    result = ToolResult("c", "f", (Document(text="words", name="a b c txt"),))
    blocks = written(*(Document(text="words", name=name) for name in names), result)
    given = [block["document"]["name"] for block in blocks[:-1]]
    given.append(blocks[-1]["toolResult"]["content"][0]["document"]["name"])
    assert given[:4] == ["a b c txt", "a b c txt (2)", "document", "document (2)"]
    assert given[-1] == "a b c txt (3)"
    assert len(set(given)) == len(given)
    assert max(map(len, given)) <= 200


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Image("image/tiff", "AA=="), "image"),
        (Image("image/png", url="https://example.com/a.png"), "image"),
        (Image(file_id="file-1"), "image"),
        (Document("application/zip", "AA=="), "document"),
        (Document("application/pdf", url="https://example.com/a.pdf"), "document"),
        (Audio("AA==", "midi"), "audio"),
        (ToolResult("c", "f", (Image("image/tiff", "AA=="),)), "image"),
    ],
)
def test_what_converse_does_not_take_is_refused_by_its_name(part: Part, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        written(part)
    assert caught.value.param == param
    assert "AA==" not in caught.value.message


def test_a_cache_point_stands_behind_what_is_cached() -> None:
    point = {"cachePoint": {"type": "default"}}
    long = {"cachePoint": {"type": "default", "ttl": "1h"}}
    parts = (Text("a", CacheControl()), Text("b", CacheControl("5m")), Text("c", CacheControl("1h")), Text("d"))
    assert written(*parts) == [{"text": "a"}, point, {"text": "b"}, point, {"text": "c"}, long, {"text": "d"}]
    assert written(*parts, caches=False) == [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": "d"}]


def test_what_is_cached_within_a_result_is_cached_behind_it() -> None:
    result = ToolResult("c", "f", (Text("a", CacheControl("1h")), Text("b")))
    assert [next(iter(block)) for block in written(result)] == ["toolResult", "cachePoint"]
    assert written(result)[0]["toolResult"]["content"] == [{"text": "a"}, {"text": "b"}]
