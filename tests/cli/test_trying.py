"""`auth test` makes a real call with one credential at a time, and nothing else may answer for it."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.testing import FakeProvider

GOOD, BAD = "sk-good-0123456789abcdef", "sk-bad-0123456789abcdef"


@pytest.fixture
def provider():
    with FakeProvider(keys={GOOD}) as fake:
        yield fake


def asked(provider):
    """The calls of models; what there is to be called is asked beside them."""
    return [json.loads(request.body) for request in provider.requests if request.path.endswith("/chat/completions")]


def configure(cli, provider, **more):
    profiles = {
        "mine:good": {"provider": "mine", "type": "api_key", "key": GOOD},
        "mine:bad": {"provider": "mine", "type": "api_key", "key": BAD},
    }
    cli.planted |= {GOOD, BAD}
    cli.write(
        {
            "providers": {"mine": {"baseUrl": provider.base_url, "api": "openai-completions", "models": [{"id": "m"}]}},
            "egressPolicy": {"allowLocalProviders": ["mine"]},
            "authProfiles": profiles,
            **more,
        }
    )


def test_each_credential_of_a_provider_answers_for_itself(cli, provider):
    configure(cli, provider)
    done = cli("auth", "test", "mine", "--json")
    assert done.code == 1
    results = {row["credential"]: row for row in done.json()}
    assert {name: row["ok"] for name, row in results.items()} == {"mine:good": True, "mine:bad": False}
    assert "Incorrect API key" in results["mine:bad"]["message"]
    assert results["mine:good"]["seconds"] > 0


def test_one_that_works_is_exit_code_0_and_a_small_call(cli, provider):
    configure(cli, provider)
    done = cli("auth", "test", "mine:good")
    assert (done.code, done.stderr) == (0, "")
    assert "ok" in done.stdout
    (sent,) = asked(provider)
    assert (sent["model"], sent["max_tokens"]) == ("m", 16)


def test_one_that_does_not_says_why_and_no_other_stands_in(cli, provider):
    configure(cli, provider, providerFallback={"order": {"mine": ["mine:good/m"]}})
    done = cli("auth", "test", "mine:bad")
    assert done.code == 1
    assert "mine:bad:" in done.stderr
    assert len(asked(provider)) == 1


def test_a_profile_of_another_owner_is_tried_for_its_owner(cli, provider):
    configure(cli, provider)
    profile = {"provider": "mine", "type": "api_key", "key": GOOD, "owner": "ann"}
    config = cli.config
    config["authProfiles"] = {"mine:hers": profile}
    cli.write(config)
    assert cli("auth", "test", "mine:hers").code == 0


def test_one_that_can_not_be_sent_says_so_without_a_call(cli, provider):
    configure(cli, provider)
    config = cli.config
    config["authProfiles"]["mine:old"] = {"provider": "mine", "type": "token", "token": GOOD + "x", "expires": 10**12}
    cli.write(config)
    done = cli("auth", "test", "mine:old")
    assert done.code == 1
    assert "expired" in done.stderr
    assert asked(provider) == []


def test_a_model_can_be_named(cli, provider):
    configure(cli, provider)
    assert cli("auth", "test", "mine:good", "--model", "other").code == 0
    assert asked(provider)[-1]["model"] == "other"


def test_a_name_that_means_nothing_is_said(cli, provider):
    configure(cli, provider)
    done = cli("auth", "test", "nobody:x")
    assert done.code == 1
    assert "auth list" in done.stderr


def test_a_server_that_is_down_is_a_failure_with_its_reason(cli, free_port):
    cli.write(
        {
            "providers": {"mine": {"baseUrl": f"http://127.0.0.1:{free_port}/v1", "authHeader": False,
                                   "models": [{"id": "m"}]}},
            "egressPolicy": {"allowLocalProviders": ["mine"]},
        }
    )  # fmt: skip
    done = cli("auth", "test", "mine")
    assert done.code == 1
    assert "can't be reached" in done.stderr
