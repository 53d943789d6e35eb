"""Allow-lists of a token, judged on what each attempt resolved to, on every surface (SPEC §2, §5)."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from open_llm_auth.testing import FakeProvider

from ..ways_in import WAYS

ALPHA, ALPHA_TWO, BETA = "sk-canary-alpha-0001", "sk-canary-alpha-0002", "sk-canary-beta-0001"
SCOPES = {"scopes": ["read", "write"]}


def token(name: str, **lists: list[str]) -> dict[str, object]:
    return {"token": f"allow-{name}", **SCOPES, **lists}


TOKENS = {
    "all": token("all"),
    "nothing": token("nothing", models=[]),
    "no-provider": token("no-provider", providers=[]),
    "no-profile": token("no-profile", profiles=[]),
    "small": token("small", models=["small"]),
    "alpha-only": token("alpha-only", providers=["alpha"]),
    "alpha-small": token("alpha-small", models=["alpha/small*"]),
    "first-key": token("first-key", profiles=["alpha:one"]),
    "alpha-keys": token("alpha-keys", profiles=["alpha:*"]),
    "both": token("both", models=["*"], providers=["beta"]),
    "odd": token("odd", models=["[", "alpha/[s]mall"]),
    "upper": token("upper", models=["ALPHA/SMALL"]),
    "owner": token("owner"),
}


@pytest.fixture(scope="module")
def house(open_house):
    """alpha with two keys and a third that belongs to `owner`, falling back to beta."""
    names = ("small", "large")
    with FakeProvider(keys=(ALPHA, ALPHA_TWO), models=names) as alpha, FakeProvider(keys=(BETA,), models=names) as beta:
        profiles = {
            "alpha:one": {"provider": "alpha", "type": "api_key", "key": ALPHA},
            "alpha:two": {"provider": "alpha", "type": "api_key", "key": ALPHA_TWO},
            "beta:default": {"provider": "beta", "type": "api_key", "key": BETA},
            "gamma:private": {"provider": "gamma", "type": "api_key", "key": ALPHA, "owner": "owner"},
        }
        models = [{"id": name, "name": name} for name in names]
        row = {"auth": "api-key", "api": "openai-completions", "models": models}
        house = open_house(
            authProfiles=profiles,
            authOrder={"alpha": ["alpha:one", "alpha:two"]},
            providers={
                "alpha": {"baseUrl": alpha.base_url, **row},
                "beta": {"baseUrl": beta.base_url, **row},
                "gamma": {"baseUrl": alpha.base_url, **row},
            },
            providerFallback={"order": {"alpha": ["beta"]}},
            authorization={"tokens": TOKENS},
            egressPolicy={"allowLocalProviders": ["alpha", "beta", "gamma"]},
            token="allow-all",
        )
        yield house, alpha, beta


@pytest.fixture(autouse=True)
def fresh(request):
    if "house" in request.fixturenames:
        _, alpha, beta = request.getfixturevalue("house")
        alpha.reset()
        beta.reset()


def listed(house, name: str) -> set[str]:
    answer = house.ask("GET", "/v1/models", token=f"allow-{name}")
    assert answer.status == 200
    return {row["id"] for row in answer.json()["data"]}


EVERYTHING = {f"{provider}/{model}" for provider in ("alpha", "beta") for model in ("small", "large")}
LISTS = {
    "all": EVERYTHING,
    "nothing": set(),
    "no-provider": set(),
    "no-profile": set(),
    "small": {"alpha/small", "beta/small"},
    "alpha-only": {"alpha/small", "alpha/large"},
    "alpha-small": {"alpha/small"},
    "first-key": {"alpha/small", "alpha/large"},
    "alpha-keys": {"alpha/small", "alpha/large"},
    "both": {"beta/small", "beta/large"},
    "odd": {"alpha/small"},
    "upper": {"alpha/small"},
    "owner": EVERYTHING | {"gamma/small", "gamma/large"},
}


def listed_elsewhere(house, name: str) -> list[set[str]]:
    """The same list as other vendors' clients are given it."""
    answers = [
        house.ask("GET", "/v1/models", ("anthropic-version", "2023-06-01"), token=f"allow-{name}").json(),
        house.ask("GET", "/v1/models", ("x-goog-api-client", "genai"), token=f"allow-{name}").json(),
        house.ask("GET", "/v1beta/models", token=f"allow-{name}").json(),
    ]
    rows = [answer.get("data", answer.get("models")) for answer in answers]
    return [{(row.get("id") or row["name"]).removeprefix("models/") for row in listing} for listing in rows]


def calls_of(reference: str) -> list[tuple[str, dict[str, object]]]:
    """A call of the model on every surface, plain and streamed."""
    found = [
        (way.target(reference, stream=stream), way.body(reference, stream=stream))
        for way in WAYS.values()
        for stream in (False, True)
    ]
    return [*found, ("/v1/embeddings", {"model": reference, "input": "x"})]


def counts_of(reference: str) -> list[tuple[str, dict[str, object]]]:
    """A question for its tokens, which is answered here for providers of another dialect."""
    messages = {"model": reference, "messages": [{"role": "user", "content": "x"}]}
    contents = WAYS["gemini"].body(reference)
    return [("/v1/messages/count_tokens", messages), (f"/v1beta/models/{reference}:countTokens", contents)]


def told_why(answer) -> bool:
    """Whether the refusal is about what the caller may use; other vendors' clients get a word of their own."""
    error = answer.json()["error"]
    return {error.get("code"), error.get("type"), error.get("status")} & {
        "model_not_allowed",
        "no_credentials",
        "permission_error",
        "PERMISSION_DENIED",
    } != set()


@pytest.mark.parametrize("name", LISTS)
def test_a_caller_sees_what_it_may_call_and_may_call_what_it_sees(house, name):
    """The lists, a single model, and a call on every surface agree, for every model there is."""
    house, alpha, beta = house
    assert listed(house, name) == LISTS[name]
    assert listed_elsewhere(house, name) == [LISTS[name]] * 3
    for reference in sorted(LISTS["owner"]):
        allowed = reference in LISTS[name]
        # What counts is where an attempt goes: beta answers for alpha to whom only beta may answer.
        served = allowed or (name == "both" and reference.startswith("alpha/"))
        one = house.ask("GET", f"/v1/models/{reference}", token=f"allow-{name}")
        assert one.status == (200 if allowed else 403), one.text()
        calls = len(alpha.calls) + len(beta.calls)
        for path, body in (*calls_of(reference), *counts_of(reference)):
            answer = house.ask("POST", path, token=f"allow-{name}", body=json.dumps(body).encode())
            assert answer.status == (200 if served else 403), (name, path, answer.text())
            assert served or told_why(answer), answer.text()
            assert ALPHA not in answer.text()
        assert len(alpha.calls) + len(beta.calls) == calls + (len(calls_of(reference)) if served else 0)


@pytest.mark.parametrize(
    "spelling",
    ["alpha/large", "ALPHA/large", " alpha/large ", "alpha:one/large", "alpha/LARGE", "large", "alpha/large[1m]",
     "alpha//large", "alpha/ large", "alpha/\u217carge"],
)  # fmt: skip
def test_no_spelling_of_a_model_goes_round_the_list(house, spelling):
    house, alpha, beta = house
    for path, body in (*calls_of(spelling), *counts_of(spelling)):
        target = quote(path, safe="/:?=")
        answer = house.ask("POST", target, token="allow-alpha-small", body=json.dumps(body).encode())
        assert answer.status in (403, 404), (path, answer.text())
    assert alpha.calls == beta.calls == []


def test_globs_match_the_whole_name(house):
    """`alpha/small*` was meant to let names that begin so pass, whatever follows."""
    house, alpha, _ = house
    assert house.chat("alpha/small-2", token="allow-alpha-small").status == 200
    assert house.chat("alpha/xsmall", token="allow-alpha-small").status == 403
    assert house.chat("alpha/small", token="allow-small").status == 200
    assert house.chat("alpha/small-2", token="allow-small").status == 403
    assert [call.request.json()["model"] for call in alpha.calls] == ["small-2", "small"]


def test_fail_over_stays_within_the_list(house):
    """alpha is down: who may use beta is answered by it, who may not is told of alpha."""
    house, alpha, beta = house
    for name, status, beta_calls in (("all", 200, 1), ("alpha-only", 500, 0), ("alpha-keys", 500, 0)):
        alpha.reset()
        beta.reset()
        alpha.when("server_error")
        answer = house.chat("alpha/large", token=f"allow-{name}")
        assert answer.status == status, answer.text()
        assert len(beta.calls) == beta_calls, name


def test_only_the_listed_profiles_are_tried(house):
    house, alpha, beta = house
    alpha.when("server_error")
    answer = house.chat("alpha/large", token="allow-first-key")
    assert answer.status == 500
    assert {call.request.key for call in alpha.calls} == {ALPHA}
    assert beta.calls == []


def test_a_preferred_profile_that_is_not_listed_is_refused(house):
    house, alpha, beta = house
    for fields, model in (((("X-Auth-Profile", "alpha:two"),), "alpha/large"), ((), "alpha:two/large")):
        answer = house.chat(model, *fields, token="allow-first-key")
        assert answer.status in (403, 200), answer.text()
        assert {call.request.key for call in alpha.calls} <= {ALPHA}
    assert beta.calls == []


def test_a_profile_with_an_owner_serves_nobody_else_not_even_an_admin(house):
    house, alpha, _ = house
    assert house.chat("gamma/small", token="allow-owner").status == 200
    assert house.chat("gamma/small", ("X-Auth-Profile", "gamma:private"), token="allow-owner").status == 200
    calls = len(alpha.calls)
    refused = house.chat("gamma/small", ("X-Auth-Profile", "gamma:private"), token="allow-all")
    assert (refused.status, refused.code) == (403, "profile_owner_mismatch")
    refused = house.chat("gamma:private/small", token="allow-all")
    assert (refused.status, refused.code) == (403, "profile_owner_mismatch")
    refused = house.chat("gamma/small", token="allow-all")
    assert (refused.status, refused.code) == (403, "no_credentials")
    assert len(alpha.calls) == calls


def test_what_is_refused_does_not_tell_the_names_of_credentials(house):
    house, _, _ = house
    for name in ("nothing", "no-provider", "no-profile", "small"):
        for path, body in (*calls_of("alpha/large"), *counts_of("alpha/large")):
            text = house.ask("POST", path, token=f"allow-{name}", body=json.dumps(body).encode()).text()
            assert "alpha:one" not in text
            assert "alpha:two" not in text


def test_a_profile_in_a_body_is_judged_as_one_in_a_header_is(house):
    """The universal call names its profile in the body."""
    house, alpha, beta = house
    body = {"model": "alpha/large", "input": [{"role": "user", "content": "x"}], "authProfile": "alpha:two"}
    answer = house.ask("POST", "/v1/universal", token="allow-first-key", body=json.dumps(body).encode())
    assert answer.status in (403, 200), answer.text()
    assert {call.request.key for call in alpha.calls} <= {ALPHA}
    body |= {"model": "gamma/small", "authProfile": "gamma:private"}
    answer = house.ask("POST", "/v1/universal", token="allow-all", body=json.dumps(body).encode())
    assert (answer.status, answer.code) == (403, "profile_owner_mismatch")
    assert beta.calls == []
