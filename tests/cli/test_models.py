"""What can be called is listed, provider servers asked; a default has to resolve."""

from __future__ import annotations

import pytest

from open_llm_auth.testing import FakeProvider


def test_with_nothing_set_up_there_is_the_demo(cli):
    done = cli("models", "list")
    assert "demo/echo" in done.stdout
    assert "auth add-api-key" in done.stderr
    assert [row["id"] for row in cli("models", "list", "--json").json()["models"]] == ["demo/echo"]


def test_a_server_is_asked_for_its_models(cli, config_for, provider):
    config = config_for(provider)
    config["providers"]["fake"]["models"] = []
    cli.write(config)
    ids = [row["id"] for row in cli("models", "list", "--json").json()["models"]]
    assert {"fake/fake-model", "fake/fake-embedding"} <= set(ids)
    offline = [row["id"] for row in cli("models", "list", "--json", "--offline").json()["models"]]
    assert not any(name.startswith("fake/") for name in offline)


def test_a_server_that_does_not_answer_is_left_out(cli, config_for):
    with FakeProvider() as gone:
        config = config_for(gone)
    cli.write(config)
    done = cli("models", "list")
    assert done.code == 0
    assert "fake/fake-model" in done.stdout


def test_a_catalog_model_carries_its_window(cli):
    (row,) = [
        row
        for row in cli("models", "list", "--json", "--offline", environ={"OPENAI_API_KEY": cli.secret()}).json()[
            "models"
        ]
        if row["id"] == "openai/gpt-5.5"
    ]
    assert (row["contextWindow"], row["reasoning"], row["input"]) == (1_000_000, True, ["text", "image"])


def test_a_default_is_stored_and_shown(cli):
    done = cli("models", "set-default", "demo/echo")
    assert done.code == 0
    assert cli.config["defaultModel"] == "demo/echo"
    assert cli("models", "list", "--json").json()["defaultModel"] == "demo/echo"
    assert "gets demo/echo" in cli("models", "list").stdout


@pytest.mark.parametrize(
    ("ref", "code"),
    [("openai/gpt-5.5", 1), ("nobody/echo", 1), ("no-such-model", 1), ("", 2), ("   ", 2), ("demo:work/echo", 1)],
)
def test_a_default_that_does_not_resolve_is_refused(cli, ref, code):
    done = cli("models", "set-default", ref)
    assert done.code == code
    assert done.stderr
    assert not cli.path.exists()


@pytest.mark.parametrize("arguments", [["set-default"], ["set-default", "a", "b"], ["list", "x"], ["lst"], []])
def test_wrong_usage_is_exit_2(cli, arguments):
    assert cli("models", *arguments).code == 2
