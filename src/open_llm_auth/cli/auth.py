"""`open-llm-auth auth`: credentials of providers, and the server's own legacy token."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import edits
from .asking import StdinOption, ask, ask_optional_secret, ask_secret, at_terminal
from .exporting import export, import_sealed
from .health import reset
from .import_ import import_credentials
from .listing import list_credentials
from .login import login, login_github_copilot, login_openai_codex, offers_sign_in, setup_token, sign_in_to
from .output import note, say
from .secure import secure
from .storing import PICKED_UP, profile_id_of, say_obstacles, say_unsecured
from .trying import try_credentials
from .workbench import Workbench

if TYPE_CHECKING:
    from ..values import Profile, Provider
    from .probe import LocalServer

__all__ = ["app"]

app = typer.Typer(help="Credentials of providers.", no_args_is_help=True, rich_markup_mode=None)

ProviderArgument = Annotated[str, typer.Argument(metavar="PROVIDER", help="A provider's id or alias, such as openai.")]
ProfileOption = Annotated[str, typer.Option("--profile", help="Name of the profile, when a provider has several.")]
ExpiresOption = Annotated[
    int | None, typer.Option("--expires", metavar="MS", min=1, help="When it expires, in milliseconds since 1970.")
]

_PROVIDER_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@app.command("add-api-key")
def add_api_key(provider: ProviderArgument, profile: ProfileOption = "default", stdin: StdinOption = False) -> None:
    """Store an API key (or a reference to one, such as env:NAME). It is asked for, never an argument."""
    bench = Workbench.here()
    row = bench.provider(provider)
    profile_id = profile_id_of(bench, row.id, profile)
    if row.key_url and at_terminal() and not stdin:
        note(f"Keys of {row.name or row.id} are made at {row.key_url}")
    key = ask_secret(f"API key for {row.id}", stdin=stdin)
    _store(bench, row, profile_id, {"type": "api_key", "key": key.reveal()})


@app.command("add-token")
def add_token(
    provider: ProviderArgument,
    expires: ExpiresOption = None,
    profile: ProfileOption = "default",
    stdin: StdinOption = False,
) -> None:
    """Store a bearer token, one that may expire but is not renewed."""
    bench = Workbench.here()
    row = bench.provider(provider)
    profile_id = profile_id_of(bench, row.id, profile)
    token = ask_secret(f"Token for {row.id}", stdin=stdin)
    _store(bench, row, profile_id, {"type": "token", "token": token.reveal(), **_expiry(expires)})


@app.command("add-oauth")
def add_oauth(
    provider: ProviderArgument,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask for a refresh token too (with --stdin: the second line).")
    ] = False,
    expires: ExpiresOption = None,
    profile: ProfileOption = "default",
    stdin: StdinOption = False,
) -> None:
    """Store the access token of a sign-in made elsewhere, and its refresh token if you have it."""
    bench = Workbench.here()
    row = bench.provider(provider)
    profile_id = profile_id_of(bench, row.id, profile)
    access = ask_secret(f"Access token for {row.id}", stdin=stdin)
    fields: dict[str, Any] = {"type": "oauth", "access": access.reveal()}
    if refresh:
        token = ask_secret(f"Refresh token for {row.id}", stdin=stdin)
        fields["refresh"] = token.reveal()
    _store(bench, row, profile_id, {**fields, **_expiry(expires)})


app.command("login")(login)
app.command("login-openai-codex")(login_openai_codex)
app.command("login-github-copilot")(login_github_copilot)
app.command("setup-token")(setup_token)


@app.command("set-order")
def set_order(
    provider: ProviderArgument,
    profiles: Annotated[
        list[str] | None, typer.Argument(metavar="PROFILE...", help="Profiles in the order to try them.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the order, so that all profiles count again.")] = False,
) -> None:
    """Say in which order a provider's profiles are tried. Profiles left out of it come after."""
    if bool(profiles) == clear:
        raise typer.BadParameter("name the profiles in order, or give --clear")
    bench = Workbench.here()
    row = bench.provider(provider)
    order = [_profile_of(bench, row, name).id for name in profiles or []]
    if len(set(order)) < len(order):
        raise typer.BadParameter("a profile is named twice")
    bench.file.update(edits.set_order(row.id, order))
    say(f"Order of {row.id}: {', '.join(order)}." if order else f"{row.id} has no order any more.")
    say(PICKED_UP)


@app.command("set-server-token")
def set_server_token(
    generate: Annotated[bool, typer.Option("--generate", help="Make one instead of asking for it.")] = False,
    stdin: StdinOption = False,
) -> None:
    """Set the one legacy admin token. Better: a token for each client, with `tokens create`."""
    from ..policy.access import TOKEN_PREFIX

    bench = Workbench.here()
    given = None
    if not generate:
        asked = at_terminal() and not stdin
        ask_it = ask_optional_secret if asked else ask_secret
        given = ask_it("Server token (empty: make one)" if asked else "Server token", stdin=stdin)
    token = given.reveal() if given else f"{TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
    _refuse_twin(bench, token)
    after = bench.file.update(edits.set_server_token(token))
    if given is None:
        say("The server token, shown this once:")
        say(token)
    say(f"Stored in {bench.path}. {PICKED_UP}")
    if given is not None and len(token) < 20:
        note("warning: that token is short. Whoever guesses it is admin; --generate makes a strong one.")
    if not any(caller.kind == "legacy" for caller in bench.compile(after).tokens.callers.values()):
        note(
            "warning: the server token opens nothing: authorization.legacyAdminCompatibility is false, "
            "or the variable it names is not set."
        )


def _refuse_twin(bench: Workbench, token: str) -> None:
    """Two tokens of one secret would keep the whole file from being loaded."""
    from ..errors import InvalidRequest
    from ..policy.access import digest

    twin = bench.snapshot.tokens.callers.get(digest(token))
    if twin is not None and twin.kind != "legacy":
        raise InvalidRequest(f"That is the token of {twin.subject!r} already. Choose another, or --generate one.")


@app.command("remove")
def remove(profile: Annotated[str, typer.Argument(metavar="PROFILE", help="Such as openai:default.")]) -> None:
    """Forget a stored credential."""
    bench = Workbench.here()
    found = bench.profile(profile)
    bench.file.update(edits.remove_profile(found.id))
    say(f"Removed {found.id}. {PICKED_UP}")


@app.command("rename")
def rename(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="Such as openai:default.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name, such as work.")],
) -> None:
    """Give a stored credential another name, in its order and in the allow-lists of client tokens too."""
    bench = Workbench.here()
    found = bench.profile(profile)
    after = profile_id_of(bench, found.provider, name)
    bench.file.update(edits.rename_profile(found.id, after))
    say(f"Renamed {found.id} to {after}. {PICKED_UP}")


app.command("list")(list_credentials)
app.command("test")(try_credentials)
app.command("reset")(reset)
app.command("secure")(secure)
app.command("export")(export)
app.command("import-sealed")(import_sealed)
app.command("import")(import_credentials)


@app.command("configure")
def configure(
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="A provider's id, or a name for a server of your own.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Address of an OpenAI-compatible server.")
    ] = None,
    profile: ProfileOption = "default",
    allow_local: Annotated[
        bool, typer.Option("--allow-local", help="Let this provider use http and private addresses.")
    ] = False,
    stdin: StdinOption = False,
) -> None:
    """Set a provider up, step by step: a hosted one, a model server on this machine, or one of your own."""
    bench = Workbench.here()
    guided = provider is None
    if provider is None:
        provider = _choose(bench)
    provider_id = bench.catalog.normalise(provider)
    row = bench.snapshot.providers.get(provider_id)
    if row is None:
        if not _PROVIDER_ID.fullmatch(provider_id):
            raise typer.BadParameter(f"{provider!r} is no name for a provider: use a-z, 0-9, '.', '_' and '-'")
        if base_url is None and not guided and not at_terminal():
            # Not known, and nobody to ask for an address: say what is close.
            bench.provider(provider)
        base_url = base_url or ask(f"Base URL of {provider_id}, such as http://127.0.0.1:9000/v1")
        _configure_server(bench, provider_id, base_url, profile, allow_local=allow_local, stdin=stdin, custom=True)
    elif base_url is not None or row.billing == "local":
        if base_url is None:
            base_url = ask(f"Base URL of {row.name or row.id}", row.base_url) if guided else row.base_url
        _configure_server(bench, row.id, base_url, profile, allow_local=allow_local, stdin=stdin, custom=False)
    else:
        _configure_hosted(bench, row, profile, stdin=stdin)


def _choose(bench: Workbench) -> str:
    from .probe import local_servers

    for provider_id, name in bench.environment_keys():
        say(f"  found {name} in the environment: {provider_id} needs nothing more")
    for server in local_servers(bench):
        say(f"  found {_describe_server(server)}")
    for stored in bench.snapshot.profiles:
        say(f"  stored already: {stored}")
    say("Providers: " + ", ".join(sorted(set(bench.snapshot.providers) - {"demo"})))
    return ask("Which one (or a name of your own, for another OpenAI-compatible server)")


def _describe_server(server: LocalServer) -> str:
    return f"{server.provider.name or server.provider.id} at {server.provider.base_url}, {server.told}"


def _configure_hosted(bench: Workbench, row: Provider, profile: str, *, stdin: bool) -> None:
    profile_id = profile_id_of(bench, row.id, profile)
    if row.api == "demo":
        say("The demo provider needs nothing. Try: open-llm-auth chat --model demo/echo")
        return
    if row.auth in {"cli", "aws-sdk"}:
        bench.file.update(edits.put_provider(row.id, {"auth": row.auth}))
        say(f"Configured {row.id} in {bench.path}. {PICKED_UP}")
        say_obstacles(bench, row)
        return
    if at_terminal() and not stdin and offers_sign_in(bench, row.id) and _wants_to_sign_in(row):
        sign_in_to(bench, row, profile)
        return
    if row.key_url:
        note(f"Keys of {row.name or row.id} are made at {row.key_url}")
    key = ask_secret(f"API key for {row.id}", stdin=stdin)
    kind = {"oauth": ("oauth", "access"), "token": ("token", "token")}.get(row.auth, ("api_key", "key"))
    _store(bench, row, profile_id, {"type": kind[0], kind[1]: key.reveal()})


def _wants_to_sign_in(row: Provider) -> bool:
    what = "API key" if row.auth == "api-key" else "token"
    return typer.confirm(f"Sign in with your account? (No: enter a {what})", default=row.auth != "api-key")


def _configure_server(
    bench: Workbench, provider_id: str, base_url: str, profile: str, *, allow_local: bool, stdin: bool, custom: bool
) -> None:
    profile_id = profile_id_of(bench, provider_id, profile)
    key = None
    if stdin or at_terminal():
        key = ask_optional_secret(f"API key of {provider_id} (empty if it needs none)", stdin=stdin)
    fields: dict[str, Any] = {"baseUrl": base_url.strip().rstrip("/")}
    if custom:
        fields |= {"api": "openai-completions", "auth": "api-key", "authHeader": key is not None}
    elif key is not None:
        fields["authHeader"] = True

    def change(data: dict[str, Any]) -> None:
        edits.put_provider(provider_id, fields)(data)
        if allow_local:
            edits.allow_local(provider_id, sorted(bench.snapshot.egress.allow_local_providers))(data)
        if key is not None:
            stored = {"provider": provider_id, "type": "api_key", "key": key.reveal()}
            edits.put_profile(profile_id, stored)(data)

    _update_saying_how(bench, change, provider_id)
    say(f"Configured {provider_id} at {fields['baseUrl']} in {bench.path}. {PICKED_UP}")
    say("See its models with: open-llm-auth models list")


def _update_saying_how(bench: Workbench, change: edits.Change, provider_id: str) -> None:
    """Write, and name the option that lets a local address through when that is all that is missing."""
    from ..errors import UnsafeDestination

    try:
        bench.file.update(change)
    except UnsafeDestination as error:
        if provider_id in bench.snapshot.egress.allow_local_providers or error.details.get("reason") not in _LOCAL:
            raise
        raise UnsafeDestination(
            f"{error.message} If it is a server of your own, say so with --allow-local.",
            param=error.param,
            details=error.details,
        ) from None


#: What `allowLocalProviders` lifts (SPEC §6).
_LOCAL = frozenset(
    {
        "insecure_http_forbidden",
        "localhost_forbidden",
        *(prefix + reason for prefix in ("", "resolved_") for reason in ("loopback_ip", "private_ip", "cgnat_ip")),
    }
)


def _store(bench: Workbench, row: Provider, profile_id: str, fields: dict[str, Any]) -> None:
    replaced = profile_id in bench.snapshot.profiles
    bench.file.update(edits.put_profile(profile_id, {"provider": row.id, **fields}))
    say(f"{'Replaced' if replaced else 'Stored'} {profile_id} in {bench.path}. {PICKED_UP}")
    say_unsecured(bench, profile_id)
    say_obstacles(bench, row)


def _expiry(expires: int | None) -> dict[str, int]:
    if expires is not None and expires < 10**11:
        raise typer.BadParameter(f"--expires is in milliseconds since 1970, and {expires} lies before 1974")
    return {} if expires is None else {"expires": expires}


def _profile_of(bench: Workbench, row: Provider, name: str) -> Profile:
    from ..errors import ProfileNotFound

    found = bench.profile(name if ":" in name else f"{row.id}:{name}")
    if found.provider != row.id:
        raise ProfileNotFound(f"The profile {found.id!r} belongs to {found.provider!r}, not to {row.id!r}.")
    return found
