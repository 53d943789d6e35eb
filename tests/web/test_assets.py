"""The pages as files: what is served, under which headers, and that nothing in them needs a weaker policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest

from open_llm_auth.web import PAGE_HEADERS, PAGES, Asset, asset

NAMES = sorted(
    entry.name if folder == "" else f"{folder}/{entry.name}"
    for folder in ("", "static")
    for entry in files("open_llm_auth.web").joinpath(folder).iterdir()
    if entry.is_file() and not entry.name.endswith((".py", ".pyc"))
)
HTML = [name for name in NAMES if name.endswith(".html")]


def text(name: str) -> str:
    found = asset(name)
    assert found is not None, name
    return found.body.decode()


class Elements(HTMLParser):
    """All start tags of a page with their attributes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text(name))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_every_page_address_has_its_file() -> None:
    assert set(PAGES) == {"/", "/docs"}
    assert all(asset(name) is not None for name in PAGES.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_served_with_a_type_an_etag_and_the_strict_headers(name: str) -> None:
    found = asset(name)
    assert isinstance(found, Asset)
    assert found.body
    assert re.fullmatch(r'"[0-9a-f]{32}"', found.etag)
    assert dict(found.headers) == {**dict(PAGE_HEADERS), b"etag": found.etag.encode()}
    assert found.content_type.partition(";")[0] in {"text/html", "text/css", "text/javascript", "image/svg+xml"}


def test_the_policy_allows_own_files_only() -> None:
    policy = dict(PAGE_HEADERS)[b"content-security-policy"].decode()
    assert policy.split("; ") == [
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/index.html",
        "__init__.py",
        "static",
        "static/",
        "static/../index.html",
        "static/../__init__.py",
        "../errors.py",
        "static/..%2findex.html",
        "static\\page.css",
        "static//page.css",
        "static/page.css\0",
        "STATIC/PAGE.CSS",
        "/etc/passwd",
    ],
)
def test_nothing_but_the_known_names_is_served(path: str) -> None:
    assert asset(path) is None


def test_the_etag_follows_the_bytes() -> None:
    assert len({asset(name).etag for name in NAMES}) == len(NAMES)  # type: ignore[union-attr]
    assert asset("index.html") is asset("index.html")


@pytest.mark.parametrize("name", HTML)
def test_a_page_holds_no_inline_code_or_style(name: str) -> None:
    for tag, attributes in Elements(name).found:
        assert tag != "style"
        assert not {key for key in attributes if key == "style" or key.startswith("on")}
        if tag == "script":
            assert attributes["type"] == "module"
            assert attributes["src"]


@pytest.mark.parametrize("name", HTML)
def test_what_a_page_names_is_there_and_is_ours(name: str) -> None:
    for _, attributes in Elements(name).found:
        for key in ("src", "href"):
            target = attributes.get(key)
            if target is None or target.startswith("#"):
                continue
            assert target.startswith("/")
            assert not target.startswith("//")
            if target.startswith("/static/"):
                assert asset(target.removeprefix("/")) is not None, target


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_a_module_imports_only_its_neighbours_and_writes_no_markup(name: str) -> None:
    code = text(name)
    for target in re.findall(r'(?:from|import\()\s*"([^"]+)"', code):
        # "openai" stands in the snippets, which are text
        assert target == "openai" or asset("static/" + target.removeprefix("./")) is not None, target
    for banned in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "localStorage",
    ):
        assert banned not in code, banned


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith((".js", ".css", ".html", ".svg"))])
def test_no_file_names_another_origin(name: str) -> None:
    assert set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text(name))) <= {"http://www.w3.org"}


def test_the_icon_is_a_well_formed_drawing_without_code_or_style() -> None:
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text("static/favicon.svg")).iter()}
    assert tags <= {"svg", "rect", "g", "path"}


def test_all_files_together_stay_small() -> None:
    """The whole of both pages, uncompressed: less than one photograph."""
    assert sum(len(asset(name).body) for name in NAMES) < 100_000  # type: ignore[union-attr]
