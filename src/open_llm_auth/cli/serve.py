"""`open-llm-auth serve`: opens the door, says how to come in, and runs the application."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import edits
from .listeners import Holder, holder_of
from .output import complain, say
from .workbench import Workbench, truthy

if TYPE_CHECKING:
    import uvicorn

    from ..config import SecretStores
    from ..errors import ConfigError
    from .banner import Access, Facts
    from .probe import LocalServer

__all__ = ["PortTaken", "listen", "serve", "uvicorn_config"]

_BACKLOG = 2048
_SHUTDOWN_SECONDS = 10
_OPEN_ON_PURPOSE = "OPEN_LLM_AUTH_OPEN_ON_PURPOSE"


class PortTaken(OSError):
    """Somebody else listens there. `holder` is None when this user can't see who."""

    def __init__(self, host: str, port: int, holder: Holder | None) -> None:
        self.holder = holder
        self.message = f"{host}:{port} is taken by {holder or 'another program'}"
        super().__init__(errno.EADDRINUSE, self.message)


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on.", show_default="server.host, else 127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="Port; 0 takes a free one.", show_default="server.port, else 8080"
        ),
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when the gateway's own code changes.")] = False,
    open_on_purpose: Annotated[
        bool,
        typer.Option("--i-know-this-is-open", help="Let anonymous mode listen beyond this machine."),
    ] = False,
) -> None:
    """Run the gateway."""
    from ..errors import ConfigError

    bench = Workbench.here()
    try:
        # The gateway goes on with what is read and opened here, so that nobody is asked twice.
        stores = bench.opened_stores()
        settings = bench.snapshot.server
    except ConfigError as error:
        raise _with_ways_out(error, bench) from None
    host = settings.host if host is None else host.strip()
    if open_on_purpose:
        # The application reads it, in a process of its own with --reload.
        os.environ[_OPEN_ON_PURPOSE] = "1"
    _refuse_to_be_open(bench, host)
    listener = _listen_or_leave(host, settings.port if port is None else port)
    with closing(listener):
        port = listener.getsockname()[1]
        access = _access(bench)
        say(_banner(bench, host, port, access))
        sys.stdout.flush()
        _run(uvicorn_config(host, port, reload), listener, stores)


def uvicorn_config(host: str, port: int, reload: bool) -> uvicorn.Config:
    """How the application is served; the listening socket itself is passed to the server."""
    import uvicorn

    from ..server.http_protocol import OneWriteProtocol

    return uvicorn.Config(
        "open_llm_auth.main:app",
        host=host,
        port=port,
        reload=reload,
        reload_dirs=str(Path(__file__).parents[1]) if reload else None,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=OneWriteProtocol,
        # An upgrade has to arrive as HTTP to be answered.
        ws="none",
        lifespan="on",
        # X-Forwarded-* is judged by the gateway itself, against server.trustedProxies.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def _run(config: uvicorn.Config, listener: socket.socket, stores: SecretStores) -> None:
    import uvicorn

    from ..main import application

    server = uvicorn.Server(config)
    try:
        if config.should_reload:
            from uvicorn.supervisors import ChangeReload

            ChangeReload(config, target=server.run, sockets=[listener]).run()
            return
        config.app = application(os.environ, stores)
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        # uvicorn has shut down in order and raises the signal once more.
        return
    if not server.started:
        complain("the gateway did not start; the lines above say why")
        raise typer.Exit(1)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a connection made as soon as the banner is read waits instead of failing.

    Raises:
        PortTaken: with who holds it.
        OSError: the address is not one of this machine, or the port needs privileges.
    """
    family, kind, protocol, _, address = min(
        socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE),
        key=lambda found: found[0] != socket.AF_INET,
    )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port, holder_of(port)) from None
        raise
    listener.set_inheritable(True)
    return listener


def _listen_or_leave(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except PortTaken as error:
        complain(f"{error.message}. Choose another port with --port, such as --port {_neighbour(host, port)}.")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "that is no host name"
        complain(f"can't listen on {host}:{port}: {reason}. Choose others with --host and --port.")
    raise typer.Exit(1)


def _neighbour(host: str, port: int) -> int:
    """The next port that is free now."""
    for other in range(port + 1, min(port + 50, 65536)):
        try:
            listen(host, other).close()
        except OSError:
            continue
        return other
    return 0


def _with_ways_out(error: ConfigError, bench: Workbench) -> ConfigError:
    ways = (
        f"Ways out: repair {bench.path} (open-llm-auth config check says where), put back one of the backups "
        f"in {bench.path.parent / 'backups'}, or name another file with OPEN_LLM_AUTH_CONFIG or "
        "another home with OPEN_LLM_AUTH_HOME."
    )
    return type(error)(f"{error.message} {ways}", param=error.param, details=error.details)


def _refuse_to_be_open(bench: Workbench, host: str) -> None:
    on_purpose = truthy(bench.environ.get(_OPEN_ON_PURPOSE))
    if not (bench.anonymous_wanted and bench.tokenless) or on_purpose or _is_loopback(host):
        return
    complain(
        f"OPEN_LLM_AUTH_ALLOW_ANON is on and there is no token, so everyone who reaches {host} would be admin. "
        "Unset it, listen on 127.0.0.1, or say --i-know-this-is-open."
    )
    raise typer.Exit(1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _access(bench: Workbench) -> Access:
    from .banner import Access

    if bench.tokenless:
        if bench.anonymous_wanted:
            return Access("anonymous")
        made = _make_admin_token(bench)
        if made is not None:
            return made
    return _known_access(bench)


def _known_access(bench: Workbench) -> Access:
    """How to refer to a token that is in force already, without ever printing one from the config."""
    from ..policy.access import digest
    from .banner import Access

    callers = bench.snapshot.tokens.callers
    path = bench.home / "admin-token"
    try:
        if digest(path.read_text("utf-8").strip()) in callers:
            return Access("file", path=path)
    except (OSError, UnicodeDecodeError):
        pass  # there is none, or it is not ours
    if digest(bench.environ.get("OPEN_LLM_AUTH_TOKEN", "").strip()) in callers:
        return Access("environment")
    if digest((bench.secrets.variable("OPEN_LLM_AUTH_TOKEN") or "").strip()) in callers:
        return Access("dotenv", path=bench.path.parent / ".env")
    return Access("stored")


class _Settled(Exception):
    """Another process made a token meanwhile."""


def _make_admin_token(bench: Workbench) -> Access | None:
    """The first run: a token nobody chose, stored hashed. None when another process was quicker.

    Raises:
        ConfigError: neither the config nor the token could be stored; the message has the ways out.
    """
    from ..errors import ConfigError
    from .banner import Access
    from .tokens import new_token

    token, token_hash = new_token()
    shown = sys.stdout.isatty()
    path = bench.home / "admin-token"
    fields = {"tokenHash": token_hash, "scopes": [], "admin": True, "enabled": True}

    def change(data: dict[str, Any]) -> None:
        if str(data.get("serverToken") or "").strip() or data.get("authorization", {}).get("tokens"):
            raise _Settled
        # Under the config's lock, and before it: a stored hash whose token is lost would lock everybody out.
        if not shown:
            _write_private(bench, token)
        edits.add_token("admin", fields)(data)

    try:
        bench.file.update(change)
    except _Settled:
        bench.forget()
        return None
    except ConfigError as error:
        if not shown:
            path.unlink(missing_ok=True)
        raise _with_first_run_ways_out(error, bench) from None
    bench.forget()
    return Access("shown", token=token, new=True) if shown else Access("file", path=path, new=True)


def _write_private(bench: Workbench, token: str) -> None:
    from ..errors import ConfigUnavailable

    path = bench.home / "admin-token"
    try:
        bench.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise ConfigUnavailable(f"{path} can't be written: {error.strerror}.") from None


def _with_first_run_ways_out(error: ConfigError, bench: Workbench) -> ConfigError:
    ways = (
        f"This first run has to store an admin token. Ways out: make {bench.path.parent} writable, name a writable "
        "directory with OPEN_LLM_AUTH_HOME, or bring your own token in OPEN_LLM_AUTH_TOKEN."
    )
    return type(error)(f"{error.message} {ways}", param=error.param, details=error.details)


def _banner(bench: Workbench, host: str, port: int, access: Access) -> str:
    from .banner import banner
    from .probe import local_servers

    return banner(_facts(bench, host, port, access, local_servers(bench, ours={port})))


def _facts(bench: Workbench, host: str, port: int, access: Access, local: tuple[LocalServer, ...]) -> Facts:
    from .. import __version__
    from .banner import Facts

    keys: dict[str, list[str]] = {}
    for provider_id, name in bench.environment_keys():
        keys.setdefault(name, []).append(provider_id)
    return Facts(
        version=__version__,
        host=host,
        port=port,
        config=bench.path,
        access=access,
        model=bench.default_ref({server.provider.id: server.models or () for server in local}),
        keys=keys,
        waiting=frozenset(row.id for row in bench.snapshot.providers.values() if not bench.supported(row)),
        local=local,
        usable=[provider.id for provider in bench.usable()],
        notes=_notes(bench, host),
    )


def _notes(bench: Workbench, host: str) -> list[str]:
    notes = [f"warning: {warning}" for warning in bench.snapshot.warnings]
    notes += [f"warning: {fault}" for fault in bench.stores.faults()]
    tokens = bench.snapshot.tokens
    if not _is_loopback(host):
        notes.append(f"listening on {host}: other machines can reach this gateway, without encryption")
    if bench.tokenless and bench.anonymous_wanted:
        notes.append("anonymous mode: whoever reaches the port is admin")
    elif bench.anonymous_wanted:
        notes.append("OPEN_LLM_AUTH_ALLOW_ANON has no effect, because there is a token")
    if not bench.tokenless and not tokens.callers:
        notes.append(
            "no token is in force, so nobody may call; make one with: open-llm-auth tokens create NAME --admin"
        )
    return notes
