"""The gateway as a process: it starts, answers, is stopped, and its log is read for secrets."""

from __future__ import annotations

import os

import pytest

from open_llm_auth.testing import GatewayFailed, GatewayProcess
from open_llm_auth.testing.gateway_process import secrets_of


def test_it_serves_requests_and_writes_a_row_for_each(gateway: GatewayProcess):
    body = {"model": "fake/fake-model", "messages": [{"role": "user", "content": "hello"}]}
    answer = gateway.request("POST", "/v1/chat/completions", body=body, headers={"x-request-id": "mine-1"})
    assert answer.status == 200, answer
    assert answer.json()["choices"]
    row = gateway.wait_for_row(lambda row: row["request"] == "mine-1")
    assert (row["path"], row["status"]) == ("/v1/chat/completions", 200)
    assert gateway.request("GET", "/v1/models", token="").status == 401


def test_it_is_gone_after_its_end(make_gateway, config_for, provider):
    gateway = make_gateway(config_for(provider))
    pid = gateway.pid
    gateway.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_gateway_that_ends_at_start_shows_its_log(tmp_path):
    (tmp_path / "config.json").write_text("{ not json")
    with pytest.raises(GatewayFailed, match=r"config\.json"):
        GatewayProcess(tmp_path, None).start()


def test_a_secret_in_the_log_fails_the_test_without_showing_it(tmp_path):
    gateway = GatewayProcess(tmp_path, {"serverToken": "canary-in-the-log"})
    gateway.log_path.write_text("listening, token canary-in-the-log\n")
    with pytest.raises(GatewayFailed, match="a secret stands in the log") as failed:
        gateway.check_log()
    assert "canary-in-the-log" not in str(failed.value)


def test_a_secret_in_an_answer_fails_the_test(make_gateway, config_for, provider):
    gateway = make_gateway(config_for(provider), secrets=["fake-embedding"])
    with pytest.raises(GatewayFailed, match="a secret stands in the answer"):
        gateway.request("GET", "/v1/models")


def test_the_secrets_of_a_config_are_found_wherever_they_stand():
    config = {
        "authProfiles": {"a": {"key": "one", "refresh": "two"}},
        "providers": {"b": {"apiKey": "env:NAME", "models": [{"id": "m"}]}},
        "authorization": {"tokens": {"c": {"token": "three"}}},
        "serverToken": "four",
    }
    assert set(secrets_of(config)) == {"one", "two", "three", "four"}
