"""Every route against every kind of credential: what the route table promises is what a real gateway does (SPEC §2)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass

import pytest

from open_llm_auth.server.routes import ROUTES, Route, surface_of

from .conftest import RawAnswer

READ, WRITE, BARE, ADMIN = "matrix-read", "matrix-write", "matrix-bare", "matrix-admin"
DISABLED, EXPIRED, FRESH, LEGACY = "matrix-disabled", "matrix-expired", "matrix-fresh", "matrix-legacy"
HASHED = "ola-matrix-" + "0123456789abcdef" * 4
HASH = hashlib.sha256(HASHED.encode()).hexdigest()
YEAR_MS = 365 * 86_400_000

#: No list of scopes: nobody is known by it.
NOBODY = None
EVERYTHING = frozenset({"read", "write", "admin"})


def tokens() -> dict[str, object]:
    now = int(time.time() * 1000)
    scoped = {"scopes": ["read", "write"]}
    return {
        "read": {"token": READ, "scopes": ["read"]},
        "write": {"token": WRITE, "scopes": ["write"]},
        "bare": {"token": BARE, "scopes": []},
        "admin": {"token": ADMIN, "admin": True},
        "disabled": {"token": DISABLED, "enabled": False, "admin": True},
        "expired": {"token": EXPIRED, "expiresAt": now - 1000, "admin": True},
        "fresh": {"token": FRESH, "expiresAt": now + YEAR_MS, **scoped},
        "hashed": {"tokenHash": f"sha256:{HASH}", **scoped},
    }


def basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"user:{token}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Knock:
    """What a client sends to be let in, and the scopes that it then has."""

    name: str
    fields: tuple[tuple[str, str], ...]
    scopes: frozenset[str] | None


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),)


KNOCKS = (
    Knock("no token", (), NOBODY),
    Knock("a wrong token", bearer("matrix-wrong"), NOBODY),
    Knock("an empty bearer", (("Authorization", "Bearer "),), NOBODY),
    Knock("the scheme alone", (("Authorization", "Bearer"),), NOBODY),
    Knock("the token without a scheme", (("Authorization", ADMIN),), NOBODY),
    Knock("a token's beginning", bearer(ADMIN[:-1]), NOBODY),
    Knock("a token and more", bearer(ADMIN + "x"), NOBODY),
    Knock("the token in capitals", bearer(ADMIN.upper()), NOBODY),
    Knock("two tokens", bearer(f"{READ} {WRITE}"), NOBODY),
    Knock("bytes that are not UTF-8", bearer("\xff\xfe\xfd"), NOBODY),
    Knock("a token's id", bearer("admin"), NOBODY),
    Knock("read only", bearer(READ), frozenset({"read"})),
    Knock("write only", bearer(WRITE), frozenset({"write"})),
    Knock("no scopes", bearer(BARE), frozenset()),
    Knock("admin", bearer(ADMIN), EVERYTHING),
    Knock("a scheme in lower case", (("Authorization", f"bearer {READ}"),), frozenset({"read"})),
    Knock("blanks around the token", (("Authorization", f"Bearer   {READ}  "),), frozenset({"read"})),
    Knock("disabled", bearer(DISABLED), NOBODY),
    Knock("expired", bearer(EXPIRED), NOBODY),
    Knock("not yet expired", bearer(FRESH), frozenset({"read", "write"})),
    Knock("stored hashed", bearer(HASHED), frozenset({"read", "write"})),
    Knock("the hash itself", bearer(f"sha256:{HASH}"), NOBODY),
    Knock("the digits of the hash", bearer(HASH), NOBODY),
    Knock("legacy", bearer(LEGACY), EVERYTHING),
    Knock("basic authentication", (("Authorization", basic(ADMIN)),), NOBODY),
    Knock("basic, beside a good x-api-key", (("Authorization", basic(ADMIN)), ("x-api-key", ADMIN)), NOBODY),
    Knock("x-api-key", (("x-api-key", READ),), frozenset({"read"})),
    Knock("x-goog-api-key", (("x-goog-api-key", WRITE),), frozenset({"write"})),
    Knock("a wrong x-api-key", (("x-api-key", "matrix-wrong"),), NOBODY),
    Knock("an empty x-api-key", (("x-api-key", ""),), NOBODY),
    Knock("x-api-key before x-goog-api-key", (("x-api-key", READ), ("x-goog-api-key", ADMIN)), frozenset({"read"})),
    Knock("a wrong x-api-key before a good other", (("x-api-key", "no"), ("x-goog-api-key", ADMIN)), NOBODY),
    Knock("Authorization wins", (*bearer(READ), ("x-api-key", ADMIN)), frozenset({"read"})),
    Knock("a wrong Authorization wins too", (*bearer("matrix-wrong"), ("x-api-key", ADMIN)), NOBODY),
    Knock("a cookie", (("Cookie", f"token={ADMIN}; Authorization=Bearer {ADMIN}; x-api-key={ADMIN}"),), NOBODY),
    Knock("proxy authorization", (("Proxy-Authorization", f"Bearer {ADMIN}"),), NOBODY),
    Knock("a forwarded user", (("X-Forwarded-User", "admin"), ("Forwarded", "for=127.0.0.1")), NOBODY),
)

CHAT = {"model": "fake/fake-model", "messages": [{"role": "user", "content": "hello"}]}

MESSAGES = {**CHAT, "max_tokens": 64}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}

#: The body of a request that succeeds, for each row that takes one.
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": {"model": "fake/fake-embedding", "input": "hello"},
    "/v1/responses": {"model": "fake/fake-model", "input": "hello"},
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": CHAT,
    **{
        f"/{version}/models/{{model}}:{verb}": CONTENTS
        for version in ("v1", "v1beta")
        for verb in ("generateContent", "streamGenerateContent", "countTokens")
    },
    "/v1/universal": {"model": "fake/fake-model", "input": CHAT["messages"]},
}
PARAMETERS = {"{path}": "page.css", "{model}": "fake/fake-model", "{call_id}": "call_nobody-made"}
#: Rows that are there to say no, in words that a client waits for, and one whose sample is not there.
REFUSALS = {("GET", "/v1/responses"): 405, ("GET", "/config/calls/{call_id}"): 404}


def sample(route: Route) -> tuple[str, bytes]:
    path = route.path
    for name, value in PARAMETERS.items():
        path = path.replace(name, value)
    assert "{" not in path, f"{route.path} needs a sample here"
    assert route.method != "POST" or route.path in BODIES, f"{route.path} needs a sample here"
    return path, json.dumps(BODIES[route.path]).encode() if route.method == "POST" else b""


def check_refusal(answer: RawAnswer, route: Route, status: int, code: str) -> None:
    """In the shape of the row's surface; Anthropic's and Google's clients know errors by words of their own."""
    error = answer.json()["error"]
    match surface_of(route.path):
        case "anthropic":
            words = {401: "authentication_error", 403: "permission_error"}
            assert (answer.json()["type"], error["type"]) == ("error", words[status])
        case "gemini":
            words = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
            assert (error["code"], error["status"]) == (status, words[status])
        case _:
            assert error["code"] == code
            if status == 403:
                assert error["details"]["required"] == route.scope
    if status == 403:
        assert repr(route.scope) in error["message"]


@pytest.fixture(scope="module")
def matrix(open_house):
    return open_house(authorization={"tokens": tokens()}, serverToken=LEGACY, token=READ)


@pytest.mark.parametrize("knock", KNOCKS, ids=lambda knock: knock.name)
def test_every_route_answers_as_its_row_says(matrix, knock):
    """The status follows from the scope of the row and the scopes of the caller, and from nothing else."""
    for route in ROUTES:
        path, body = sample(route)
        answer = matrix.ask(route.method, path, *knock.fields, token=None, body=body)
        where = f"{route.method} {route.path}: {answer.text()}"
        assert "access-control-allow-origin" not in answer.headers, where
        if route.scope is None or (knock.scopes is not None and route.scope in knock.scopes):
            assert answer.status == REFUSALS.get((route.method, route.path), 200), where
        elif knock.scopes is NOBODY:
            assert answer.status == 401, where
            assert answer.headers["www-authenticate"] == "Bearer", where
            check_refusal(answer, route, 401, "authentication_required")
        else:
            assert answer.status == 403, where
            assert "www-authenticate" not in answer.headers, where
            check_refusal(answer, route, 403, "insufficient_scope")


CALLS = [route for route in ROUTES if route.method == "POST"]


def test_refused_calls_never_reached_the_provider(matrix):
    matrix.provider.reset()
    for route in CALLS:
        path, body = sample(route)
        for knock in KNOCKS:
            if knock.scopes is None or route.scope not in knock.scopes:
                matrix.ask("POST", path, *knock.fields, token=None, body=body)
    assert matrix.provider.calls == []


def test_the_token_of_a_client_never_goes_to_a_provider(matrix, provider_key):
    """Least of all the one that is sent in the place where providers of another dialect have theirs."""
    matrix.provider.reset()
    for route in CALLS:
        token = WRITE if route.scope == "write" else READ
        path, body = sample(route)
        for fields in ((("Authorization", f"Bearer {token}"),), (("x-api-key", token),), (("x-goog-api-key", token),)):
            fields += (("Cookie", f"session={token}"), ("OpenAI-Organization", "org-of-the-client"))
            assert matrix.ask("POST", path, *fields, token=None, body=body).status == 200
    assert len(matrix.provider.calls) == 3 * sum(route.scope == "write" for route in CALLS)
    for request in matrix.provider.requests:
        assert request.key == provider_key
        assert READ not in repr(request.headers)
        assert WRITE not in repr(request.headers)
        assert not {"x-api-key", "x-goog-api-key", "cookie"} & set(request.fields)


def test_a_credential_said_twice_is_refused_rather_than_chosen_from(matrix):
    for name, good, bad in (
        ("Authorization", f"Bearer {ADMIN}", f"Bearer {READ}"),
        ("x-api-key", ADMIN, READ),
        ("x-goog-api-key", ADMIN, READ),
    ):
        for first, second in ((good, bad), (bad, good), (good, good)):
            answer = matrix.ask("GET", "/v1/models", (name, first), (name, second), token=None)
            assert (answer.status, answer.code) == (400, "invalid_request")


def test_a_token_in_the_address_is_nobodys(matrix):
    for query in (f"?key={ADMIN}", f"?api_key={ADMIN}", f"?access_token={ADMIN}", f"?token={ADMIN}"):
        answer = matrix.ask("GET", f"/v1/models{query}", token=None)
        assert answer.status == 401
    assert ADMIN not in matrix.gateway.log()


def test_the_401_arrives_while_the_body_is_still_to_come(matrix, written):
    """Thirty megabytes are announced and none is sent: the refusal does not wait for them."""
    announced = (("Content-Length", "30000000"), ("Content-Type", "application/json"))
    for credential, status in (((), 401), (bearer("matrix-wrong"), 401), (bearer(READ), 403)):
        head = written("POST", "/v1/chat/completions", *announced, *credential)
        assert matrix.raw(matrix.gateway.port, head, method="POST", seconds=3).status == status


def test_a_client_that_waits_for_100_continue_is_refused_without_it(matrix, written):
    head = written("POST", "/v1/chat/completions", ("Expect", "100-continue"), ("Content-Length", "30000000"))
    assert matrix.raw(matrix.gateway.port, head, method="POST", seconds=3).status == 401


def test_a_megabyte_sent_after_the_refusal_is_not_taken_for_a_second_request(matrix, written):
    smuggled = written("GET", "/v1/models", token=ADMIN)
    head = written("POST", "/v1/chat/completions", body=smuggled + b" " * 1_000_000)
    answer = matrix.raw(matrix.gateway.port, head, method="POST")
    assert answer.status == 401
    assert b"fake-model" not in answer.body


def test_readiness_is_a_word_to_strangers_and_details_to_readers(matrix):
    for knock in KNOCKS:
        answer = matrix.ask("GET", "/health/ready", *knock.fields, token=None).json()
        told = knock.scopes is not None and "read" in knock.scopes
        details = {"config", "providers", "resting", "counts"} if told else set()
        assert set(answer) == {"status", *details}, knock.name


@pytest.fixture(scope="module")
def without_legacy(open_house):
    authorization = {"tokens": {"read": {"token": READ, "scopes": ["read"]}}, "legacyAdminCompatibility": False}
    environ = {"OPEN_LLM_AUTH_TOKEN": "matrix-environment", "OPEN_LLM_AUTH_ALLOW_ANON": "1"}
    return open_house(authorization=authorization, serverToken=LEGACY, environ=environ, token=READ)


@pytest.mark.parametrize("token", [LEGACY, "matrix-environment", ""])
def test_legacy_tokens_are_nobodys_when_they_are_switched_off(without_legacy, token):
    """Nor does their being off make anybody anonymous."""
    fields = bearer(token) if token else ()
    for route in ROUTES:
        path, body = sample(route)
        answer = without_legacy.ask(route.method, path, *fields, token=None, body=body)
        assert answer.status == (200 if route.scope is None else 401), route.path


def test_the_legacy_token_of_the_config_silences_that_of_the_environment(open_house):
    house = open_house(serverToken=LEGACY, environ={"OPEN_LLM_AUTH_TOKEN": "matrix-environment"})
    assert house.ask("GET", "/v1/models", token=LEGACY).status == 200
    assert house.ask("GET", "/v1/models", token="matrix-environment").status == 401
