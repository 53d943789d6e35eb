"""What only the gateway may know, kept out of what providers say."""

from dataclasses import replace

from open_llm_auth.config import EnvironmentSecrets, compile_snapshot
from open_llm_auth.config.document import Document
from open_llm_auth.errors import UpstreamHTTPError
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.server.hiding import Hiding
from open_llm_auth.values import Credential, Secret

PROFILE, HEADER, VARIABLE, SENT = "profile-secret-1", "header-secret-22", "variable-secret-3", "sent-secret-4444"
ENVIRONMENT = {"GROQ_API_KEY": VARIABLE, "AWS_SESSION_TOKEN": "session-token-55555"}
SECRETS = EnvironmentSecrets(ENVIRONMENT)
DATA = {
    "authProfiles": {"openai:default": {"provider": "openai", "type": "api_key", "key": PROFILE}},
    "providers": {"openai": {"headers": {"X-Team": HEADER}}},
}
SNAPSHOT = compile_snapshot(Document(DATA, "etag", True, ()), SECRETS, load_catalog(), ENVIRONMENT)
CREDENTIAL = Credential("openai:default", "openai", "profile", "api_key", Secret(SENT))
HIDING = Hiding(SECRETS)


def test_whatever_the_snapshot_can_reach_is_hidden_and_the_key_that_was_sent():
    hide = HIDING.scrubber(SNAPSHOT, CREDENTIAL)
    said = hide(f"{PROFILE} {HEADER} {VARIABLE} {SENT} session-token-55555 stays")
    assert said == "[REDACTED] [REDACTED] [REDACTED] [REDACTED] [REDACTED] stays"


def test_a_header_of_an_error_that_holds_a_secret_is_dropped_and_the_others_stay():
    error = UpstreamHTTPError("no", headers=(("retry-after", "3"), ("x-ratelimit-note", f"for {SENT}")))
    HIDING.clean(error, HIDING.scrubber(SNAPSHOT, CREDENTIAL))
    assert error.headers == (("retry-after", "3"),)


def test_rate_limits_are_passed_on_unless_they_hold_the_key():
    honest = ((b"x-ratelimit-remaining-requests", b"12"), (b"x-ratelimit-reset-requests", b"6m0s"))
    hostile = (b"x-ratelimit-limit-tokens", SENT.encode())
    told = (*honest, hostile, (b"server", b"edge"))
    assert HIDING.rate_limits(SNAPSHOT, CREDENTIAL, told) == honest


def test_a_key_of_digits_is_no_amount():
    digits = replace(CREDENTIAL, secret=Secret("1234567890123"))
    assert HIDING.rate_limits(SNAPSHOT, digits, ((b"x-ratelimit-limit", b"1234567890123"),)) == ()


def test_tokens_that_were_renewed_a_moment_ago_are_hidden_too():
    hiding = Hiding(SECRETS, lambda: (Secret("spent-token-666"), Secret("fresh-token-777")))
    hide = hiding.scrubber(SNAPSHOT, CREDENTIAL)
    assert hide(f"spent-token-666 fresh-token-777 {PROFILE}") == "[REDACTED] [REDACTED] [REDACTED]"
