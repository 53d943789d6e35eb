"""Secrets that are known again wherever they are said, and providers that say them back in every place there is."""

from __future__ import annotations

import secrets
from typing import Any

from open_llm_auth.testing import Behaviour

__all__ = ["MARK", "Canaries", "Heard", "echoes"]

#: Stands in every canary, so that half of one is found too. No name of anything here holds it.
MARK = "kanarie"


class Canaries(dict[str, str]):
    """Made as they are asked for. None looks like a key, so that only who knows it can take it out."""

    def __missing__(self, name: str) -> str:
        return self.setdefault(name, f"{MARK}{len(self):02d}{secrets.token_hex(20)}")


class Heard:
    """All that anybody outside was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def note(self, where: str, text: str) -> None:
        self.said.append((where, text))

    def search(self, canaries: Canaries, *more: str) -> list[str]:
        """Where a canary, or any part of one, was said."""
        parts = {text[start : start + 12] for text in canaries.values() for start in range(len(text) - 11)}
        forms = {MARK, *more, *parts}
        return [f"{where}: {text[:300]}" for where, text in self.said if any(form in text for form in forms)]


def echoes(keys: dict[str, str]) -> dict[str, Behaviour]:
    """A provider that repeats what it was sent, in every place there is."""
    every = " ".join(keys.values())
    key = keys["key"]

    def error(message: str, **fields: Any) -> dict[str, Any]:
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | fields}

    def failing(status: int, body: Any, *headers: tuple[str, str]) -> Behaviour:
        return Behaviour(status=status, body=body, headers=headers)

    found = {
        "in the message": failing(400, error(f"Bad key {every}.")),
        "behind Bearer": failing(401, error(f"Authorization: Bearer {key}")),
        "in the type": failing(400, error("no", type=key)),
        "in the code": failing(400, error("no", code=every)),
        "in the param": failing(400, error("no", param=every)),
        "in a name": failing(400, {"error": {"message": "no", key: key}}),
        "in a string error": failing(400, {"error": key, "code": key}),
        "in a detail": failing(422, {"detail": [{"loc": ["body", key], "msg": key, "input": every}]}),
        "in errors": failing(400, {"errors": [{"message": every}]}),
        "in Google's list": failing(400, [{"error": {"message": every, "status": key, "details": [{"reason": key}]}}]),  # type: ignore[arg-type]
        "in plain text": failing(500, f"oh no {every}".encode(), ("content-type", "text/plain")),
        "in a page": failing(502, f"<html>{every}</html>".encode(), ("content-type", "text/html")),
        "in half a document": failing(400, f'{{"error": {{"message": "{every}'.encode()),
        "in an answer that is none": Behaviour(body=f"<html>{every}</html>".encode()),
        "in an error with status 200": Behaviour(body=error(f"no {every}", code="429")),
        "in the limits of an answer": Behaviour(headers=(("x-ratelimit-key", every), ("x-ratelimit-limit", "5"))),
        "in the limits of an error": failing(429, error("slow down"), ("x-ratelimit-key", every), ("retry-after", key)),
        "in the name of a limit": failing(429, error("slow down"), (f"x-ratelimit-{key}", "1")),
        "in a redirect": failing(307, b"", ("location", f"http://127.0.0.1/?key={key}")),
        "in other headers": Behaviour(headers=(("set-cookie", key), ("x-request-id", key), ("www-authenticate", key))),
        "in the headers of a 401": failing(401, error("no"), ("www-authenticate", f'Bearer realm="{key}"')),
        "in a content type": failing(400, b"no", ("content-type", f"text/{key}")),
        "in a content encoding": failing(200, b"no", ("content-encoding", key)),
        "in an error event": Behaviour(trouble="error_event", after_events=0, error=error(f"no {every}", code=key)),
        "in a late error event": Behaviour(trouble="error_event", after_events=3, error=error(f"no {every}", type=key)),
    }
    # Wherever a text is cut, half a key may not be left over.
    for room in (150, 170, 190, 199, 1950, 1970, 1990, 1999):
        padded = "x" * room + " " + every
        found[f"after {room} characters"] = failing(400, error(padded, type=padded, code=padded, param=padded))
    return found
