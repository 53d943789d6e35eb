"""Renewing a sign-in (SPEC §5, Refresh; RFC 6749, section 6): one request, what its answer means for the pair, and
what is noted before and after, so that no refresh token is presented again without a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal
from urllib.parse import urlencode

from ..errors import GatewayError, SignInFailed, UpstreamError
from ..values import Profile, RenewalNote, Secret, SecretScheme, SignIn
from .flows.copilot import exchange
from .flows.steps import Fetch, Fetched, Flow, Tokens
from .flows.tokens import Outcome, RenewalFailed, TokenAnswerInvalid, error_code, read_tokens

__all__ = [
    "Course",
    "RenewalFailed",
    "about",
    "after_failure",
    "after_success",
    "before_the_send",
    "check_identity",
    "course_of",
    "died_twice",
    "digest_of",
    "is_renewable",
    "renew",
    "repair_of",
    "spent_already",
]

#: `present` it; `again`, the once that is allowed where who presented it died; `too_soon` after a success; `wait` for
#: the back-off; `lapsed`, a person has to sign in.
Course = Literal["present", "again", "too_soon", "wait", "lapsed"]

_FORM: Final = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
_TERMINAL_STATUSES: Final = frozenset({400, 401, 403})

#: Seconds. A clock that is wrong can't make a loop of it.
_BETWEEN_SUCCESSES: Final = 60.0
#: Seconds until a token that may be spent is presented again, and until one is that can't be.
_LADDER: Final = (60.0, 300.0, 1500.0, 3600.0)
_SHORT_LADDER: Final = (5.0, 30.0, 120.0, 300.0)

_WRITABLE: Final[frozenset[SecretScheme]] = frozenset({"literal", "keyring", "vault"})


def renew(sign_in: SignIn, refresh: Secret, now: float, *, client_secret: Secret | None = None) -> Flow:
    """Present `refresh` once. `now` is seconds since the epoch.

    Where a sign-in's token is exchanged for short-lived ones, that is the renewal, and it spends nothing.

    Raises:
        RenewalFailed: with what that means for the refresh token.
    """
    try:
        if sign_in.exchange_url:
            return (yield from exchange(sign_in, refresh, now))
        fetched: Fetched = yield _request(sign_in, refresh, client_secret)
    except GatewayError as error:
        raise RenewalFailed(error.message, _outcome_of(sign_in, error)) from error
    if fetched.status != 200:
        raise _refused(sign_in, fetched)
    try:
        return read_tokens(fetched.body, now)
    except TokenAnswerInvalid as error:
        message = f"the token endpoint of {sign_in.provider!r}: {error.message}"
        raise RenewalFailed(message, "uncertain", refresh=error.refresh) from None


def check_identity(provider: str, tokens: Tokens, account_id: str | None, metadata: Mapping[str, object]) -> None:
    """Refuse tokens of another account than the one that is stored, where both are known.

    Raises:
        RenewalFailed: terminal, for the pair that was presented can't lead back to its own account.
    """
    known = {"account": account_id, "subject": metadata.get("subject")}
    said = {"account": tokens.account_id, "subject": tokens.details.get("subject")}
    for name, stored in known.items():
        if stored and said[name] and said[name] != stored:
            raise RenewalFailed(
                f"the token endpoint of {provider!r} answered with tokens of another {name} ({said[name]!r}) than the "
                f"one that signed in ({stored!r}); they are not used",
                "terminal",
                code="another_account",
            )


def _request(sign_in: SignIn, refresh: Secret, client_secret: Secret | None) -> Fetch:
    fields = {"grant_type": "refresh_token", "refresh_token": refresh.reveal(), "client_id": sign_in.client_id}
    if client_secret is not None:
        fields["client_secret"] = client_secret.reveal()
    return Fetch("POST", sign_in.token_url, _FORM, urlencode(fields).encode())


def _outcome_of(sign_in: SignIn, error: GatewayError) -> Outcome:
    """What breaks before the send spends nothing; of an answer that was lost nobody knows."""
    if isinstance(error, SignInFailed):
        return "terminal" if error.details.get("error") in sign_in.terminal else "uncertain"
    if not isinstance(error, UpstreamError) or error.details.get("sent") is False:
        return "not_sent"
    return "uncertain"


def _refused(sign_in: SignIn, fetched: Fetched) -> RenewalFailed:
    """Only a code that says so ends a sign-in. All else, an unknown client or a server at fault, keeps the pair."""
    code = error_code(fetched)
    said = f" ({code})" if code else ""
    message = f"the token endpoint of {sign_in.provider!r} answered HTTP {fetched.status}{said}"
    if code in sign_in.terminal and fetched.status in _TERMINAL_STATUSES:
        return RenewalFailed(message, "terminal", code=code)
    return RenewalFailed(message, "uncertain", code=code)


# --- what is noted between the tries ---------------------------------------------------------------------------


def is_renewable(profile: Profile, sign_ins: Mapping[str, SignIn]) -> bool:
    """Whether the gateway renews it: a sign-in of its own, whose pair stands where it can be replaced."""
    if profile.type != "oauth" or profile.secret is None or profile.refresh is None:
        return False
    sign_in = sign_ins.get(profile.provider)
    if profile.metadata.get("mayRotate") is False or sign_in is None or not sign_in.token_url:
        return False
    if not (sign_in.rotates or sign_in.exchange_url):
        return False  # a token that neither ends nor is exchanged
    return {profile.secret.scheme, profile.refresh.scheme} <= _WRITABLE


def digest_of(profile_id: str, refresh: Secret) -> str:
    """What names a refresh token in a note. Nobody finds the token by it, as issuers draw them by lot."""
    return hashlib.sha256(f"{profile_id} {refresh.reveal()}".encode()).hexdigest()[:32]


def about(note: RenewalNote | None, token: str) -> RenewalNote | None:
    """The note, where it speaks of this refresh token."""
    return note if note is not None and note.token == token else None


def course_of(note: RenewalNote | None, now: float, *, rotates: bool) -> Course:
    """What to do with a refresh token of which that is noted, for who holds its lease. A clock that was set back makes
    everything due, one that was set forward too: both once, as the first success is noted with the new time."""
    if note is None:
        return "present"
    if note.state == "needs_login":
        return "lapsed"
    if note.state == "renewed":
        return "too_soon" if 0 <= now - note.at < _BETWEEN_SUCCESSES else "present"
    if note.state == "refreshing":
        # Who made this mark is dead, or the lease would not be ours.
        return "present" if not rotates else "lapsed" if note.again else "again"
    return "wait" if note.at <= now < note.not_before else "present"


def before_the_send(note: RenewalNote | None, profile_id: str, token: str, now: float, course: Course) -> RenewalNote:
    """The mark that stands on disk while the answer is out."""
    fresh = note or RenewalNote(profile_id, token, "refreshing", now)
    return replace(
        fresh,
        state="refreshing",
        at=now,
        presented=fresh.presented + 1,
        again=fresh.again or course == "again",
        not_before=0.0,
    )


def after_success(mark: RenewalNote, token: str, now: float) -> RenewalNote:
    """`token` is the digest of the refresh token to use from now on, which may be the same."""
    spent = mark.token if token != mark.token else ""
    return RenewalNote(mark.profile, token, "renewed", now, spent=spent)


def after_failure(mark: RenewalNote, failed: RenewalFailed, now: float, *, rotates: bool) -> RenewalNote:
    """A token that was not sent is as it was; of an answer that was lost nobody knows; a terminal code ends it."""
    if failed.outcome == "terminal":
        return replace(mark, state="needs_login", at=now, error=failed.message, code=failed.code)
    uncertain = failed.outcome == "uncertain"
    ladder = _LADDER if uncertain and rotates else _SHORT_LADDER
    return replace(
        mark,
        state="uncertain" if uncertain else "waiting",
        at=now,
        presented=mark.presented if uncertain else mark.presented - 1,
        failures=mark.failures + 1,
        not_before=now + ladder[min(mark.failures, len(ladder) - 1)],
        error=failed.message,
        code=failed.code,
    )


def died_twice(note: RenewalNote, now: float) -> RenewalNote:
    """Two that presented it died before the answer was stored; a third time is no better, and issuers mind."""
    return replace(note, state="needs_login", at=now, error="its last two renewals ended before the answer was stored")


def spent_already(profile_id: str, token: str, now: float) -> RenewalNote:
    """What is stored is the pair from before a renewal, as when an older copy of the config was put back."""
    error = "its refresh token was spent before: an older copy of the config seems to have been put back"
    return RenewalNote(profile_id, token, "needs_login", now, error=error)


def repair_of(profile: Profile) -> str:
    """The command that signs in anew."""
    name = profile.id.removeprefix(f"{profile.provider}:")
    return f"open-llm-auth auth login {profile.provider} --profile {name}"
