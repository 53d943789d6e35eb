"""Fetches images that a client gives by address, for providers that take only their bytes (SPEC §6)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

from ..errors import EgressBlocked, InvalidRequest, UnsafeDestination, UpstreamError
from ..policy.egress import parse_endpoint
from ..ports import Transport
from ..values import Outbound, Timeouts
from ..wire.conversation import Conversation, Image, Part, ToolResult, Turn

__all__ = ["ImageFetcher"]

#: Who asks, for the egress policy: no provider of a config can have this id, so none's exemption reaches here.
_ASKER: Final = "image fetch"
_LIMIT_BYTES: Final = 20 << 20
_SECONDS: Final = 10.0
#: How many different images one call may name, and how many are fetched at once.
_MOST: Final = 20
_AT_ONCE: Final = 4
_HEADERS: Final = ((b"accept", b"image/*"), (b"user-agent", b"open-llm-auth"))
_SIGNS: Final[Mapping[bytes, str]] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


class ImageFetcher:
    """Puts the bytes of images in the place of their addresses."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def inline(self, conversation: Conversation) -> Conversation:
        """The conversation with every image in it; the same object where all of them are.

        Raises:
            InvalidRequest: one can't be had: not https, not an image, too large, too slow, forbidden, not there.
        """
        urls = list(dict.fromkeys(image.url for image in _images(conversation) if image.url))
        if not urls:
            return conversation
        if len(urls) > _MOST:
            raise InvalidRequest(
                f"The call names {len(urls)} images by address; for this model's provider at most {_MOST} are fetched. "
                f"Send the others as base64.",
                param="image_url",
            )
        gate = asyncio.Semaphore(_AT_ONCE)

        async def fetch(url: str) -> Image | InvalidRequest:
            try:
                async with gate:
                    return await self._fetch(url)
            except InvalidRequest as error:
                return error  # a value, so that it does not cancel the others half-way

        fetched = dict(zip(urls, await asyncio.gather(*map(fetch, urls)), strict=True))
        for outcome in fetched.values():
            if isinstance(outcome, InvalidRequest):
                raise outcome
        found = {url: outcome for url, outcome in fetched.items() if isinstance(outcome, Image)}
        return replace(conversation, turns=tuple(_filled(turn, found) for turn in conversation.turns))

    async def _fetch(self, url: str) -> Image:
        request = _request(url)
        try:
            async with asyncio.timeout(_SECONDS):
                reply = await self._transport.send(request)
                try:
                    if reply.status != 200:
                        raise _unfetched(request, f"its server answered HTTP {reply.status}")
                    body = await reply.read(_LIMIT_BYTES)
                    stated = reply.header(b"content-type")
                finally:
                    await reply.aclose()
        except TimeoutError:
            raise _unfetched(request, f"it did not come within {_SECONDS:g} seconds") from None
        except EgressBlocked as error:
            reason = error.details.get("reason")
            raise _unfetched(request, f"the egress policy forbids its address ({reason})") from None
        except UpstreamError as error:
            raise _unfetched(request, error.message) from None
        media_type = _media_type(stated, body)
        if media_type is None:
            raise _unfetched(request, "what came is no image")
        return Image(media_type, base64.b64encode(body).decode())


def _request(url: str) -> Outbound:
    try:
        parts = urlsplit(url)
        if parts.scheme != "https":
            raise InvalidRequest(
                "An image's address must begin with https:// to be fetched for this model's provider. Send the image "
                "as base64 instead.",
                param="image_url",
            )
        endpoint = parse_endpoint(f"https://{parts.netloc}")
    except (ValueError, UnsafeDestination):
        raise InvalidRequest("An image's address can't be read as a URL.", param="image_url") from None
    # What a browser would put into the request line, so that no character of it can be another line.
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/%:@!$&*+,;=~?-._')}" if parts.query else ""
    )
    timeouts = Timeouts(connect=_SECONDS, first_byte=_SECONDS, idle=_SECONDS)
    return Outbound(_ASKER, "GET", endpoint, target, _HEADERS, timeouts=timeouts)


def _unfetched(request: Outbound, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The image at {request.endpoint.host!r} could not be fetched: {why}. Send it as base64 instead.",
        param="image_url",
    )


def _media_type(stated: bytes | None, body: bytes) -> str | None:
    """What the bytes say, else what the server said of them."""
    for sign, media_type in _SIGNS.items():
        if body.startswith(sign):
            return media_type
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    text = (stated or b"").partition(b";")[0].strip().lower().decode("latin-1")
    return text if text.startswith("image/") and text.isprintable() and len(text) < 64 else None


def _images(conversation: Conversation) -> list[Image]:
    parts = [part for turn in conversation.turns for part in turn.parts]
    inner = [each for part in parts if isinstance(part, ToolResult) for each in part.parts]
    return [part for part in (*parts, *inner) if isinstance(part, Image)]


def _filled(turn: Turn, found: Mapping[str, Image]) -> Turn:
    return replace(turn, parts=tuple(_filled_part(part, found) for part in turn.parts))


def _filled_part(part: Part, found: Mapping[str, Image]) -> Part:
    if isinstance(part, Image):
        return _filled_image(part, found)
    if isinstance(part, ToolResult):
        inner = (_filled_image(each, found) if isinstance(each, Image) else each for each in part.parts)
        return replace(part, parts=tuple(inner))
    return part


def _filled_image(image: Image, found: Mapping[str, Image]) -> Image:
    if not image.url:
        return image
    fetched = found[image.url]
    return replace(image, url="", media_type=fetched.media_type, data=fetched.data)
