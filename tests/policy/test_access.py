"""Who may call: tokens, scopes, allow-lists, Host and Origin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import HostNotAllowed, InsufficientScope, OriginNotAllowed, Unauthenticated
from open_llm_auth.policy import access
from open_llm_auth.values import Caller, TokenTable

NOW = 1_800_000_000.0
CI = Caller(subject="ci", scopes=frozenset({"read", "write"}))
TABLE = TokenTable({access.digest("tok-ci"): CI}, configured=1)


def find(headers, table=TABLE, *, anonymous=False):
    return access.find_caller(table, access.presented_token(headers), NOW, anonymous=anonymous)


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer tok-ci"},
        {b"authorization": b"bearer   tok-ci "},
        {b"x-api-key": b"tok-ci"},
        {b"x-goog-api-key": b"tok-ci"},
        {b"authorization": b"Bearer tok-ci", b"x-api-key": b"other"},
    ],
)
def test_every_way_a_client_sends_its_key_is_the_same_credential(headers):
    assert find(headers) is CI


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b""},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic dG9rLWNp"},
        {b"authorization": b"Bearer wrong", b"x-api-key": b"tok-ci"},
        {b"authorization": b"Basic eDp5", b"x-api-key": b"tok-ci"},
        {b"x-api-key": b"tok-ci\x00"},
        {b"x-api-key": "tök".encode("latin-1")},
        {b"cookie": b"token=tok-ci"},
    ],
)
def test_anything_else_is_nobody(headers):
    with pytest.raises(Unauthenticated) as caught:
        find(headers)
    assert caught.value.status == 401
    assert caught.value.headers == (("www-authenticate", "Bearer"),)


def test_a_stored_hash_is_not_a_login():
    for spelled in (access.digest("tok-ci").hex(), f"sha256:{access.digest('tok-ci').hex()}"):
        with pytest.raises(Unauthenticated):
            find({b"x-api-key": spelled.encode()})


def test_with_nothing_configured_the_message_says_how_to_set_a_token():
    with pytest.raises(Unauthenticated, match="open-llm-auth tokens create"):
        find({}, TokenTable())


def test_anonymous_mode_takes_a_made_up_key_because_sdks_insist_on_one():
    assert find({b"authorization": b"Bearer unused"}, TokenTable(), anonymous=True).admin
    assert find({}, TokenTable(), anonymous=True).kind == "anonymous"


def test_an_expired_token_says_so():
    table = TokenTable({access.digest("old"): Caller("old", expires_at=int(NOW * 1000))}, configured=1)
    with pytest.raises(Unauthenticated, match="'old' has expired"):
        find({b"x-api-key": b"old"}, table)


@pytest.mark.parametrize("scope", ["read", "write"])
def test_scopes_imply_nothing(scope):
    other = {"read": "write", "write": "read"}[scope]
    caller = Caller("c", scopes=frozenset({scope}))
    access.check_scope(caller, scope)
    for lacking in (other, "admin"):
        with pytest.raises(InsufficientScope) as caught:
            access.check_scope(caller, lacking)
        assert caught.value.details["required"] == lacking


def test_a_scope_named_admin_is_not_admin():
    with pytest.raises(InsufficientScope):
        access.check_scope(Caller("c", scopes=frozenset({"admin"})), "admin")


def test_admin_implies_all():
    for scope in ("read", "write", "admin"):
        access.check_scope(Caller("root", admin=True), scope)


def test_absent_allow_lists_allow_and_empty_ones_do_not():
    assert access.allows(Caller("c"), "openai", "gpt-4o", "openai:default")
    assert not access.allows(Caller("c", models=()), "openai", "gpt-4o", "openai:default")


@pytest.mark.parametrize(
    ("caller", "allowed"),
    [
        (Caller("c", models=("gpt-4o*",)), True),
        (Caller("c", models=("openai/*",)), True),
        (Caller("c", models=("GPT-4O",)), True),
        (Caller("c", models=("anthropic/*",)), False),
        (Caller("c", providers=("open*",)), True),
        (Caller("c", providers=("groq",)), False),
        (Caller("c", profiles=("openai:work",)), False),
        (Caller("c", models=("*",), providers=("openai",), profiles=("*:default",)), True),
        (Caller("c", models=("*",), providers=("openai",), profiles=("env:*",)), False),
    ],
)
def test_allow_lists_are_globs_and_all_must_match(caller, allowed):
    assert access.allows(caller, "openai", "gpt-4o", "openai:default") is allowed


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST.",
        "app.localhost:1",
        "127.0.0.1:8080",
        "192.168.1.5",
        "[::1]:8080",
        "host.docker.internal:8080",
        "gateway.lan",
        "GATEWAY.lan:443",
    ],
)
def test_loopback_names_addresses_and_listed_hosts_are_answered(host):
    access.check_host(host, {"gateway.lan"})


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":8080",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "gateway.lan.evil.example",
        "127.0.0.1@evil.example",
        "localhost:80:evil",
        "[::1]evil",
        "localhost/evil",
        "2130706433",
    ],
)
def test_any_other_name_is_refused_with_the_setting_that_helps(host):
    with pytest.raises(HostNotAllowed, match=r"server\.allowedHosts") as caught:
        access.check_host(host, {"gateway.lan"})
    assert caught.value.status == 421


@given(st.text())
def test_no_host_breaks_the_check(host):
    try:
        access.check_host(host, ())
    except HostNotAllowed as error:
        assert len(error.message) < 1000


def test_the_own_origin_needs_no_cors_and_listed_ones_do():
    assert access.check_origin("http://localhost:8080", "http://localhost:8080", ()) is False
    assert access.check_origin("app://obsidian.md", "http://localhost:8080", {"app://obsidian.md"}) is True


@pytest.mark.parametrize("origin", ["null", "http://localhost:3000", "https://localhost:8080", "http://evil.example"])
def test_other_origins_are_refused_with_the_setting_that_helps(origin):
    with pytest.raises(OriginNotAllowed, match=r"server\.corsOrigins"):
        access.check_origin(origin, "http://localhost:8080", ())
