"""Every recipe is whole: filled, it leaves no template open, says where the gateway is, and holds one token."""

from __future__ import annotations

import pytest

from open_llm_auth.cli.recipes import RECIPES, Recipe, SettingsFile, Values

VALUES = Values("http://gateway.test:1", "the-token", "provider/the-model")


@pytest.fixture(params=list(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def said(recipe: Recipe, values: Values = VALUES) -> str:
    files = [str(dict(file.filled(values, new=True))) for file in recipe.files]
    exports = [values.fill(template) for _, template in recipe.environment]
    return "\n".join([*files, *exports, values.fill(recipe.command)])


def test_it_says_where_the_gateway_is(recipe):
    assert VALUES.url in said(recipe)


def test_it_holds_the_token_once(recipe):
    assert said(recipe).count("the-token") == 1
    assert sum(file.token_path is not None for file in recipe.files) == bool(recipe.files)


def test_it_names_a_model_where_it_says_so(recipe):
    assert ("the-model" in said(recipe)) == (recipe.model != "none")


def test_without_a_model_nothing_names_one(recipe):
    if recipe.model == "optional":
        text = said(recipe, Values(VALUES.url, VALUES.token))
        assert "None" not in text
        assert "the-model" not in text


def test_no_template_is_left_open(recipe):
    assert not any(f"{{{name}}}" in said(recipe) for name in ("url", "v1", "token", "model"))


def test_it_is_either_of_files_or_of_the_environment(recipe):
    assert bool(recipe.files) != bool(recipe.environment)


@pytest.mark.parametrize(
    ("environ", "platform", "place"),
    [
        ({}, "linux", "~/a"),
        ({}, "darwin", "~/Mac/a"),
        ({"MOVED": "/m/"}, "darwin", "/m/b/a"),
        ({"WHOLE": "/w/file"}, "linux", "/w/file"),
        ({"MOVED": " ", "WHOLE": ""}, "linux", "~/a"),
        ({"MOVED": "/m", "WHOLE": "/w"}, "linux", "/m/b/a"),
    ],
)
def test_a_file_stands_where_the_client_looks_for_it(environ, platform, place):
    file = SettingsFile("~/a", "json", (), moved_by=(("MOVED", "b/a"), ("WHOLE", "")), mac="~/Mac/a")
    assert file.located(environ, platform) == place
