"""What an error status of a provider means for the attempt, and what the caller is told of it (SPEC §5, §11).

The same for every dialect but for one function: how it reads the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, Final

import msgspec

from ..auth.limits import read_limits, spent_until
from ..errors import GatewayError, UpstreamCredentialRejected, UpstreamHTTPError
from ..policy.resets import bounded, http_date, number, seconds_until
from ..values import Fault, FaultKind, Headers
from ..wire.events import UPSTREAM_DETAILS, ErrorBody
from ..wire.openai_error import read_error as read_openai_error
from .spec import ReadError

__all__ = ["error_reader", "read_error", "retry_after", "spent_wait", "told_in_stream"]

#: The status decides before the text does; statuses that are not here go by their hundred.
_KINDS: Final[dict[int, FaultKind]] = {
    401: "auth",
    402: "billing",
    403: "denied",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
#: Codes and types that mean a credential whatever 4xx they come with.
_AUTH_CODES: Final = frozenset({"invalid_api_key", "api_key_invalid", "incorrect_api_key", "api_key_expired"})
_BILLING_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "exceeded_current_quota_error",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_funds",
        "credit_balance_too_low",
        "payment_required",
        "budget_exceeded",
    }
)
#: Codes and types of a 429 that name the whole account: ChatGPT's plan, Copilot's, a shared sign-in's. What follows a
#: colon is the plan (``user_global_rate_limited:pro``).
_ACCOUNT_CODES: Final = frozenset(
    {
        "usage_limit_reached",
        "user_global_rate_limited",
        "user_weekly_rate_limited",
        "subscription_sharing_usage_limit_exceeded",
    }
)
#: Parts of a code or type that make a 403 one about the credential, and not about model, region or policy.
_AUTH_WORDS: Final = ("api_key", "apikey", "authentic", "unauthorized", "credential", "token", "expired", "revoked",
                      "deactivated", "suspended")  # fmt: skip
_BILLING_WORDS: Final = ("billing", "quota", "credit", "balance", "payment", "arrear", "fund")
#: What pages say that want a browser to prove itself.
_CHALLENGE_WORDS: Final = (b"challenge", b"captcha", b"cf-chl", b"just a moment", b"attention required")
_CHALLENGE_WINDOW: Final = 20_000

_MESSAGE_LIMIT: Final = 2_000
_FIELD_LIMIT: Final = 200
#: bytes of Google's details of an error, and how deep they may be nested
_DETAILS_LIMIT: Final = 8_192
_DEPTH_LIMIT: Final = 8
#: Keys as providers print them back, masked: even the four characters left are nobody's business.
_MASKED: Final = re.compile(r"[\w.-]*\*{3,}[\w*.-]*")


def error_reader(
    read_body: Callable[[bytes], ErrorBody | None], limits: Callable[[bytes], bool] | None = None
) -> ReadError:
    """A kind's `read_error`: `read_body` reads its dialect's error, `limits` says which further response headers tell
    of the caller's limits and may be carried on."""

    def read(provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]) -> Fault:
        """What an error status means for the attempt, and what the caller is told of it.

        The provider's own words are passed on only when they parse as its dialect's error, with every secret that
        `hide` knows and every masked key taken out, and at most 2,000 characters of them.
        """
        fields = _first_of_each(headers)
        said = read_body(body)
        wait = retry_after(status, headers)
        if wait is None and said is not None and said.retry_after is not None:
            wait = bounded(said.retry_after)
        return Fault(
            kind=_kind(status, fields, body, said),
            error=_with_wait(_error(provider_id, status, headers, said, hide, limits), wait),
            status=status,
            retry_after=wait,
            account_wide=_is_account_wide(said),
        )

    return read


def _kind(status: int, fields: dict[bytes, bytes], body: bytes, said: ErrorBody | None) -> FaultKind:
    if _is_challenge(status, fields, body):
        return "denied"
    words = _words(said)
    if 400 <= status < 500:
        if words & _BILLING_CODES:
            return "billing"
        if words & _AUTH_CODES:
            return "auth"
    if status == 403:
        return _kind_of_refusal(" ".join(sorted(words)))
    return _KINDS.get(status) or ("server" if status >= 500 else "rejected")


def _words(said: ErrorBody | None) -> set[str]:
    return {text.lower() for text in (said.code, said.type) if text} if said else set()


def _is_account_wide(said: ErrorBody | None) -> bool:
    return any(word.partition(":")[0] in _ACCOUNT_CODES for word in _words(said))


def _kind_of_refusal(words: str) -> FaultKind:
    if any(word in words for word in _BILLING_WORDS):
        return "billing"
    return "auth" if any(word in words for word in _AUTH_WORDS) else "denied"


def _is_challenge(status: int, fields: dict[bytes, bytes], body: bytes) -> bool:
    if fields.get(b"cf-mitigated"):
        return True
    if status not in (403, 503) or not fields.get(b"content-type", b"").lower().startswith(b"text/html"):
        return False
    # A plain 503 page is what every overloaded reverse proxy sends.
    page = body[:_CHALLENGE_WINDOW].lower()
    return status == 403 or any(word in page for word in _CHALLENGE_WORDS)


def _error(
    provider_id: str,
    status: int,
    headers: Headers,
    said: ErrorBody | None,
    hide: Callable[[str], str],
    limits: Callable[[bytes], bool] | None,
) -> GatewayError:
    details: dict[str, object] = {"provider": provider_id, "upstreamStatus": status}
    if said is not None:
        for name, text in (("upstreamCode", said.code), ("upstreamType", said.type)):
            if text:
                details[name] = _scrub(text, hide, _FIELD_LIMIT)
        if said.details:
            details[UPSTREAM_DETAILS] = _scrubbed(said.details, hide)
    message = _scrub(said.message, hide, _MESSAGE_LIMIT) if said else ""
    kind = UpstreamCredentialRejected if status in (401, 403) else UpstreamHTTPError
    return kind(
        message or f"Upstream provider {provider_id!r} returned HTTP {status}",
        param=_scrub(said.param, hide, _FIELD_LIMIT) if said and said.param else None,
        details=details,
        headers=_carried(headers, limits),
        status=status,
    )


def _scrub(text: str, hide: Callable[[str], str], limit: int) -> str:
    # Hidden before it is cut, so that no half of a secret is left at the end.
    return _MASKED.sub("[REDACTED]", hide(text)).strip()[:limit]


def _scrubbed(details: Iterable[Mapping[str, Any]], hide: Callable[[str], str]) -> list[object]:
    """Google's details of an error, whole ones as long as there is room for them."""
    kept: list[object] = []
    room = _DETAILS_LIMIT
    for item in details:
        told = _without_secrets(item, hide)
        room -= len(msgspec.json.encode(told))
        if room < 0:
            break
        kept.append(told)
    return kept


def _without_secrets(value: Any, hide: Callable[[str], str], depth: int = 0) -> Any:
    """A value of JSON without what is secret in it; what is nested too deeply is left out."""
    if isinstance(value, str):
        return _scrub(value, hide, _MESSAGE_LIMIT)
    if value is None or isinstance(value, bool):
        return value
    if depth >= _DEPTH_LIMIT:
        return None
    if isinstance(value, list):
        return [_without_secrets(part, hide, depth + 1) for part in value]
    if isinstance(value, dict):
        pairs = ((_scrub(name, hide, _FIELD_LIMIT), part) for name, part in value.items())
        return {name: _without_secrets(part, hide, depth + 1) for name, part in pairs}
    return value if hide(str(value)) == str(value) else None


def _with_wait(error: GatewayError, wait: float | None) -> GatewayError:
    """The error with a ``retry-after``, where it was stated in another form that the caller would not look for."""
    if wait is not None and not any(name == "retry-after" for name, _ in error.headers):
        error.headers = (*error.headers, ("retry-after", str(ceil(wait))))
    return error


def _carried(headers: Headers, limits: Callable[[bytes], bool] | None) -> tuple[tuple[str, str], ...]:
    """The headers by which a client times its next try."""
    carried = []
    for name, value in headers:
        text = value.decode("latin-1")
        wanted = name in (b"retry-after", b"retry-after-ms") or name.startswith(b"x-ratelimit-")
        if (wanted or (limits is not None and limits(name))) and _is_printable(text):
            carried.append((name.decode("latin-1"), text))
    return tuple(carried)


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= _FIELD_LIMIT


def _first_of_each(headers: Headers) -> dict[bytes, bytes]:
    return dict(reversed(headers))


# ---------------------------------------------------------------------------------------------- when to come back


def retry_after(status: int, headers: Headers) -> float | None:
    """Seconds until the provider wants to be asked again, as stated; between 0 and 30 days.

    Dates are held against the answer's own ``Date``, so that no clock is needed and none can disagree.
    """
    fields = _first_of_each(headers)
    stated = number(fields.get(b"retry-after-ms"))
    if stated is not None:
        return bounded(stated / 1000)
    given = fields.get(b"retry-after", b"").strip()
    now = http_date(fields.get(b"date", b""))
    stated = number(given)
    if stated is not None:
        return bounded(stated)
    moment = http_date(given)
    if moment is not None and now is not None:
        return bounded(max(0.0, moment - now))
    return _reset(fields, now) if status == 429 else None


def _reset(fields: dict[bytes, bytes], now: float | None) -> float | None:
    """The reset of the limit that is spent; the soonest of them all where none says that it is."""
    resets: dict[bytes, float] = {}
    for name, value in fields.items():
        if name.startswith(b"x-ratelimit-reset"):
            wait = seconds_until(value, now)
            if wait is not None:
                resets[name.removeprefix(b"x-ratelimit-reset")] = wait
    spent = [wait for what, wait in resets.items() if fields.get(b"x-ratelimit-remaining" + what, b"").strip() == b"0"]
    if spent:
        return max(spent)
    return min(resets.values()) if resets else None


def spent_wait(headers: Headers) -> float | None:
    """Seconds until the limits that an answer tells to be spent begin anew, by the answer's own date."""
    now = http_date(_first_of_each(headers).get(b"date", b""))
    until = None if now is None else spent_until(read_limits(headers, now))
    return None if now is None or until is None else bounded(max(0.0, until - now))


#: OpenAI's dialects, and whoever claims to speak them.
read_error: Final = error_reader(read_openai_error)


# ---------------------------------------------------------------------------------------------- in a stream

#: The status that an error told as a stream event would have had, by the words of its dialect. What says no more than
#: that the provider failed is 502: a 500 would be taken for the gateway's own.
_STATUSES: Final[dict[str, int]] = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "validationexception": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "accessdeniedexception": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "throttlingexception": 429,
    "too_many_requests": 429,
    "usage_limit_reached": 429,
    "unavailable": 503,
    "serviceunavailableexception": 503,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
    "server_is_overloaded": 529,
}
_UNSAID: Final = 502


def told_in_stream(provider_id: str, status: int | None, said: ErrorBody, hide: Callable[[str], str]) -> Fault:
    """What an error told as an event of a stream means, with the status it would have had. `status` is the one the
    stream began with; None where it has none, because a program said it."""
    meant = _status_in(said)
    error = _error(provider_id, meant, (), said, hide, None)
    if status is None:
        del error.details["upstreamStatus"]
    else:
        error.details["upstreamStatus"] = status
    wait = None if said.retry_after is None else bounded(said.retry_after)
    return Fault(
        kind=_kind(meant, {}, b"", said),
        error=_with_wait(error, wait),
        status=meant,
        retry_after=wait,
        account_wide=_is_account_wide(said),
    )


def _status_in(said: ErrorBody) -> int:
    for word in (said.code, said.type):
        if word and word.isdigit() and 400 <= int(word) <= 599 and word != "500":
            return int(word)
        if word and (known := _STATUSES.get(word.lower())) is not None:
            return known
    return _UNSAID
