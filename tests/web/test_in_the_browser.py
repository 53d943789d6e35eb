"""The pages in a real Chromium: what they show, what they send, how they read, and that the policy holds."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESSES = ("/", "/docs")
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 375)]

# What a screen reader finds for every control and landmark, as far as plain rules tell; a list of complaints.
ACCESSIBILITY = """() => {
  const complaints = [];
  const seen = (node) => node.checkVisibility({checkVisibilityCSS: true});
  const text = (ids) => (ids || '').split(/\\s+/).filter(Boolean)
    .map((id) => document.getElementById(id)?.textContent.trim() ?? '').join(' ');
  const name = (node) => node.getAttribute('aria-label') || text(node.getAttribute('aria-labelledby'))
    || [...(node.labels ?? [])].map((label) => label.textContent.trim()).join(' ') || node.textContent.trim();
  for (const node of document.querySelectorAll('a[href], button, input, textarea, select, summary, [tabindex="0"]')) {
    if (!name(node)) complaints.push('no name: ' + node.outerHTML.slice(0, 120));
  }
  for (const node of document.querySelectorAll('img')) {
    if (node.getAttribute('alt') === null) complaints.push('no alt: ' + node.outerHTML);
  }
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) complaints.push('id twice: ' + id);
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of node.getAttribute(attribute).split(/\\s+/)) {
        if (!document.getElementById(id)) complaints.push(`${attribute} leads nowhere: ${id}`);
      }
    }
  }
  const count = (selector) => document.querySelectorAll(selector).length;
  if (count('main') !== 1) complaints.push('main landmarks: ' + count('main'));
  if (count('h1') !== 1) complaints.push('h1 headings: ' + count('h1'));
  if (!document.documentElement.lang || !document.title) complaints.push('no language or title');
  const levels = [...document.querySelectorAll('main :is(h1, h2, h3, h4)')].filter(seen)
    .map((node) => Number(node.tagName[1]));
  if (levels.some((level, at) => at && level > levels[at - 1] + 1)) complaints.push('headings skip: ' + levels);
  const navigations = [...document.querySelectorAll('nav')].map((node) => node.getAttribute('aria-label'));
  if (navigations.includes(null) || new Set(navigations).size !== navigations.length) complaints.push('nav names');

  // WCAG contrast: 4.5 for text against the nearest painted background
  const rgba = (colour) => {
    const [red, green, blue, opacity = 1] = colour.match(/[\\d.]+/g).map(Number);
    return [red, green, blue, opacity];
  };
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour.startsWith('rgb') && rgba(colour)[3] === 1) return rgba(colour);
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    if (!words || !seen(node) || node.closest('noscript, :disabled')) continue;
    const [a, b] = [light(rgba(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) complaints.push(`contrast ${ratio.toFixed(2)}: ${words.slice(0, 60)}`);
  }
  return complaints;
}"""


async def sign_in(window: Any, pages: Any) -> None:
    await window.page.get_by_label("Gateway token").fill(pages.token)
    await window.page.keyboard.press("Enter")
    await window.settle()


def route(window: Any, name: str) -> Any:
    return window.page.locator(f"article#{name}")


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_a_page_is_readable_named_and_narrow_enough(
    pages: Any, open_window: Any, address: str, scheme: str, width: int
) -> None:
    """Nothing scrolls sideways, every control has a name, every text has contrast, nothing complains."""
    window = await open_window(pages.url + address, width=width, scheme=scheme)
    await sign_in(window, pages)
    await window.page.evaluate("document.querySelectorAll('main details').forEach((box) => (box.open = true))")
    assert await window.page.evaluate("document.documentElement.scrollWidth") <= width
    assert await window.page.evaluate(ACCESSIBILITY) == []
    assert window.complaints == []


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_page_talks_to_its_own_origin_only(pages: Any, open_window: Any, address: str) -> None:
    window = await open_window(pages.url + address)
    assert window.requested
    assert all(target.startswith(pages.url) for target in window.requested)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_policy_stops_inline_code_and_strangers(pages: Any, open_window: Any, address: str) -> None:
    """What an injection would try does not run: the policy holds in a browser, not only on paper."""
    window = await open_window(pages.url + address)
    stopped = await window.page.evaluate(
        """async () => {
          const broken = [];
          document.addEventListener('securitypolicyviolation', (event) => broken.push(event.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'window.injected = true';
          document.body.append(script);
          const style = document.createElement('p');
          style.setAttribute('style', 'color: red');
          document.body.append(style);
          const image = document.createElement('img');
          image.src = 'http://127.0.0.2:9/pixel.png';
          document.body.append(image);
          await fetch('http://127.0.0.2:9/').catch(() => {});
          await new Promise((done) => setTimeout(done, 100));
          return [window.injected ?? false, [...new Set(broken)].sort()];
        }"""
    )
    assert stopped == [False, ["connect-src", "img-src", "script-src-elem", "style-src-attr"]]


async def test_the_overview_is_useful_without_a_token(pages: Any, open_window: Any) -> None:
    """Health, a word of readiness, the base URL and the lines to paste; and no call that can only be refused."""
    window = await open_window(pages.url + "/")
    page = window.page
    await page.get_by_text("Running · version 0.1.0").wait_for()
    await page.get_by_text("Ready for calls").wait_for()
    assert await page.locator("#base-url").text_content() == f"{pages.url}/v1"
    assert f"export OPENAI_BASE_URL={pages.url}/v1" in await page.locator("#snippets").inner_text()
    assert "Paste a token" in await page.locator("#models").inner_text()
    assert "/v1/models" not in [target for _, target, _ in pages.seen]
    assert window.complaints == []


async def test_a_gateway_open_to_all_lists_its_models_at_once(pages: Any, open_window: Any) -> None:
    pages.open_to_all = True
    window = await open_window(pages.url + "/")
    assert await window.page.locator("#models li").count() == len(pages.models)


async def test_a_token_shows_details_and_models_and_travels_as_a_bearer_only(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    await sign_in(window, pages)
    await window.page.get_by_text("A token is in use in this tab.").wait_for()
    ready = await window.page.locator("#ready").inner_text()
    assert "openrouter" in ready
    assert "200: 57, 404: 2" in ready
    assert await window.page.locator("#models li").count() == len(pages.models)
    assert [headers.get("authorization") for _, target, headers in pages.seen if target == "/v1/models"] == [
        f"Bearer {pages.token}"
    ]
    assert not any(pages.token in target or "cookie" in headers for _, target, headers in pages.seen)
    assert pages.token not in window.page.url
    assert await window.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


async def test_the_token_stays_in_its_tab_and_is_forgotten_on_request(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    await sign_in(window, pages)
    await window.page.goto(pages.url + "/docs")
    await window.page.get_by_text("A token is in use in this tab.").wait_for()
    await window.page.get_by_role("button", name="Forget it").click()
    assert await window.page.evaluate("sessionStorage.length") == 0
    other = await open_window(pages.url + "/")
    assert await other.page.get_by_text("A token is in use in this tab.").count() == 0


@pytest.mark.parametrize(("typed", "told"), [("", "Paste a token first."), ("two words", "no spaces")])
async def test_what_cannot_be_a_token_is_refused_beside_the_field(
    pages: Any, open_window: Any, typed: str, told: str
) -> None:
    window = await open_window(pages.url + "/")
    field = window.page.get_by_label("Gateway token")
    await field.fill(typed)
    await window.page.get_by_role("button", name="Use it").click()
    assert told in await window.page.get_by_role("alert").inner_text()
    assert await field.evaluate(
        "node => node === document.activeElement && node.getAttribute('aria-invalid') === 'true'"
    )
    assert await window.page.evaluate("sessionStorage.length") == 0


async def test_an_unknown_token_gets_the_gateways_words_and_a_way_out(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    await window.page.get_by_label("Gateway token").fill("ola_nobody-knows-me")
    await window.page.get_by_role("button", name="Use it").click()
    told = window.page.locator("#models")
    await told.get_by_text("Missing or unknown token.").wait_for()
    assert "open-llm-auth tokens create" in await told.inner_text()


async def test_a_gateway_that_is_not_ready_or_not_there_says_so(pages: Any, open_window: Any) -> None:
    fault = {"message": "server.port must be a whole number.", "path": "server.port", "since": 1_700_000_000.5}
    pages.ready = (200, {"status": "degraded", "config": {"fault": fault, "warnings": ["auth clashes"]}})
    window = await open_window(pages.url + "/")
    await sign_in(window, pages)
    told = await window.page.locator("#ready").inner_text()
    assert "Taking calls, but something is wrong" in told
    assert "the last good config stays in force. server.port must be a whole number. Since " in told
    assert "auth clashes" in told
    pages.ready = (503, {"status": "starting"})
    await window.page.reload()
    await window.settle()
    assert "Not ready: starting" in await window.page.locator("#ready").inner_text()
    await window.page.route("**/health", lambda held: held.abort())
    await window.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await window.page.get_by_text("The gateway does not answer. Is it still running?").wait_for()


async def test_without_usable_models_the_page_names_the_command_that_adds_one(pages: Any, open_window: Any) -> None:
    pages.models = []
    window = await open_window(pages.url + "/")
    await sign_in(window, pages)
    assert "open-llm-auth auth add-api-key" in await window.page.locator("#models").inner_text()


async def test_the_filter_narrows_the_models_and_says_how_many_are_left(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    await sign_in(window, pages)
    await window.page.get_by_label("Filter").fill("GPT 5")
    assert await window.page.locator("#models li code").all_inner_texts() == ["openai/gpt-5"]
    assert await window.page.locator("#models-count").inner_text() == "1 of 8 models"
    await window.page.get_by_label("Filter").fill("nothing like it")
    assert "No model matches" in await window.page.locator("#models").inner_text()


async def test_the_client_tabs_are_used_by_arrow_keys(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    page = window.page
    await page.get_by_role("tab", name="Environment").focus()
    for expected in ("Python", "Node", "curl", "Environment"):
        await page.keyboard.press("ArrowRight")
        assert await page.evaluate("document.activeElement.textContent") == expected
        assert await page.get_by_role("tabpanel").count() == 1
    await page.keyboard.press("End")
    assert "curl http" in await page.get_by_role("tabpanel").inner_text()


async def test_a_chosen_model_stands_in_the_lines_and_is_quoted_for_the_shell(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    page = window.page
    await sign_in(window, pages)
    await page.get_by_role("tab", name="curl").click()
    await page.get_by_role("button", name="Use ollama/it's-quoted in the examples").click()
    await page.get_by_role("button", name="Copy the curl lines").click()
    await page.get_by_text("Copied the curl lines").wait_for()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert f"curl {pages.url}/v1/chat/completions" in copied
    assert r"ollama/it'\''s-quoted" in copied
    assert pages.token not in copied


async def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/")
    await window.page.keyboard.press("Tab")
    assert await window.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await window.page.keyboard.press("Enter")
    assert await window.page.evaluate("document.activeElement.id") == "main"


async def test_the_reference_shows_every_route_with_scope_fields_and_answers(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/docs")
    shown = await window.page.locator("article h3").all_inner_texts()
    assert shown == [
        "POST /v1/chat/completions",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "GET /v1/slow",
        "GET /health",
        "PUT /config/providers/{provider_id}",
        "DELETE /config/providers/{provider_id}",
    ]
    scopes = await window.page.locator("article .scope").all_inner_texts()
    assert scopes == [
        *("scope: write", "scope: read", "scope: read", "scope: read"),
        *("no token needed", "scope: admin", "scope: admin"),
    ]
    chat = await route(window, "post-v1-chat-completions").inner_text()
    for part in ("messages", "array of object", "required", "number or null", "default false", '"demo/echo"', "401"):
        assert part in chat
    provider = await route(window, "put-config-providers-provider-id").inner_text()
    assert "baseUrl" in provider
    assert "authHeader" in provider
    assert "https://llm.example/v1" in provider


async def test_the_list_of_routes_is_filtered_and_leads_to_them(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/docs")
    await window.page.get_by_label("Filter the routes").fill("delete")
    assert await window.page.locator("#toc-count").inner_text() == "1 of 7 routes"
    await window.page.locator("#toc li:visible a").click()
    assert window.page.url.endswith("#delete-config-providers-provider-id")


async def test_try_it_sends_the_body_with_the_token_and_shows_the_answer(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/docs")
    await sign_in(window, pages)
    chat = route(window, "post-v1-chat-completions")
    await chat.get_by_text("Try it").click()
    await chat.get_by_role("textbox", name="X-Auth-Profile").fill("backup")
    await chat.get_by_role("button", name="Send").click()
    await chat.get_by_text("HTTP 200").wait_for()
    method, target, headers = pages.seen[-1]
    assert (method, target) == ("POST", "/v1/chat/completions")
    assert headers["authorization"] == f"Bearer {pages.token}"
    assert headers["content-type"] == "application/json"
    assert headers["x-auth-profile"] == "backup"
    assert b'"demo/echo"' in pages.bodies[-1]
    assert '"path": "/v1/chat/completions"' in await chat.get_by_label("Answer").inner_text()


async def test_try_it_refuses_broken_json_and_an_empty_path_before_sending(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/docs")
    put = route(window, "put-config-providers-provider-id")
    await put.get_by_text("Try it").click()
    before = len(pages.seen)
    await put.get_by_role("button", name="Send").click()
    assert "Fill in provider_id." in await put.inner_text()
    await put.get_by_role("textbox", name="provider_id").fill("my llm/é")
    await put.get_by_role("textbox", name="Body").fill("{broken")
    await put.get_by_role("button", name="Send").click()
    assert "not valid JSON" in await put.inner_text()
    assert len(pages.seen) == before
    await put.get_by_role("textbox", name="Body").fill("{}")
    await put.get_by_role("button", name="Send").click()
    await put.get_by_text("HTTP 200").wait_for()
    assert pages.seen[-1][1] == "/config/providers/my%20llm/%C3%A9"


async def test_a_stream_shows_as_it_arrives_and_stop_ends_it(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/docs")
    await sign_in(window, pages)
    slow = route(window, "get-v1-slow")
    await slow.get_by_text("Try it").click()
    await slow.get_by_role("button", name="Send").click()
    await slow.get_by_text("data: two").wait_for()
    await slow.get_by_role("button", name="Stop").click()
    await slow.get_by_text("Stopped.").wait_for()
    assert await slow.get_by_role("button", name="Send").is_enabled()
    assert pages.gone.wait(5)


async def test_the_curl_line_of_a_route_holds_no_token(pages: Any, open_window: Any) -> None:
    window = await open_window(pages.url + "/docs")
    await sign_in(window, pages)
    one = route(window, "get-v1-models-model")
    await one.get_by_text("Try it").click()
    await one.get_by_role("button", name="as curl").click()
    copied = await window.page.evaluate("navigator.clipboard.readText()")
    assert copied == (
        f"curl -X GET '{pages.url}/v1/models/demo/echo' \\\n  -H \"Authorization: Bearer $OPENAI_API_KEY\""
    )


async def test_markup_in_what_the_gateway_says_stays_text(pages: Any, open_window: Any) -> None:
    pages.models = ['demo/<img src=x onerror="window.injected=1">']
    pages.spec["paths"]["/health"]["get"]["summary"] = "<script>window.injected=1</script>"
    window = await open_window(pages.url + "/")
    await sign_in(window, pages)
    assert "<img" in await window.page.locator("#models").inner_text()
    await window.page.goto(pages.url + "/docs")
    await window.page.get_by_text("<script>window.injected=1</script>").first.wait_for()
    assert await window.page.evaluate("window.injected === undefined")
    assert window.complaints == []
