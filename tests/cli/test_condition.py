"""`auth list` and `doctor` say how each credential is and what repairs it, from what gateways of this home found."""

from __future__ import annotations

import pytest

from open_llm_auth.testing import FakeProvider

GOOD, BAD = "sk-good-0123456789abcdef", "sk-bad-0123456789abcdef"


@pytest.fixture
def provider():
    with FakeProvider(keys={GOOD}) as fake:
        yield fake


def configure(cli, provider, key, **more):
    cli.planted |= {GOOD, BAD}
    cli.write(
        {
            "providers": {"mine": {"baseUrl": provider.base_url, "api": "openai-completions", "models": [{"id": "m"}]}},
            "egressPolicy": {"allowLocalProviders": ["mine"]},
            "authProfiles": {"mine:work": {"provider": "mine", "type": "api_key", "key": key}},
            **more,
        }
    )


def row(cli, name="mine:work"):
    return next(each for each in cli("auth", "list", "--json").json()["credentials"] if each["id"] == name)


def test_one_that_was_never_used_is_fine_and_says_so(cli, provider):
    configure(cli, provider, GOOD)
    assert (row(cli)["state"], row(cli)["health"]) == ("ok", None)


def test_one_that_answered_says_when(cli, provider):
    configure(cli, provider, GOOD)
    assert cli("auth", "test", "mine:work").code == 0
    told = row(cli)
    assert (told["state"], told["health"]["lastError"]) == ("ok", None)
    assert told["health"]["lastUsed"] > 1.7e9
    assert " UTC" in cli("auth", "list").stdout


def test_one_that_is_rejected_says_what_repairs_it_until_it_is_replaced(cli, provider):
    configure(cli, provider, BAD)
    assert cli("auth", "test", "mine:work").code == 1
    told = row(cli)
    assert told["state"] == "invalid"
    assert told["repair"] == "open-llm-auth auth add-api-key mine --profile work"
    assert told["health"]["lastError"]["status"] == 401
    shown = cli("auth", "list").stdout
    assert "mine:work invalid: its provider has rejected it." in shown
    assert "mine:work failed last" in shown
    assert cli("auth", "add-api-key", "mine", "--profile", "work", stdin=GOOD).code == 0
    assert row(cli)["state"] == "ok"


def test_reset_clears_it(cli, provider):
    configure(cli, provider, BAD)
    cli("auth", "test", "mine:work")
    assert cli("auth", "reset", "mine:work").code == 0
    assert row(cli)["state"] == "ok"


def test_one_that_rests_says_until_when_and_why(cli, provider):
    configure(cli, provider, GOOD)
    provider.when("rate_limited")
    cli("auth", "test", "mine:work")
    told = row(cli)
    assert told["state"] == "resting"
    assert "rate_limit" in told["why"]
    assert "UTC" in told["why"]


@pytest.mark.parametrize(("days", "state"), [(3, "expires soon"), (30, "ok")])
def test_what_expires_is_forecast(cli, provider, days, state):
    import time

    token = {"provider": "mine", "type": "token", "token": GOOD, "expires": int((time.time() + days * 86400) * 1000)}
    configure(cli, provider, GOOD, authProfiles={"mine:work": token})
    told = row(cli)
    assert told["state"] == state
    assert told["repair"] == ("open-llm-auth auth add-token mine --profile work" if state != "ok" else None)


def test_the_doctor_reports_it(cli, provider):
    configure(cli, provider, BAD)
    cli("auth", "test", "mine:work")
    findings = cli("doctor", "--json", "--offline").json()["findings"]
    (found,) = [each for each in findings if each["check"] == "credential mine:work"]
    assert found["state"] == "warning"
    assert "invalid" in found["message"]
    assert "Repair: open-llm-auth auth add-api-key mine" in found["message"]
