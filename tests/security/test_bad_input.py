"""Whatever is sent, the answer is the documented error of its surface, never a 500, and the gateway goes on."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from open_llm_auth.server.routes import surface_of

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
MESSAGES = [{"role": "user", "content": "hello"}]
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
#: Every route with a body, and one that it takes.
ROUTES = {
    CHAT: {"model": "fake/fake-model", "messages": MESSAGES},
    EMBED: {"model": "fake/fake-model", "input": "hello"},
    "/v1/responses": {"model": "fake/fake-model", "input": MESSAGES, "tools": [], "instructions": "x", "store": False},
    "/v1/messages": {"model": "fake/fake-model", "messages": MESSAGES, "max_tokens": 9, "system": "x", "tools": []},
    "/v1/messages/count_tokens": {"model": "fake/fake-model", "messages": MESSAGES},
    "/v1beta/models/fake/fake-model:generateContent": {**CONTENTS, "tools": [], "generationConfig": {"topK": 4}},
    "/v1beta/models/fake/fake-model:streamGenerateContent": CONTENTS,
    "/v1beta/models/fake/fake-model:countTokens": CONTENTS,
    "/v1/universal": {"model": "fake/fake-model", "input": MESSAGES, "options": {"n": 1}, "task": {"objective": "x"}},
}
LIMIT = 33_554_432


@pytest.fixture(scope="module")
def house(open_house):
    return open_house()


@pytest.fixture(autouse=True)
def still_well(house):
    """After every case: alive, serving, and no traceback in the log."""
    house.provider.reset()
    yield
    assert house.chat().status == 200
    log = house.gateway.log()
    assert "Traceback" not in log
    assert "Exception in ASGI" not in log


def check(answer, *statuses: int, code: str | None = None, path: str = CHAT) -> dict[str, Any]:
    """The documented shape of the path's surface, without anything of the gateway's inside."""
    assert answer.status in statuses, answer.text()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    document = answer.json()
    error = document["error"]
    match surface_of(path):
        case "openai":
            assert set(document) == {"error"}
            assert set(error) - {"details"} == {"message", "type", "param", "code"}
            assert isinstance(error["type"], str)
        case "universal":
            assert set(document) == {"error"}
            assert set(error) - {"details"} == {"message", "code"}
        case "anthropic":
            assert set(document) == {"type", "error", "request_id"}
            assert set(error) == {"type", "message"}
        case "gemini":
            assert set(document) == {"error"}
            assert set(error) == {"code", "message", "status"}
            assert error["code"] == answer.status
    assert isinstance(error["message"], str)
    assert error["message"]
    assert len(error["message"]) < 3000
    assert "Traceback" not in answer.text()
    assert "site-packages" not in answer.text()
    if code is not None and surface_of(path) in ("openai", "universal"):
        assert error["code"] == code, error
    return error


def post(house, body: bytes, *fields: tuple[str, str], path: str = CHAT):
    return house.ask("POST", path, *fields, body=body)


def document(**fields: Any) -> bytes:
    return json.dumps({"model": "fake/fake-model", "messages": MESSAGES} | fields).encode()


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return b'{"model": "fake/fake-model", "messages": ' + opening * depth + closing * depth + b"}"


NO_JSON = {
    "empty": b"",
    "blanks": b" \r\n\t ",
    "a word": b"hello",
    "a list": b"[]",
    "a list of bodies": b'[{"model": "fake/fake-model"}]',
    "a string": b'"text"',
    "a number": b"7",
    "null": b"null",
    "true": b"true",
    "half": b'{"model": "fake/fake-model", "messages": [',
    "two": b"{}{}",
    "trailing comma": b'{"model": "fake/fake-model",}',
    "single quotes": b"{'model': 'fake/fake-model'}",
    "comment": b'{"model": 1 /* no */}',
    "NaN": b'{"model": NaN}',
    "Infinity": b'{"messages": [], "temperature": -Infinity}',
    "a NUL": b'{"model": "a"\x00}',
    "a form": b"model=fake&messages=hello",
    "XML": b"<?xml version='1.0'?><a/>",
    "multipart": b"--x\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--x--",
    "UTF-16": '{"model": "x"}'.encode("utf-16"),
    "UTF-32": '{"model": "x"}'.encode("utf-32"),
    "Latin-1": '{"model": "caf\xe9", "messages": []}'.encode("latin-1"),
    "a cut character": b'{"model": "\xf0\x9f\x98", "messages": []}',
    "an overlong character": b'{"model": "\xc0\xaf", "messages": []}',
    "a raw surrogate": b'{"model": "\xed\xa0\x80", "messages": []}',
    "100,000 brackets": b"[" * 100_000,
    "100,000 braces": b'{"a":' * 100_000,
    "deep and closed": nested(b"[", b"]", 100_000),
    "deep objects": nested(b'{"a":', b"}", 100_000).replace(b":}", b":1}"),
    "an unclosed string": b'{"model": "' + b"a" * 100_000,
    "a million commas": b"{" + b"," * 1_000_000,
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_object_is_400(house, path, name):
    answer = post(house, NO_JSON[name], path=path)
    check(answer, 400, code="invalid_request", path=path)
    assert house.provider.calls == []


WRONG_TYPES = [7, -1, 1.5, 1e300, True, "", " ", "text", [], [[]], {}, {"a": 1}, [7], [None], 10**400]


#: Lists of what can't be messages are passed on, because nothing below the top level is parsed.
PASSED_ON = ([[]], [7], [None])


def cases() -> list[tuple[str, str, Any]]:
    rows = [
        (CHAT, field, value)
        for field in ("model", "messages", "stream", "stream_options", "n")
        for value in WRONG_TYPES
        if field != "messages" or value not in PASSED_ON
    ]
    rows += [(EMBED, field, value) for field in ("model", "input", "encoding_format") for value in WRONG_TYPES]
    return rows


@pytest.mark.parametrize(("path", "field", "value"), cases(), ids=lambda value: repr(value)[:30])
def test_a_field_of_the_wrong_type_is_named_or_is_the_providers_to_judge(house, path, field, value):
    """Never a 500. What the gateway itself reads it names; what it only passes on arrives unchanged."""
    body = {"model": "fake/fake-model", "messages": MESSAGES, "input": "hello"} | {field: value}
    answer = post(house, json.dumps(body).encode(), path=path)
    if answer.status == 200:
        sent = house.provider.calls[-1].request.json()
        if field not in ("model", "stream", "stream_options"):
            assert sent[field] == value
    else:
        error = check(answer, 400, 404, 403, 422)
        if answer.status == 400 and not house.provider.calls:
            assert error["param"] is not None, error
            assert error["param"].split(".")[0].split("[")[0] == field


ELSEWHERE = [
    (path, field, value)
    for path, body in ROUTES.items()
    if path not in (CHAT, EMBED)
    for field in body
    for value in WRONG_TYPES
]


@pytest.mark.parametrize(("path", "field", "value"), ELSEWHERE, ids=lambda value: repr(value)[:30])
def test_a_field_of_the_wrong_type_is_named_on_every_surface(house, path, field, value):
    """Here the call is read for a provider of another dialect, so that little is only passed on."""
    answer = post(house, json.dumps(ROUTES[path] | {field: value}).encode(), path=path)
    if answer.status != 200:
        error = check(answer, 400, 404, 403, path=path)
        if answer.status == 400 and not house.provider.calls:
            assert f"'{field}" in error["message"] or f"{field}:" in error["message"], error


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", 7), ("model", []), ("model", ""), ("messages", "text"), ("messages", {}), ("messages", None),
     ("messages", 7), ("stream", "yes"), ("stream", 1), ("stream_options", []), ("stream_options", "x")],
)  # fmt: skip
def test_what_the_gateway_reads_it_judges_itself(house, field, value):
    error = check(post(house, document(**{field: value})), 400, code="invalid_request")
    assert error["param"] == field
    assert house.provider.calls == []


def test_a_missing_list_of_messages_is_named(house):
    error = check(post(house, b'{"model": "fake/fake-model"}'), 400, code="invalid_request")
    assert error["param"] == "messages"
    assert house.provider.calls == []


def test_of_a_name_given_twice_one_is_judged_and_the_same_is_sent(house):
    """No second reading: the model that was allowed is the model that goes out, and it goes out once."""
    asked = b'"messages": [{"role": "user", "content": "x"}]}'
    body = b'{"model": "fake/first", "messages": [], "model": "fake/second", ' + asked
    assert post(house, body).status == 200
    sent = house.provider.calls[-1].request.body
    assert sent.count(b'"model"') == 1
    assert json.loads(sent)["model"] == "second"
    assert b"first" not in sent
    escaped = b'{"model": "fake/first", "mod\\u0065l": "fake/second", ' + asked
    assert post(house, escaped).status == 200
    sent = house.provider.calls[-1].request.body
    assert b"first" not in sent
    assert json.loads(sent)["model"] == "second"


@pytest.mark.parametrize(
    "value", ["1" + "0" * 5000, "1e400", "-1e-400", "0." + "1" * 5000, "123456789012345678901234567890", "-0"]
)
def test_numbers_of_any_size_pass_through_untouched(house, value):
    body = b'{"model": "fake/fake-model", "messages": [{"role": "user", "content": "x"}], "seed": %s}' % value.encode()
    answer = post(house, body)
    assert answer.status in (200, 400), answer.text()
    if answer.status == 200:
        assert value.encode() in house.provider.calls[-1].request.body


@pytest.mark.parametrize(
    "model",
    [
        "fake/a\r\nx-injected: yes",
        "fake/a\nset-cookie: a=b",
        "fake/a\x00b",
        "fake/\x1b[31mred",
        "fake/a\u2028b",
        "fake/a\u202eb",
        "fake/\ud800",
        "fake/\udfff\ud800",
        "\r\n\r\nHTTP/1.1 200 OK",
        "a" * 513,
        "/" * 400,
        "fake/" + "a" * 600,
    ],
    ids=lambda text: repr(text[:20]),
)
@pytest.mark.parametrize("path", [path for path, body in ROUTES.items() if "model" in body])
def test_a_models_name_writes_no_header_and_no_second_line(house, path, model):
    answer = post(house, json.dumps(ROUTES[path] | {"model": model}).encode(), path=path)
    check(answer, 400, 404, path=path)
    assert "x-injected" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert all("\r" not in value and "\n" not in value for _, value in answer.fields)
    assert house.provider.calls == []


@pytest.mark.parametrize(
    "model",
    ["fake/a%0D%0Ax-injected:%20yes", "fake/a%00b", "fake/%1b[31mred", "fake/a%E2%80%A8b", "a" * 513,
     "%2F" * 400, ":generateContent", "models/", "fake/..%2F..%2Fx%0a"],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent", "countTokens"])
def test_a_models_name_in_the_address_writes_none_either(house, model, verb):
    path = f"/v1beta/models/{model}:{verb}"
    answer = post(house, json.dumps(CONTENTS).encode(), path=path)
    check(answer, 400, 404, path=path)
    assert "x-injected" not in answer.headers
    assert all("\r" not in value and "\n" not in value for _, value in answer.fields)
    assert house.provider.calls == []


@pytest.mark.parametrize(
    "model", ["fake/caf\xe9", "fake/\u65e5\u672c\u8a9e", "fake/\U0001f600", "fake/a b", "fake/a'\"<>&%0d%0a"]
)
def test_a_name_that_ascii_can_not_hold_is_escaped_in_the_header(house, model):
    answer = post(house, document(model=model))
    assert answer.status == 200
    assert answer.headers["x-gateway-model"].isascii()
    assert house.provider.calls[-1].request.json()["model"] == model.removeprefix("fake/")


@pytest.mark.parametrize(
    "profile",
    ["none", "fake:none", "::", ":", "a" * 5000, "../../etc/passwd", "fake:x\ty", "\xff\xfe", "openai:default",
     "config:", "env:HOME", "file:/etc/passwd", "${HOME}", "cmd:id", "null", "*", "fake:*", "[REDACTED]"],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_a_profile_that_is_none_is_404_and_nothing_is_sent(house, profile):
    check(house.chat("fake/fake-model", ("X-Auth-Profile", profile)), 404, code="profile_not_found")
    assert house.provider.calls == []


def test_an_empty_profile_is_none_asked_for(house):
    assert house.chat("fake/fake-model", ("X-Auth-Profile", "  ")).status == 200


# --- encodings and sizes ---------------------------------------------------------------------------------------


def bomb(size: int = 400 << 20) -> bytes:
    """Some 400 kB of gzip that are 400 MB of blanks."""
    packer = zlib.compressobj(9, wbits=31)
    block = b" " * (1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(size >> 20)), packer.flush()])


def zstd_bomb(size: int = 400 << 20) -> bytes:
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    block = b" " * (1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(size >> 20)), packer.flush()])


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def resident(house) -> int:
    """Kilobytes the gateway holds, where the system tells."""
    status = Path(f"/proc/{house.gateway.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


@pytest.mark.parametrize(("encoding", "make"), [("gzip", bomb), ("zstd", zstd_bomb)])
def test_a_bomb_is_413_and_is_not_unpacked(house, encoding, make):
    packed = make()
    assert len(packed) < 1 << 20
    check(post(house, packed, ("Content-Encoding", encoding)), 413, code="request_too_large")
    assert resident(house) < 400 << 10


def test_packed_bodies_are_read(house):
    for encoding, packed in (
        ("gzip", gzip.compress(document())),
        ("x-gzip", gzip.compress(document())),
        ("GZip", gzip.compress(document())),
        ("zstd", zstandard.compress(document())),
        ("identity", document()),
    ):
        assert post(house, packed, ("Content-Encoding", encoding)).status == 200


PACKED_WRONG = {
    "gzip that is plain": ("gzip", document(), 400),
    "zstd that is plain": ("zstd", document(), 400),
    "gzip that is zstd": ("gzip", zstandard.compress(document()), 400),
    "gzip cut short": ("gzip", gzip.compress(document())[:-5], 400),
    "gzip and more": ("gzip", gzip.compress(document()) + b"more", 400),
    "gzip twice over": ("gzip", gzip.compress(gzip.compress(document())), 400),
    "gzip with a wrong sum": ("gzip", gzip.compress(document())[:-8] + b"\0" * 8, 400),
    "zstd cut short": ("zstd", zstandard.compress(document())[:-3], 400),
    "zstd and more": ("zstd", zstandard.compress(document()) + b"more", 400),
    "zstd with a window of terabytes": ("zstd", b"\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00", 400),
    "plain that is gzip": ("identity", gzip.compress(document()), 400),
    "deflate": ("deflate", zlib.compress(document()), 415),
    "br": ("br", b"x", 415),
    "two": ("gzip, gzip", gzip.compress(gzip.compress(document())), 415),
    "nonsense": ("\xff" * 100, b"x", 415),
}


@pytest.mark.parametrize("name", PACKED_WRONG)
def test_what_does_not_unpack_is_told_apart_from_what_is_not_understood(house, name):
    encoding, body, status = PACKED_WRONG[name]
    answer = post(house, body, ("Content-Encoding", encoding))
    check(answer, status, code="invalid_request" if status == 400 else "unsupported_content_encoding")
    assert house.provider.calls == []


def test_an_encoding_said_twice_is_refused(house):
    twice = (("Content-Encoding", "gzip"), ("Content-Encoding", "identity"))
    check(post(house, gzip.compress(document()), *twice), 400, code="invalid_request")


def test_one_byte_more_than_the_limit_is_413_however_it_comes(house, written):
    """Announced, packed, or in chunks whose end nobody knows."""
    announced = written("POST", CHAT, ("Content-Length", str(LIMIT + 1)), token=house.gateway.token)
    check(house.raw(house.gateway.port, announced, method="POST"), 413, code="request_too_large")
    packed = gzip.compress(b" " * (LIMIT + 1))
    check(post(house, packed, ("Content-Encoding", "gzip")), 413, code="request_too_large")
    head = written("POST", CHAT, ("Transfer-Encoding", "chunked"), token=house.gateway.token)
    block = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    pieces = [head, *([block] * 33)]
    check(house.raw(house.gateway.port, *pieces, method="POST"), 413, code="request_too_large")
    assert house.provider.calls == []


def test_33_megabytes_of_message_are_refused_and_32_pass(house):
    filler = "x" * (LIMIT - len(document()))
    body = document(messages=[{"role": "user", "content": "hello" + filler[:-64]}])
    assert LIMIT - 100 < len(body) <= LIMIT
    assert post(house, body).status == 200
    check(post(house, body + b" " * (1 << 20)), 413, code="request_too_large")


# --- HTTP itself -----------------------------------------------------------------------------------------------


def malformed(token: str) -> dict[str, bytes]:
    credential = f"Authorization: Bearer {token}\r\n".encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n" + credential
    return {
        "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n",
        "no version": b"GET\r\n\r\n",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a length and chunks": head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunks and a length": head + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "two lengths": head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "a list of lengths": head + b"Content-Length: 2, 2\r\n\r\n{}",
        "a negative length": head + b"Content-Length: -2\r\n\r\n{}",
        "a signed length": head + b"Content-Length: +2\r\n\r\n{}",
        "a hexadecimal length": head + b"Content-Length: 0x2\r\n\r\n{}",
        "a length of thirty digits": head + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        "chunks that are none": head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "a negative chunk": head + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        "a chunk of terabytes": head + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n{}\r\n",
        "an encoding after chunked": head + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "a misspelt encoding": head + b"Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}",
        "a blank before the colon": head + b"Content-Length : 2\r\n\r\n{}",
        "a folded line": head + b"X-A: b\r\n c\r\n\r\n",
        "a name with a blank": head + b"X A: b\r\n\r\n",
        "a NUL in a value": head + b"X-A: b\x00c\r\n\r\n",
        "a bare CR in a value": head + b"X-A: b\rc\r\n\r\n",
        "no colon": head + b"X-A\r\n\r\n",
        "no name": head + b": x\r\n\r\n",
        "a lower-case method": b"get / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "an unknown method": b"FROBNICATE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    }


@pytest.mark.parametrize("name", malformed(""))
def test_what_is_not_http_is_400_and_the_connection_ends(house, name):
    """There is no surface yet to shape the error for. What matters: no second request, no crash, no silence."""
    data = malformed(house.gateway.token)[name]
    smuggled = f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {house.gateway.token}\r\n\r\n"
    answer = house.raw(house.gateway.port, data + smuggled.encode(), method="POST", seconds=5)
    assert 400 <= answer.status < 500, answer.text()
    assert b"fake-model" not in answer.body
    assert house.provider.calls == []


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "PROPFIND", "SEARCH", "PURGE"]
)
def test_other_methods_are_405_and_name_those_there_are(house, method):
    for path, allow in ((CHAT, "POST"), (EMBED, "POST"), ("/v1/models", "GET"), ("/v1/models/x", "GET")):
        answer = house.ask(method, path)
        assert answer.status == 405
        assert answer.headers["allow"] == allow
        if method != "HEAD":
            check(answer, 405, code="method_not_allowed")
    assert house.ask("TRACE", "/", ("X-Secret", "mine")).body.count(b"mine") == 0


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/completions", "/v1/models/", "/v1/models/none"]
)
def test_what_is_not_there_is_404_in_the_shape_of_its_surface(house, path):
    if path == "/v1":
        assert house.ask("GET", path).code == "not_found"
    else:
        check(house.ask("GET", path), 404)


def test_the_body_of_a_client_that_leaves_is_nobodys(house, written):
    head = written("POST", CHAT, ("Content-Length", "1000"), token=house.gateway.token)
    with pytest.raises((ConnectionError, TimeoutError, OSError)):
        house.raw(house.gateway.port, head + b'{"model": ', method="POST", seconds=0.3)
    assert house.provider.calls == []


def test_what_a_provider_lists_is_listed_only_if_it_can_be_said(open_house):
    """Names with line breaks, lone surrogates, numbers and depth: the list still answers."""
    from open_llm_auth.testing import Behaviour

    rows = [
        {"id": "good"},
        {"id": "a\r\nb"},
        {"id": 7},
        {"id": ""},
        {"id": "x" * 9999},
        None,
        [],
        "bare",
    ]
    house = open_house(
        providers={}, authorization={"tokens": {"c": {"token": "bad-input", "scopes": ["read", "write"]}}}
    )
    row = {"auth": "api-key", "api": "openai-completions"}
    house.provider.keys = None
    for body in (
        json.dumps({"data": rows}).encode(),
        b"[" * 100_000,
        b'{"data": 7}',
        b"\xff",
        b'{"data": [' + b"{}," * 9999,
    ):
        house.provider.behaviour = Behaviour(body=body)
        url = house.provider.base_url
        # A new key is a new question.
        config = house.config | {"providers": {"fake": {"baseUrl": url, "apiKey": f"key-number-{len(body)}", **row}}}
        house.gateway.write_config(config)
        house.provider.exchanges.clear()
        wait_until(lambda: bool(house.provider.requests))
        answer = house.ask("GET", "/v1/models", token="bad-input")
        assert answer.status == 200, answer.text()
        listed = {row["id"] for row in answer.json()["data"]}
        assert listed <= {"fake/good", "fake/bare"}
        if body.startswith(b'{"data": [{"id": "good"'):
            assert listed == {"fake/good", "fake/bare"}
