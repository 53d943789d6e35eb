"""The tree of commands, and the one place where an error becomes a line on stderr."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .auth import app as auth
from .chat import chat
from .config import app as config
from .connect import connect
from .doctor import doctor
from .models import app as models
from .output import complain_of, say
from .serve import serve
from .tokens import app as tokens

__all__ = ["app"]


class _Commands(TyperGroup):
    """Turns an error of the gateway into one clear line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        # Late, as everything of the gateway's own is: `--help` has to be quick.
        from ..errors import GatewayError

        try:
            return super().invoke(ctx)
        except GatewayError as error:
            complain_of(error)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    name="open-llm-auth",
    help="A local gateway between programs that speak an LLM API and everything that can answer them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain text reads the same in a log, in a pipe and aloud.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        say(__version__)
        raise typer.Exit(0)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A local gateway between programs that speak an LLM API and everything that can answer them."""


app.command("serve")(serve)
app.command("chat")(chat)
app.add_typer(auth, name="auth")
app.add_typer(models, name="models")
app.add_typer(tokens, name="tokens")
app.add_typer(config, name="config")
app.command("connect")(connect)
app.command("doctor")(doctor)
