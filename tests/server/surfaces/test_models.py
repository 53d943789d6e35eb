"""`GET /v1/models/{model}` finds what a call would find, under every name that a call may use."""

import json

import httpx
import pytest

from open_llm_auth.main import open_gateway

ROW = {"api": "openai-completions", "auth": "api-key", "apiKey": "sk-canary-models-1"}


def listing(*names):
    return [{"id": name, "name": name} for name in names]


DOCUMENT = {
    "providers": {
        "lmstudio": {**ROW, "baseUrl": "http://127.0.0.1:9/v1", "models": listing("lm", "shared")},
        "mine": {**ROW, "baseUrl": "http://127.0.0.1:9/v1", "models": listing("Big/Model", "shared")},
        "agent": {"baseUrl": "http://127.0.0.1:9/v1", "models": listing("x")},
        "bare": {"api": "openai-completions", "baseUrl": "https://bare.example/v1", "models": listing("y")},
    },
    "authProfiles": {"mine:work": {"provider": "mine", "type": "api_key", "key": "sk-canary-models-2"}},
    "authorization": {
        "tokens": {
            "all": {"token": "models-all", "scopes": ["read"]},
            "few": {"token": "models-few", "scopes": ["read"], "models": ["mine/*"]},
        }
    },
    "egressPolicy": {"allowLocalProviders": ["lmstudio", "mine"]},
}


async def ask(home, model, token="models-all"):
    (home / "config.json").write_text(json.dumps(DOCUMENT))
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(home)}, log=lambda _: None) as opened:
        transport = httpx.ASGITransport(opened.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(f"/v1/models/{model}", headers={"x-api-key": token})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lmstudio/lm", "lmstudio/lm"),
        ("lm-studio/lm", "lmstudio/lm"),
        ("LM-Studio/LM", "lmstudio/lm"),
        ("lm", "lmstudio/lm"),
        ("lm[1m]", "lmstudio/lm"),
        ("mine:work/big/model", "mine/Big/Model"),
        ("big/model", "mine/Big/Model"),
        ("mine/shared", "mine/shared"),
    ],
)
async def test_a_model_is_found_under_every_name_that_a_call_may_use(tmp_path, name, found):
    answer = await ask(tmp_path, name)
    assert (answer.status_code, answer.json()["id"]) == (200, found)
    assert answer.json()["owned_by"] == found.partition("/")[0]


@pytest.mark.parametrize(
    ("name", "token", "status", "code", "details"),
    [
        ("shared", "models-all", 404, "model_not_found", {"candidates": ["lmstudio/shared", "mine/shared"]}),
        ("mine/sharde", "models-all", 404, "model_not_found", {"closest": ["mine/shared"]}),
        ("sharde", "models-all", 404, "model_not_found", {"closest": ["lmstudio/shared"]}),
        ("miine/shared", "models-all", 404, "provider_not_found", {"closest": ["mine/shared"]}),
        ("mine:play/shared", "models-all", 404, "profile_not_found", None),
        ("agent/x", "models-all", 501, "provider_kind_not_supported", None),
        ("bare/y", "models-all", 403, "no_credentials", None),
        ("lmstudio/lm", "models-few", 403, "model_not_allowed", None),
        ("lm", "models-few", 403, "model_not_allowed", None),
        ("lmstudio/nothing", "models-few", 403, "model_not_allowed", None),
    ],
)
async def test_what_is_not_found_is_refused_as_a_call_would_be(tmp_path, name, token, status, code, details):
    answer = await ask(tmp_path, name, token)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    if details is not None:
        assert {key: error["details"][key][: len(value)] for key, value in details.items()} == details


async def test_a_bare_id_means_the_one_that_the_caller_may_use(tmp_path):
    assert (await ask(tmp_path, "shared", "models-few")).json()["id"] == "mine/shared"


@pytest.mark.parametrize(
    ("header", "key", "name"),
    [
        ({"anthropic-version": "2023-06-01"}, "data", "lmstudio/lm"),
        ({"x-goog-api-client": "google-genai-sdk/3"}, "models", "models/lmstudio/lm"),
    ],
)
async def test_each_sdk_that_lists_models_here_finds_the_list_it_expects(tmp_path, header, key, name):
    (tmp_path / "config.json").write_text(json.dumps(DOCUMENT))
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(tmp_path)}, log=lambda _: None) as opened:
        transport = httpx.ASGITransport(opened.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/v1/models", headers={"x-api-key": "models-all", **header})
    assert name in [row.get("id") or row.get("name") for row in answer.json()[key]]
