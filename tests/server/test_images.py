"""Images given by address reach providers that take only bytes, and no address is fetched that should not be."""

import base64

import pytest

from open_llm_auth.errors import EgressBlocked, InvalidRequest, UpstreamTimeout
from open_llm_auth.server.images import ImageFetcher
from open_llm_auth.testing import ScriptedReply, ScriptedTransport
from open_llm_auth.wire.conversation import Conversation, Image, Text, ToolResult, Turn

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
DATA = base64.b64encode(PNG).decode()
HTML = ScriptedReply(200, b"<html>", ((b"content-type", b"text/html"),))


def of(*urls):
    return Conversation((Turn("user", (Text("What is this?"), *(Image(url=url, detail="low") for url in urls))),))


async def test_an_address_becomes_its_bytes_and_everything_else_stays():
    transport = ScriptedTransport([ScriptedReply(200, PNG)])
    inlined = await ImageFetcher(transport).inline(of("https://a.example/b%20c.png?size=1&x=%2F"))
    assert inlined.turns[0].parts == (Text("What is this?"), Image("image/png", DATA, detail="low"))
    (request,) = transport.requests
    assert (request.method, str(request.endpoint), request.target) == (
        "GET",
        "https://a.example",
        "/b%20c.png?size=1&x=%2F",
    )
    assert b"authorization" not in dict(request.headers)


async def test_the_one_image_of_two_places_is_fetched_once_and_results_of_tools_have_theirs():
    transport = ScriptedTransport([ScriptedReply(200, PNG)])
    url = "https://a.example/b.png"
    turns = (*of(url).turns, Turn("user", (ToolResult("1", "look", (Text("seen"), Image(url=url))),)))
    inlined = await ImageFetcher(transport).inline(Conversation(turns))
    assert len(transport.requests) == 1
    assert inlined.turns[1].parts[0].parts[1].data == DATA


async def test_a_call_without_addresses_is_left_as_it_is():
    conversation = Conversation((Turn("user", (Image("image/png", DATA),)),))
    assert await ImageFetcher(ScriptedTransport([])).inline(conversation) is conversation


async def test_what_the_bytes_are_counts_before_what_the_server_says():
    transport = ScriptedTransport([ScriptedReply(200, PNG, ((b"content-type", b"image/jpeg"),))])
    inlined = await ImageFetcher(transport).inline(of("https://a.example/b"))
    assert inlined.turns[0].parts[1].media_type == "image/png"


@pytest.mark.parametrize(
    "url",
    ["http://a.example/b.png", "ftp://a.example/b", "file:///etc/passwd", "https://u:p@a.example/b", "https:///b",
     "https://a.example:0/b", "https://a b/c", "//a.example/b", "\x00"],
)  # fmt: skip
async def test_only_a_plain_https_address_is_fetched(url):
    with pytest.raises(InvalidRequest) as refusal:
        await ImageFetcher(ScriptedTransport([])).inline(of(url))
    assert refusal.value.param == "image_url"


async def test_no_character_of_an_address_becomes_another_line_of_the_request():
    transport = ScriptedTransport([ScriptedReply(200, PNG)])
    await ImageFetcher(transport).inline(of("https://a.example/b c\u2028d?e f"))
    target = transport.requests[0].target
    assert target.isascii()
    assert " " not in target


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ScriptedReply(404), "HTTP 404"),
        (ScriptedReply(302), "HTTP 302"),
        (HTML, "no image"),
        (ScriptedReply(200, [PNG, b"x" * (20 << 20)]), "longer than"),
        (UpstreamTimeout("It did not answer."), "did not answer"),
        (EgressBlocked("no", details={"reason": "resolved_private_ip"}), "resolved_private_ip"),
    ],
)
async def test_what_can_t_be_had_is_refused_with_the_reason_and_the_repair(answer, why):
    with pytest.raises(InvalidRequest, match=rf"'a\.example' could not be fetched: .*{why}.*base64"):
        await ImageFetcher(ScriptedTransport([answer])).inline(of("https://a.example/b"))


async def test_more_images_than_a_person_would_send_are_refused_before_any_is_fetched():
    with pytest.raises(InvalidRequest, match="21 images"):
        await ImageFetcher(ScriptedTransport([])).inline(of(*(f"https://a.example/{n}" for n in range(21))))
