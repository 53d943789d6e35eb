"""Where the config file is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_llm_auth.config.paths import config_path, expand, home, is_own_home

CASES = [
    ({"HOME": "/u"}, "/u/.open_llm_auth", "/u/.open_llm_auth/config.json"),
    ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "/x"}, "/x", "/x/config.json"),
    ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "~/y"}, "/u/y", "/u/y/config.json"),
    ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "  "}, "/u/.open_llm_auth", "/u/.open_llm_auth/config.json"),
    ({"HOME": "/u", "OPEN_LLM_AUTH_CONFIG": "/etc/gw.json"}, "/u/.open_llm_auth", "/etc/gw.json"),
    ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "/x", "OPEN_LLM_AUTH_CONFIG": "~/gw.json"}, "/x", "/u/gw.json"),
]


@pytest.mark.parametrize(("environ", "directory", "file"), CASES)
def test_the_environment_says_where_the_config_is(environ: dict[str, str], directory: str, file: str) -> None:
    assert home(environ) == Path(directory)
    assert config_path(environ) == Path(file)


def test_a_relative_path_is_made_absolute() -> None:
    assert expand("gw.json", {}) == Path.cwd() / "gw.json"


def test_a_user_without_that_variable_still_has_a_home() -> None:
    assert home({}).is_absolute()


@pytest.mark.parametrize(
    ("environ", "directory", "own"),
    [
        ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "/data"}, "/data", True),
        ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "/data/"}, "/data", True),
        ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "~/gateway"}, "/u/gateway", True),
        ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "/data"}, "/elsewhere", False),
        ({"HOME": "/u"}, "/u/.open_llm_auth", False),
        ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "~"}, "/u", False),
        *(({"HOME": "/u", "OPEN_LLM_AUTH_HOME": place}, place, False) for place in ("/", "/tmp", "/etc", "/var")),
        ({"HOME": "/u", "OPEN_LLM_AUTH_HOME": "/tmp/../etc"}, "/etc", False),
    ],
)
def test_a_named_home_is_the_gateways_own_unless_it_is_everybodys(
    environ: dict[str, str], directory: str, own: bool
) -> None:
    assert is_own_home(Path(directory), environ) == own
