"""The reference in docs/ against the program: what is undocumented fails, and what is documented and not there fails.

The table in docs/providers.md is written by this file: `python tests/docs/test_reference.py` puts it up to date.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
import pytest
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from open_llm_auth import errors
from open_llm_auth.cli import app
from open_llm_auth.config.model import ConfigDocument, validate
from open_llm_auth.policy.egress import REASONS
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.providers import KINDS
from open_llm_auth.server.routes import ROUTES
from open_llm_auth.values import Provider

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "open_llm_auth"

_CELL = re.compile(r"(?<!\\)\|")
_NAME = re.compile(r"`([^`]+)`")


def read(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """The rows, below the head, of every table whose first column is called `heading`."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[0] == heading:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            found.append(cells)
    return found


def named(cell: str) -> str:
    """The one backticked name of a cell."""
    (name,) = _NAME.findall(cell)
    return str(name)


def once(names: list[str]) -> set[str]:
    assert len(names) == len(set(names)), f"documented twice: {sorted({n for n in names if names.count(n) > 1})}"
    return set(names)


# --- settings ----------------------------------------------------------------------------------------------------


def settings(
    model: type[BaseModel], prefix: str = "", seen: frozenset[type] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Every field with its path and its default as JSON. A mirror shows the fields of what it mirrors once."""
    for field_name, field in model.model_fields.items():
        path = prefix + (field.alias or field_name)
        yield path, default_of(field)
        suffix, inner = section_of(field.annotation)
        mirrored = path.startswith(("auth.", "models."))
        if inner is not None and not mirrored:
            yield from settings(inner, f"{path}{suffix}.", seen | {inner})


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "{}" if isinstance(value, BaseModel) else json.dumps(value)


def section_of(annotation: Any) -> tuple[str, type[BaseModel] | None]:
    """The section a field's value is made of, and how its place is written: `.<name>` in a map, `[]` in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "", annotation
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return section_of(inner[0])
    if origin in (Union, UnionType):
        return next((found for part in inner if (found := section_of(part))[1] is not None), ("", None))
    if origin in (dict, list):
        suffix, section = section_of(inner[-1])
        return (".<name>" if origin is dict else "[]") + suffix, section
    return "", None


def type_of(annotation: Any) -> str:
    """A type in the words of the page, null aside: "text", "whole number", "list of text", "map of object"."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_of(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(type_of(part) for part in inner if part is not NoneType)
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in inner)
    if origin is list:
        return "list of " + type_of(inner[0])
    if origin is dict:
        return "map of " + type_of(inner[1])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "anything")


def types(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    for field_name, field in model.model_fields.items():
        path = prefix + (field.alias or field_name)
        yield path, type_of(field.annotation)
        suffix, inner = section_of(field.annotation)
        if inner is not None and not path.startswith(("auth.", "models.")):
            yield from types(inner, f"{path}{suffix}.")


def documented_settings() -> dict[str, list[str]]:
    table = rows(read("settings.md"), "Setting")
    once([named(row[0]) for row in table])
    return {named(row[0]): row for row in table}


def test_every_setting_is_documented_and_no_other() -> None:
    assert documented_settings().keys() == dict(settings(ConfigDocument)).keys()


def test_every_documented_default_is_the_one_in_force() -> None:
    documented = {path: row[2].strip("`") for path, row in documented_settings().items()}
    assert documented == dict(settings(ConfigDocument))


def test_every_documented_type_is_the_one_that_is_checked() -> None:
    documented = {path: row[1] for path, row in documented_settings().items()}
    assert documented == dict(types(ConfigDocument))


def test_every_setting_says_what_it_means() -> None:
    assert not [path for path, row in documented_settings().items() if len(row) != 4 or len(row[3]) < 15]


def test_every_environment_variable_of_ours_is_documented_and_no_other() -> None:
    used = {
        name
        for path in SOURCE.rglob("*.py")
        if "testing" not in path.parts
        for name in re.findall(r"OPEN_LLM_AUTH_[A-Z_]+", path.read_text("utf-8"))
    }
    assert once([named(row[0]) for row in rows(read("settings.md"), "Variable")]) == used


# --- errors ------------------------------------------------------------------------------------------------------


def error_classes(root: type[errors.GatewayError] = errors.GatewayError) -> Iterator[type[errors.GatewayError]]:
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


def test_every_error_code_is_documented_with_its_status_and_no_other() -> None:
    table = rows(read("errors.md"), "Code")
    assert once([named(row[0]) for row in table]) == {found.code for found in error_classes()}
    documented = {named(row[0]): row[1] for row in table}
    for found in error_classes():
        assert str(found.status) in documented[found.code], found


def test_every_error_says_what_happened_and_what_to_do() -> None:
    assert not [row[0] for row in rows(read("errors.md"), "Code") if len(row) != 4 or min(map(len, row[2:])) < 10]


# --- routes ------------------------------------------------------------------------------------------------------


def test_every_route_is_documented_with_its_scope_and_no_other() -> None:
    documented = [(named(row[0]), named(row[1]), row[2]) for row in rows(read("routes.md"), "Method")]
    assert sorted(documented) == sorted((route.method, route.path, route.scope or "none") for route in ROUTES)


# --- egress ------------------------------------------------------------------------------------------------------


def test_every_egress_reason_is_documented_and_no_other() -> None:
    resolver = (SOURCE / "transport" / "resolver.py").read_text("utf-8")
    of_names = set(re.findall(r'"(dns_[a-z_]+)"', resolver))
    assert of_names
    assert once([named(row[0]) for row in rows(read("security.md"), "Reason")]) == {*REASONS, *of_names}


# --- commands ----------------------------------------------------------------------------------------------------


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(path), command
    for name, child in children.items():
        yield from commands(child, (*path, name))


def documented_commands() -> dict[str, tuple[set[str], set[str]]]:
    """Heading by heading: the command, the words after it in capitals, and the options of its table."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for part in re.split(r"^### ", read("cli.md"), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        words = named(heading).split()
        name = " ".join(word for word in words if word.islower())
        assert name not in found, f"documented twice: {name}"
        arguments = {word.strip("[].") for word in words if not word.islower()}
        options = [option for row in rows(body, "Option") for option in re.findall(r"`(--?[a-z-]+)", row[0])]
        found[name] = (arguments, once(options))
    return found


def test_every_command_and_option_is_documented_and_no_other() -> None:
    actual = {
        name: (
            {str(p.metavar or p.name).strip("[].").upper() for p in command.params if p.param_type_name == "argument"},
            {
                option
                for p in command.params
                if p.param_type_name == "option"
                for option in p.opts
                if option != "--help"
            },
        )
        for name, command in commands(typer.main.get_command(app))
    }
    assert documented_commands() == actual


def test_every_option_of_the_program_itself_is_documented() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, click.Group) or hasattr(root, "commands")
    options = {option for parameter in root.params for option in parameter.opts} - {"--help"}
    before_commands = read("cli.md").partition("\n### ")[0]
    assert {
        option for row in rows(before_commands, "Option") for option in re.findall(r"`(--[a-z-]+)", row[0])
    } >= options


# --- providers ---------------------------------------------------------------------------------------------------

_BEGIN, _END = "<!-- catalog: begin -->\n", "<!-- catalog: end -->"


def catalog_table() -> str:
    """docs/providers.md's table, from the catalog."""
    head = "| Provider | Name | Kind | Usable | Keys, in the order they are looked for | Base URL |"
    lines = [head, "| --- | --- | --- | --- | --- | --- |"]
    lines += [_catalog_row(provider) for _, provider in sorted(load_catalog().providers.items())]
    return "\n".join(lines) + "\n"


def _catalog_row(provider: Provider) -> str:
    own = re.sub(r"[^A-Z0-9]", "_", provider.id.upper()) + "_API_KEY"
    variables = dict.fromkeys((*provider.env_names, own))
    if provider.api not in KINDS:
        usable = "later"
    elif not provider.self_activating:
        usable = "when configured"
    else:
        usable = "always" if not provider.auth_header else "with a key"
    no_key = provider.auth in ("cli", "aws-sdk") or provider.api == "demo"
    cells = (
        f"`{provider.id}`",
        provider.name,
        f"`{provider.api}`",
        usable,
        "none" if no_key else ", ".join(f"`{name}`" for name in variables),
        f"`{provider.base_url}`" if provider.base_url else "none",
    )
    return f"| {' | '.join(cells)} |"


def test_the_table_of_providers_is_the_catalog() -> None:
    written = read("providers.md").partition(_BEGIN)[2].partition(_END)[0]
    assert written == catalog_table(), "run: python tests/docs/test_reference.py"


def test_every_alias_is_documented_and_no_other() -> None:
    documented = {named(row[0]): named(row[1]) for row in rows(read("providers.md"), "Alias")}
    assert documented == dict(load_catalog().aliases)


def test_every_kind_this_release_carries_is_documented_and_no_other() -> None:
    assert once([named(row[0]) for row in rows(read("providers.md"), "Kind")]) == set(KINDS)


# --- the pages as such -------------------------------------------------------------------------------------------

PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", read(page)):
        path, _, anchor = target.partition("#")
        file = (DOCS / page).parent / path if path else DOCS / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


def test_the_index_leads_to_every_page_of_the_reference() -> None:
    linked = set(re.findall(r"\]\(([\w.-]+\.md)", read("index.md")))
    assert {page for page in PAGES if "/" not in page} - {"index.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_every_piece_of_python_parses_and_every_piece_of_json_is_a_valid_config(page: str) -> None:
    for language, code in re.findall(r"^```(python|json)\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL):
        if language == "json":
            validate(json.loads(code), page)
        else:
            ast.parse(code)


def _write() -> None:
    path = DOCS / "providers.md"
    before, _, rest = path.read_text("utf-8").partition(_BEGIN)
    path.write_text(before + _BEGIN + catalog_table() + _END + rest.partition(_END)[2], "utf-8")


if __name__ == "__main__":
    _write()
    sys.stdout.write("docs/providers.md is up to date\n")
