"""`open-llm-auth auth login` and its kin: signing in, with a browser or a code on another screen (SPEC §5, §8)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import edits
from .asking import StdinOption, ask_secret, at_terminal
from .output import note, printable, say
from .storing import PICKED_UP, profile_id_of, say_obstacles, say_unsecured
from .workbench import Workbench

if TYPE_CHECKING:
    from ..auth.flows.steps import Tokens
    from ..values import Provider, SignIn

__all__ = ["login", "login_github_copilot", "login_openai_codex", "offers_sign_in", "setup_token", "sign_in_to"]

ProviderArgument = Annotated[str, typer.Argument(metavar="PROVIDER", help="Such as openai-codex or github-copilot.")]
ProfileOption = Annotated[str, typer.Option("--profile", help="Name of the profile, when you have several accounts.")]
DeviceOption = Annotated[
    bool, typer.Option("--device", help="With a code that you type on another screen, instead of a browser here.")
]
NoBrowserOption = Annotated[bool, typer.Option("--no-browser", help="Open no browser: only show the address.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask: the terms are known.")]

_ANTHROPIC = "anthropic"
_SETUP_PREFIX = "sk-ant-oat01-"
_SETUP_SHORTEST, _SETUP_LONGEST = 80, 512


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is about to be done."""

    provider: Provider
    sign_in: SignIn
    flow: str
    profile_id: str
    host: str = ""


def login(
    provider: ProviderArgument,
    device: DeviceOption = False,
    profile: ProfileOption = "default",
    no_browser: NoBrowserOption = False,
    yes: YesOption = False,
) -> None:
    """Sign in to a provider with your account there. The gateway renews what that gives by itself."""
    bench = Workbench.here()
    sign_in_to(bench, bench.provider(provider), profile, device=device, no_browser=no_browser, yes=yes)


def login_openai_codex(
    device: DeviceOption = False,
    profile: ProfileOption = "default",
    no_browser: NoBrowserOption = False,
    yes: YesOption = False,
) -> None:
    """Sign in with ChatGPT, for the models of Codex. The same as: auth login openai-codex"""
    bench = Workbench.here()
    sign_in_to(bench, bench.provider("openai-codex"), profile, device=device, no_browser=no_browser, yes=yes)


def login_github_copilot(
    no_exchange: Annotated[
        bool, typer.Option("--no-exchange", help="Use GitHub's own token, as Copilot takes those of OAuth apps.")
    ] = False,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="The host of your company's own GitHub.")
    ] = None,
    profile: ProfileOption = "default",
    no_browser: NoBrowserOption = False,
    yes: YesOption = False,
) -> None:
    """Sign in to GitHub Copilot with a code that you type at GitHub."""
    bench = Workbench.here()
    row = bench.provider("github-copilot")
    flow = "copilot-direct" if no_exchange else None
    sign_in_to(bench, row, profile, flow=flow, host=_host(host), no_browser=no_browser, yes=yes)


def setup_token(
    profile: Annotated[str, typer.Option("--profile", help="Name of the profile.")] = "setup-token",
    stdin: StdinOption = False,
    yes: YesOption = False,
) -> None:
    """Store a token that `claude setup-token` made. Read first what Anthropic says of it."""
    bench = Workbench.here()
    row = bench.provider(_ANTHROPIC)
    profile_id = profile_id_of(bench, row.id, profile)
    facts = bench.snapshot.sign_ins[row.id]
    say("A setup-token is made by 'claude setup-token', lasts about a year, and draws on a Claude subscription.")
    say("The gateway sends it as it is and adds nothing to look like Claude Code, so calls of other programs may be")
    say("refused; those of Claude Code itself pass. What is allowed for all programs: an API key (open-llm-auth auth")
    say("add-api-key anthropic), or the provider claude-cli, which runs the claude program with its own sign-in.")
    _ask(facts, yes=yes)
    token = ask_secret("Setup-token", stdin=stdin).reveal()
    _check_setup_token(token)
    metadata = _noted(facts, source="setup-token") | {"billing": "subscription", "mayRotate": False}
    _put(bench, row, profile_id, {"provider": row.id, "type": "token", "token": token, "metadata": metadata})


def offers_sign_in(bench: Workbench, provider_id: str) -> bool:
    """Whether `auth login` knows a way for that provider."""
    from ..auth.flows.choose import FLOWS

    facts = bench.snapshot.sign_ins.get(provider_id)
    return facts is not None and any(flow in FLOWS for flow in facts.flows)


def sign_in_to(
    bench: Workbench,
    row: Provider,
    profile: str,
    *,
    flow: str | None = None,
    host: str = "",
    device: bool = False,
    no_browser: bool = False,
    yes: bool = False,
) -> None:
    """Say what will happen, ask where the terms want it, sign in, and store what that gave.

    Raises:
        GatewayError: it came to nothing, and nothing was stored.
    """
    plan = _plan(bench, row, profile, flow=flow, host=host, device=device)
    _explain(bench, plan)
    _ask(plan.sign_in, yes=yes)
    tokens = _run(bench, plan, no_browser=no_browser)
    _put(bench, row, plan.profile_id, _fields(plan, tokens))
    _say_whose(bench, plan, tokens)


def _plan(bench: Workbench, row: Provider, profile: str, *, flow: str | None, host: str, device: bool) -> _Plan:
    from ..auth.flows.choose import choose
    from ..auth.flows.copilot import at_host
    from ..errors import NotConfigured

    facts = bench.snapshot.sign_ins.get(row.id)
    if facts is None or not offers_sign_in(bench, row.id):
        raise NotConfigured(_no_sign_in(bench, row), details={"provider": row.id})
    if host:
        facts = at_host(facts, host)
    name = flow or choose(facts, without_browser=device)
    return _Plan(row, facts, name, profile_id_of(bench, row.id, profile), host)


def _no_sign_in(bench: Workbench, row: Provider) -> str:
    if row.id == _ANTHROPIC:
        return "Anthropic has no sign-in for other programs: add an API key, or see 'open-llm-auth auth setup-token'."
    known = ", ".join(sorted(name for name in bench.snapshot.sign_ins if offers_sign_in(bench, name)))
    return (
        f"Provider {row.id!r} has no sign-in. Add a key with: open-llm-auth auth add-api-key {row.id} "
        f"(there is one for: {known})"
    )


def _explain(bench: Workbench, plan: _Plan) -> None:
    from ..auth.flows.addresses import origin_of

    facts = plan.sign_in
    by_browser = plan.flow == "browser"
    at = origin_of(facts.authorize_url if by_browser else facts.verification_url or facts.device_url).authority
    say(f"Signing in: {plan.provider.name or plan.provider.id}.")
    if by_browser:
        say(f"You allow it on a page of {at}, and the browser comes back to this machine.")
    else:
        say(f"You get a code, and type it on a page of {at}, on any machine.")
    verb = "replaces" if plan.profile_id in bench.snapshot.profiles else "becomes"
    say(f"What that gives {verb} the profile {plan.profile_id} in {bench.path}, readable by you alone.")


def _ask(facts: SignIn, *, yes: bool) -> None:
    """Show the risk and the terms where the provider restricts what others do, and go on only when that is wanted."""
    if facts.standing == "sanctioned":
        return
    say()
    say(facts.risk)
    say(f"Terms: {facts.terms_url} (looked up {facts.checked})")
    if yes:
        return
    if not at_terminal():
        raise typer.BadParameter("nobody can be asked here whether the terms are known: give --yes if they are")
    if not typer.confirm("Go on?", default=False):
        say("Nothing was stored.")
        raise typer.Exit(1)


def _run(bench: Workbench, plan: _Plan, *, no_browser: bool) -> Tokens:
    import asyncio
    from os import urandom

    from ..auth.flows.choose import FLOWS
    from ..auth.flows.steps import Means
    from ..server.sign_in import sign_in
    from ..transport import HttpTransport
    from .person import AtTerminal, has_browser

    secret = plan.sign_in.client_secret
    means = Means(urandom, bench.clock.now, bench.secrets.get(secret) if secret else None)
    flow = FLOWS[plan.flow](plan.sign_in, means)
    person = AtTerminal(
        plan.provider.id, opens=not no_browser and has_browser(bench.environ, sys.platform), reads=at_terminal()
    )

    async def run() -> Tokens:
        transport = HttpTransport(lambda: bench.snapshot.egress, bench.secrets, bench.clock)
        try:
            return await sign_in(flow, provider=plan.provider.id, transport=transport, person=person)
        finally:
            await person.aclose()
            await transport.aclose()

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        note("Cancelled. Nothing was stored.")
        raise typer.Exit(130) from None


def _fields(plan: _Plan, tokens: Tokens) -> dict[str, Any]:
    """The profile. Where nothing renews it, it is a token and no sign-in."""
    for text in (tokens.access, tokens.refresh or ""):
        _refuse_reference(plan.provider.id, text)
    lasts = tokens.refresh is None
    secrets = {"type": "token", "token": tokens.access} if lasts else {"type": "oauth", "access": tokens.access}
    told = {
        "refresh": tokens.refresh,
        "expires": tokens.expires,
        "email": tokens.email,
        "accountId": tokens.account_id,
        "baseUrl": tokens.base_url,
    }
    metadata = _noted(plan.sign_in, source="sign-in") | {"mayRotate": not lasts, **tokens.details}
    if plan.host:
        metadata["host"] = plan.host
    return {
        "provider": plan.provider.id,
        **secrets,
        **{name: value for name, value in told.items() if value is not None},
        "metadata": metadata,
    }


def _noted(facts: SignIn, *, source: str) -> dict[str, Any]:
    from typing import get_args

    from ..values import Surface

    said = {"risk": facts.risk, "termsUrl": facts.terms_url, "termsCheckedAt": facts.checked}
    return {
        "source": source,
        **{name: value for name, value in said.items() if value},
        "surfaces": list(get_args(Surface)),
    }


def _refuse_reference(provider_id: str, text: str) -> None:
    """A token that reads like `cmd:…` would be looked up, or run, at its first use: no issuer shall decide that."""
    from ..auth.secrets import is_reference
    from ..errors import UpstreamInvalidResponse

    if is_reference(text):
        raise UpstreamInvalidResponse(
            f"The sign-in server of {provider_id!r} gave a token that reads like a reference to a secret of this "
            "machine. It was not stored.",
            details={"provider": provider_id},
        )


def _put(bench: Workbench, row: Provider, profile_id: str, fields: dict[str, Any]) -> None:
    replaced = profile_id in bench.snapshot.profiles
    bench.file.update(edits.put_sign_in(profile_id, fields))
    say(f"{'Replaced' if replaced else 'Stored'} {profile_id} in {bench.path}. {PICKED_UP}")
    say_unsecured(bench, profile_id)
    say_obstacles(bench, row)


def _say_whose(bench: Workbench, plan: _Plan, tokens: Tokens) -> None:
    if tokens.email:
        plan_name = f", plan {tokens.details['plan']}" if tokens.details.get("plan") else ""
        say(printable(f"Signed in as {tokens.email}{plan_name}."))
    before = bench.snapshot.profiles.get(plan.profile_id)
    if before is not None and before.account_id and tokens.account_id and before.account_id != tokens.account_id:
        note("note: this is another account than the one that was signed in here before.")
    if tokens.refresh is None and tokens.expires is not None:
        note("warning: no refresh token came with it, so it has to be done again when it expires.")


def _check_setup_token(text: str) -> None:
    from ..errors import InvalidRequest

    if text.startswith("sk-ant-api"):
        raise InvalidRequest("That is an API key, which is the better way: open-llm-auth auth add-api-key anthropic")
    if not text.startswith(_SETUP_PREFIX):
        raise InvalidRequest(f"A setup-token begins with {_SETUP_PREFIX!r}. Make one with: claude setup-token")
    if not _SETUP_SHORTEST <= len(text) <= _SETUP_LONGEST:
        raise InvalidRequest(
            f"That is {len(text)} characters long, which no setup-token is. A terminal that wraps lines may have cut "
            "it: copy all of it, as one line."
        )


def _host(text: str | None) -> str:
    from ..errors import UnsafeDestination
    from ..policy.egress import parse_endpoint

    if not text:
        return ""
    try:
        return parse_endpoint(text if "//" in text else f"https://{text}").authority
    except UnsafeDestination as error:
        raise typer.BadParameter(f"--host is no host name: {error.message}") from None
