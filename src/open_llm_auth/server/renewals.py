"""Keeps the gateway's own sign-ins fresh (SPEC §5, Refresh): once for all calls of the process and all processes.

Lease, re-read, adopt what another renewed, mark, send, store, release: the order is the whole point. A refresh token
that was presented and whose answer nobody stored is lost, and an issuer that sees one twice ends the sign-in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Final

from ..auth import refresh as rules
from ..auth.flows.choose import for_profile
from ..auth.flows.steps import Fetch, Tokens
from ..auth.flows.tokens import RenewalFailed
from ..errors import ConfigError, GatewayError, RenewalUncertain, SecretUnavailable, SignInLapsed
from ..ports import Clock, ConfigSource, Lease, SecretSource, SignInStore, Transport
from ..values import Credential, Profile, RenewalNote, Secret, SignedIn, SignIn
from .fetching import FETCH_SECONDS, fetch

__all__ = ["Renewals"]

#: Seconds before its end from which a sign-in is renewed beside the calls, and from which a call waits for it.
_AHEAD: Final = 300.0
_URGENT: Final = 15.0
#: Who renews holds the lease for one request and two writes, so that waiting for longer is waiting in vain.
_LEASE_SECONDS: Final = FETCH_SECONDS + 30.0
_LEASE_PAUSE: Final = 0.02
_SWEEP_SECONDS: Final = 15.0
#: A pair that is not on disk is nobody's: storing it is tried until there is room for it, the last pause for ever.
_STORE_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_CALL_SECONDS: Final = _LEASE_SECONDS + FETCH_SECONDS
_CLOSING_SECONDS: Final = 10.0
_KEPT_SECRETS: Final = 64


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a flight: the sign-in to use now, or why there is none."""

    stored: SignedIn | None = None
    error: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process knows of a sign-in without looking: good while `access` is the token in use."""

    access: Secret
    note: RenewalNote | None
    #: the provider refused the access token, and nothing came of it
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """One sign-in to renew: the access token somebody holds, and whether the provider refused it."""

    profile: Profile
    sign_in: SignIn
    held: Secret
    rejected: bool


class Renewals:
    """`ready` before a call, `after_rejection` after its 401, `run` beside them all. `log` takes finished sentences."""

    def __init__(
        self,
        *,
        config: ConfigSource,
        store: SignInStore,
        transport: Transport,
        secrets: SecretSource,
        clock: Clock,
        log: Callable[[str], object],
        sweep_seconds: float = _SWEEP_SECONDS,
    ) -> None:
        self._config = config
        self._store = store
        self._transport = transport
        self._secrets = secrets
        self._clock = clock
        self._log = log
        self._sweep_seconds = sweep_seconds
        self._flights: dict[str, asyncio.Task[_Outcome]] = {}
        self._known: dict[str, _Known] = {}
        self._complaints: dict[str, str] = {}
        self._hidden: deque[Secret] = deque(maxlen=_KEPT_SECRETS)

    # --- what calls ask ---

    async def ready(self, credential: Credential) -> Credential:
        """The credential as it is to be sent now: renewed first where it has expired, or is about to.

        Raises:
            SignInLapsed: it needs its person.
            RenewalUncertain: it has expired and can't be renewed at the moment.
        """
        left = self._left(credential.expires)
        if left > _AHEAD or (case := self._case(credential, rejected=False)) is None:
            return credential
        course = self._foreseen(case)
        if course == "too_soon":
            return credential  # it is as new as can be, whatever the clock says
        if left > _URGENT or (left > 0 and course != "present"):
            if course == "present":
                self._fly(case)
            return credential
        outcome = await self._result(case)
        if outcome.stored is not None:
            return _renewed(credential, outcome.stored, self._config.current().profiles.get(credential.id))
        if left > 0:
            return credential
        raise outcome.error or self._uncertain(case, "")

    async def after_rejection(self, credential: Credential) -> Credential | None:
        """The credential to try once more after a 401; None where that 401 is the last word.

        Raises:
            SignInLapsed: the sign-in needs its person, which the 401 alone would not tell.
        """
        case = self._case(credential, rejected=True)
        if case is None:
            return None
        outcome = await self._result(case)
        if outcome.stored is not None and outcome.stored.access != credential.secret:
            return _renewed(credential, outcome.stored, self._config.current().profiles.get(credential.id))
        if outcome.error is not None and (known := self._known.get(credential.id)) is not None:
            self._known[credential.id] = replace(known, rejected=known.access == credential.secret)
        if isinstance(outcome.error, SignInLapsed):
            raise outcome.error
        return None

    def lapsed(self, profile_id: str, access: Secret, *, expired: bool) -> str:
        """As `ports.RenewalStates` says."""
        known = self._known.get(profile_id)
        if known is None or known.access != access or known.note is None or known.note.state != "needs_login":
            return ""
        if not (expired or known.rejected):
            return ""  # its access token is good for a while yet
        return known.note.error

    def hidden(self) -> Iterable[Secret]:
        """Tokens of late, which no snapshot has any more or not yet: they are kept out of what is passed on."""
        return tuple(self._hidden)

    # --- beside the calls ---

    async def run(self) -> None:
        """Renew what is due though nobody calls, and hear what other processes noted, until cancelled."""
        while True:
            await self._sweep()
            await asyncio.sleep(self._sweep_seconds)

    async def aclose(self) -> None:
        """Let the renewals under way be stored, for a while; what is cut off is found by its mark."""
        flights = list(self._flights.values())
        if flights:
            await asyncio.wait(flights, timeout=_CLOSING_SECONDS)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _sweep(self) -> None:
        snapshot = self._config.current()
        for gone in self._known.keys() - snapshot.profiles.keys():
            del self._known[gone]
        for profile in snapshot.profiles.values():
            if not rules.is_renewable(profile, snapshot.sign_ins):
                continue
            try:
                await self._hear(profile)
                access = self._access(profile)
            except (ConfigError, SecretUnavailable) as error:
                self._complain(profile.id, f"can't be looked after: {error.message}")
                continue
            known = self._known.get(profile.id)
            rejected = known is not None and known.access == access and known.rejected
            case = _Case(profile, for_profile(snapshot.sign_ins[profile.provider], profile.metadata), access, rejected)
            if (rejected or self._left(profile.expires) <= _AHEAD) and self._foreseen(case) == "present":
                self._fly(case)

    async def _hear(self, profile: Profile) -> None:
        """Take over what was noted of the pair that is stored; a mark is for who holds the lease alone."""
        if profile.id in self._flights:
            return
        note = await asyncio.to_thread(self._store.note, profile.id)
        known = self._known.get(profile.id)
        if note is None or note.state in ("refreshing", "renewed") or (known is not None and known.note == note):
            return  # nothing that keeps a call from being made
        stored = await asyncio.to_thread(self._store.read, profile.id)
        if stored is None or profile.id in self._flights:
            return
        said = rules.about(note, rules.digest_of(profile.id, stored.refresh))
        rejected = known is not None and known.access == stored.access and known.rejected
        self._known[profile.id] = _Known(stored.access, said, rejected)

    # --- what is due ---

    def _left(self, expires: int | None) -> float:
        """Seconds until the end of an access token; for ever where nobody told it, and a 401 does."""
        return float("inf") if not expires else expires / 1000 - self._clock.now()

    def _case(self, credential: Credential, *, rejected: bool) -> _Case | None:
        snapshot = self._config.current()
        profile = snapshot.profiles.get(credential.id)
        if not credential.renewable or profile is None or credential.secret is None:
            return None
        if not rules.is_renewable(profile, snapshot.sign_ins):
            return None
        return _Case(
            profile, for_profile(snapshot.sign_ins[profile.provider], profile.metadata), credential.secret, rejected
        )

    def _foreseen(self, case: _Case) -> rules.Course:
        """What a flight would come to, as far as this process knows; `present` where it has to look."""
        known = self._known.get(case.profile.id)
        if known is None or known.access != case.held:
            return "present"
        return rules.course_of(known.note, self._clock.now(), rotates=case.sign_in.rotates)

    # --- one flight for all who wait ---

    def _fly(self, case: _Case) -> asyncio.Task[_Outcome]:
        flight = self._flights.get(case.profile.id)
        if flight is None:
            flight = self._flights[case.profile.id] = asyncio.create_task(self._flight(case))
            flight.add_done_callback(lambda _: self._flights.pop(case.profile.id, None))
        return flight

    async def _result(self, case: _Case) -> _Outcome:
        """What comes of it, in time for a call. Who goes away takes the flight down for nobody."""
        known = self._known.get(case.profile.id)
        foreseen = self._foreseen(case)
        if known is not None and known.note is not None and foreseen in ("wait", "lapsed"):
            return _Outcome(error=self._refusal(case, known.note))
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await asyncio.shield(self._fly(case))
        except TimeoutError:
            return _Outcome(error=self._uncertain(case, "it takes too long"))

    async def _flight(self, case: _Case) -> _Outcome:
        try:
            lease = await self._lease(case)
            try:
                return await self._under_lease(case)
            finally:
                lease.release()
        except (ConfigError, SecretUnavailable, RenewalUncertain) as error:
            self._complain(case.profile.id, f"was not renewed: {error.message}")
            return _Outcome(error=self._uncertain(case, error.message))

    async def _lease(self, case: _Case) -> Lease:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LEASE_SECONDS
        while (lease := await asyncio.to_thread(self._store.try_lease, case.profile.id)) is None:
            if loop.time() > deadline:
                raise RenewalUncertain("another process has been renewing it for too long")
            await asyncio.sleep(_LEASE_PAUSE)
        return lease

    async def _under_lease(self, case: _Case) -> _Outcome:
        profile_id, now = case.profile.id, self._clock.now()
        stored = await asyncio.to_thread(self._store.read, profile_id)
        if stored is None:
            raise RenewalUncertain("it is no longer in the config")
        note = await asyncio.to_thread(self._store.note, profile_id)
        token = rules.digest_of(profile_id, stored.refresh)
        if note is not None and note.spent == token:
            return await self._lapse(case, stored, rules.spent_already(profile_id, token, now))
        note = rules.about(note, token)
        if self._is_fresh(case, stored):
            return self._settle(stored, profile_id, note)
        course = rules.course_of(note, now, rotates=case.sign_in.rotates)
        if course in ("present", "again"):
            return await self._present(case, stored, rules.before_the_send(note, profile_id, token, now, course))
        if course == "too_soon":
            return self._settle(stored, profile_id, note)
        if note is not None and note.state == "refreshing":
            return await self._lapse(case, stored, rules.died_twice(note, now))
        self._settle(stored, profile_id, note)
        return _Outcome(error=self._refusal(case, note))

    def _is_fresh(self, case: _Case, stored: SignedIn) -> bool:
        """Whether another has renewed it meanwhile, or it was never due."""
        left = self._left(stored.expires)
        if stored.access != case.held:
            return left > _URGENT
        return left > _AHEAD and not case.rejected

    def _settle(self, stored: SignedIn, profile_id: str, note: RenewalNote | None) -> _Outcome:
        self._known[profile_id] = _Known(stored.access, note)
        return _Outcome(stored)

    async def _lapse(self, case: _Case, stored: SignedIn, note: RenewalNote) -> _Outcome:
        await asyncio.to_thread(self._store.write_note, note)
        self._settle(stored, note.profile, note)
        self._log(
            f"sign-in {note.profile!r} needs its person: {note.error}. Sign in anew with: "
            f"{rules.repair_of(case.profile)}"
        )
        return _Outcome(error=self._refusal(case, note))

    # --- the one request ---

    async def _present(self, case: _Case, stored: SignedIn, mark: RenewalNote) -> _Outcome:
        self._hidden += (stored.access, stored.refresh)
        sign_in = case.sign_in
        client_secret = None if sign_in.client_secret is None else self._secrets.get(sign_in.client_secret)
        await asyncio.to_thread(self._store.write_note, mark)
        try:
            tokens = await self._ask(sign_in, stored.refresh, client_secret)
            rules.check_identity(case.profile.provider, tokens, stored.account_id, stored.metadata)
        except RenewalFailed as failed:
            return await self._failed(case, stored, mark, failed)
        return await self._succeeded(case, stored, mark, tokens)

    async def _ask(self, sign_in: SignIn, refresh: Secret, client_secret: Secret | None) -> Tokens:
        """Drive the flow, which asks for nothing but requests.

        Raises:
            RenewalFailed: as the flow says.
        """
        flow = rules.renew(sign_in, refresh, self._clock.now(), client_secret=client_secret)
        try:
            step = next(flow)
            while True:
                if not isinstance(step, Fetch):
                    raise TypeError(f"a renewal asks for {type(step).__name__}")
                try:
                    fetched = await fetch(self._transport, sign_in.provider, step)
                except GatewayError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(fetched)
        except StopIteration as done:
            tokens: Tokens = done.value
            return tokens

    async def _succeeded(self, case: _Case, stored: SignedIn, mark: RenewalNote, tokens: Tokens) -> _Outcome:
        access, refresh = Secret(tokens.access), Secret(tokens.refresh) if tokens.refresh else stored.refresh
        self._hidden += (access, refresh)
        fields: dict[str, str | int | None] = {"access": tokens.access, "expires": tokens.expires}
        if tokens.refresh:
            fields["refresh"] = tokens.refresh
        if tokens.account_id and not stored.account_id:
            fields["accountId"] = tokens.account_id
        if tokens.base_url:
            fields["baseUrl"] = tokens.base_url
        if not await self._keep(case, stored.refresh, fields):
            # A person signed in meanwhile, or removed it: what is stored is what counts.
            replaced = await asyncio.to_thread(self._store.read, case.profile.id)
            if replaced is None:
                raise RenewalUncertain("it was removed from the config while it was renewed")
            return self._settle(replaced, case.profile.id, None)
        note = rules.after_success(mark, rules.digest_of(case.profile.id, refresh), self._clock.now())
        try:
            await asyncio.to_thread(self._store.write_note, note)
        except ConfigError as error:  # the mark that stays speaks of a token that is stored no more
            self._log(f"sign-in {case.profile.id!r}: {error.message}")
        self._complaints.pop(case.profile.id, None)
        self._log(f"sign-in {case.profile.id!r} renewed")
        return self._settle(replace(stored, access=access, refresh=refresh, expires=tokens.expires), note.profile, note)

    async def _keep(self, case: _Case, before: Secret, fields: dict[str, str | int | None]) -> bool:
        """Store it, however often that takes: the pair from before is spent."""
        for pause in chain(_STORE_PAUSES, repeat(_STORE_PAUSES[-1])):
            try:
                return await asyncio.to_thread(self._store.store, case.profile.id, before, fields)
            except (ConfigError, SecretUnavailable) as error:
                self._log(f"sign-in {case.profile.id!r} is renewed and could not be stored yet: {error.message}")
            await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")

    async def _failed(self, case: _Case, stored: SignedIn, mark: RenewalNote, failed: RenewalFailed) -> _Outcome:
        now = self._clock.now()
        note = rules.after_failure(mark, failed, now, rotates=case.sign_in.rotates)
        if failed.refresh is not None and failed.refresh != stored.refresh and note.state == "uncertain":
            # The answer is no good, and yet it has the token that is good from now on.
            self._hidden.append(failed.refresh)
            if await self._keep(case, stored.refresh, {"refresh": failed.refresh.reveal()}):
                note = replace(note, token=rules.digest_of(note.profile, failed.refresh), presented=0, again=False)
        if note.state == "needs_login":
            return await self._lapse(case, stored, note)
        await asyncio.to_thread(self._store.write_note, note)
        self._settle(stored, note.profile, note)
        self._log(f"sign-in {note.profile!r} was not renewed ({note.state}): {note.error}")
        return _Outcome(error=self._refusal(case, note))

    # --- what callers are told ---

    def _complain(self, profile_id: str, words: str) -> None:
        """Say it once, however many calls and sweeps meet it."""
        if self._complaints.get(profile_id) != words:
            self._complaints[profile_id] = words
            self._log(f"sign-in {profile_id!r} {words}")

    def _refusal(self, case: _Case, note: RenewalNote | None) -> GatewayError:
        if note is not None and note.state == "needs_login":
            command = rules.repair_of(case.profile)
            return SignInLapsed(
                f"The sign-in {case.profile.id!r} can't be renewed any more. Sign in anew with: {command}",
                param="model",
                details={"provider": case.profile.provider, "profile": case.profile.id, "command": command},
            )
        return self._uncertain(case, "" if note is None else note.error)

    def _uncertain(self, case: _Case, why: str) -> RenewalUncertain:
        return RenewalUncertain(
            f"The sign-in {case.profile.id!r} has expired and could not be renewed now{f': {why}' if why else ''}. "
            "Nothing is lost, and it is tried again.",
            details={"provider": case.profile.provider, "profile": case.profile.id},
        )

    def _access(self, profile: Profile) -> Secret:
        return self._secrets.get(profile.secret) if profile.secret is not None else Secret("")


def _renewed(credential: Credential, stored: SignedIn, profile: Profile | None) -> Credential:
    """The credential with what is stored now."""
    endpoint = credential.endpoint if profile is None else profile.endpoint or credential.endpoint
    account_id = stored.account_id or (None if profile is None else profile.account_id)
    return replace(credential, secret=stored.access, expires=stored.expires, endpoint=endpoint, account_id=account_id)
