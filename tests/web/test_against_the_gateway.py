"""The pages as the real gateway serves them: a person signs in, sees models, and calls one from the reference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from open_llm_auth.web import PAGES, asset

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def url(gateway: Any) -> str:
    return f"http://127.0.0.1:{gateway.port}"


@pytest.mark.parametrize("path", [*PAGES, "/static/page.css", "/static/docs.js", "/static/favicon.svg"])
async def test_the_gateway_serves_every_file_with_its_headers_and_answers_304(gateway: Any, path: str) -> None:
    file = asset(PAGES.get(path, path.removeprefix("/")))
    assert file is not None
    answer = gateway.request("GET", path, token="")
    assert (answer.status, answer.body) == (200, file.body)
    assert answer.headers["content-type"] == file.content_type
    for name, value in file.headers:
        assert answer.headers[name.decode()] == value.decode()
    again = gateway.request("GET", path, token="", headers={"if-none-match": file.etag})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
async def test_a_person_sees_health_and_the_models_of_the_token(
    gateway: Any, provider: Any, url: str, open_window: Any, scheme: str, width: int
) -> None:
    window = await open_window(f"{url}/", width=width, scheme=scheme)
    page = window.page
    await page.get_by_text("Running", exact=True).wait_for()
    await page.get_by_text("Ready for calls").wait_for()
    await page.get_by_label("Gateway token").fill(gateway.token)
    await page.get_by_role("button", name="Use it").click()
    await window.settle()
    shown = await page.locator("#models li code").all_inner_texts()
    listed = [model["id"] for model in json.loads(gateway.request("GET", "/v1/models").body)["data"]]
    assert set(shown) == set(listed)
    assert {f"fake/{name}" for name in provider.models} <= set(shown)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert window.complaints == []


async def test_the_reference_draws_the_gateways_own_document(url: str, gateway: Any, open_window: Any) -> None:
    document = json.loads(gateway.request("GET", "/openapi.json", token="").body)
    expected = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    window = await open_window(f"{url}/docs", width=375)
    assert set(await window.page.locator("article h3").all_inner_texts()) == expected
    assert await window.page.evaluate("document.documentElement.scrollWidth") <= 375
    assert window.complaints == []


async def test_a_call_made_from_the_reference_reaches_the_provider(
    gateway: Any, provider: Any, url: str, open_window: Any
) -> None:
    window = await open_window(f"{url}/docs")
    page = window.page
    await page.get_by_label("Gateway token").fill(gateway.token)
    await page.get_by_role("button", name="Use it").click()
    chat = page.locator("article#post-v1-chat-completions")
    await chat.get_by_text("Try it").click()
    body = {"model": f"fake/{provider.models[0]}", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    await chat.get_by_role("textbox", name="Body").fill(json.dumps(body))
    await chat.get_by_role("button", name="Send").click()
    await chat.get_by_text("HTTP 200 OK,").wait_for()
    await chat.get_by_text("data: [DONE]").wait_for()
    assert "x-gateway-provider" in await chat.locator(".try-form dl").inner_text()
    assert window.complaints == []
