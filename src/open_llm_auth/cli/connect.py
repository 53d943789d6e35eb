"""`open-llm-auth connect`: the settings that point a known client at the gateway, printed, written or undone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from .asking import ask
from .output import JsonOption, note, say, say_json, say_table
from .workbench import Workbench

if TYPE_CHECKING:
    from .recipes import Recipe

__all__ = ["connect"]

_PLACEHOLDER: Final = "your-gateway-token"
_MODEL: Final = re.compile(r"[\w./:@+\[\]-]{1,200}")


def connect(
    client: Annotated[
        str | None, typer.Argument(metavar="[CLIENT]", help="Which client; without it, all known ones are listed.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the settings into the client's own file, with a token of its own.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what --write did, and revoke its token.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="REF", help="The model the client shall use.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The gateway's address, where the config's is not it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before writing.")] = False,
    json: JsonOption = False,
) -> None:
    """Point a known client at the gateway: print its settings, or write them with --write."""
    _refuse_contradictions(client, write=write, undo=undo, yes=yes, json=json, chosen=(model, url))
    bench = Workbench.here()
    if client is None:
        _list(bench, json=json)
        return
    recipe = _recipe(client)
    if undo:
        from .disconnecting import disconnect

        disconnect(bench, recipe, agreed=lambda: yes or _agreed("Put it back like this?"))
        return
    address, model = _address(bench, url), _model(bench, recipe, model)
    if write:
        from .connecting import write_settings

        write_settings(bench, recipe, address, model, agreed=lambda what: yes or _agreed(what))
    else:
        _print(bench, recipe, address, model, json=json)


def _refuse_contradictions(
    client: str | None, *, write: bool, undo: bool, yes: bool, json: bool, chosen: tuple[str | None, str | None]
) -> None:
    contradictions = (
        (client is None and (write or undo or chosen != (None, None)), "say which client; without one they are listed"),
        (write and undo, "give --write or --undo, not both"),
        (undo and chosen != (None, None), "--undo takes back what was written: --model and --url have no meaning then"),
        (yes and not (write or undo), "--yes goes with --write or --undo: nothing else asks"),
        (json and (write or undo), "--json goes with what is only printed, not with --write or --undo"),
    )
    for wrong, message in contradictions:
        if wrong:
            raise typer.BadParameter(message)


def _recipe(client: str) -> Recipe:
    from .recipes import RECIPES

    found = RECIPES.get(client.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{client!r} is no client that is known here. There are: {', '.join(RECIPES)}")
    return found


def _address(bench: Workbench, url: str | None) -> str:
    """The gateway's own address, without `/v1`."""
    from urllib.parse import urlsplit

    from .banner import url_of

    if url is None:
        server = bench.snapshot.server
        if not server.port:
            raise typer.BadParameter("server.port is 0, so the port is not known before it runs: give --url")
        return url_of(server.host, server.port)
    try:
        parts = urlsplit(url.strip())
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not re.fullmatch(r"[!-~]+", url.strip()) or re.search(r"[@?#'\"\\{}]", url):
        raise typer.BadParameter(f"{url!r} is no address of a gateway: give one like http://127.0.0.1:8080")
    return url.strip().rstrip("/").removesuffix("/v1").rstrip("/")


def _model(bench: Workbench, recipe: Recipe, model: str | None) -> str | None:
    if model is None and recipe.model == "needed" and not _stands(bench, recipe):
        model = bench.default_ref()
        note(f"No --model was given; {recipe.title} has to be told one: {model}")
    if model is not None and not _MODEL.fullmatch(model):
        raise typer.BadParameter(f"{model!r} is no model reference, such as openai/gpt-5.5")
    if model is not None and recipe.model == "none":
        raise typer.BadParameter(f"{recipe.title} take the model with each call: leave --model out")
    return model


def _stands(bench: Workbench, recipe: Recipe) -> bool:
    """Whether its settings were written before, and so name a model already."""
    from .connections import Connections

    standing = Connections(bench.home).all().get(recipe.client)
    return standing is not None and all(file.path.exists() for file in standing.files)


def _agreed(question: str) -> bool:
    """Ask a person; whoever says nothing says no."""
    from ..errors import InvalidRequest

    if ask(f"{question} (y/n)", "n").lower() in {"y", "yes"}:
        return True
    raise InvalidRequest("Nothing was changed.")


# printing


def _list(bench: Workbench, *, json: bool) -> None:
    from .connecting import places
    from .connections import Connections
    from .recipes import RECIPES

    standing = Connections(bench.home).all()
    rows: list[dict[str, Any]] = [
        {
            "client": recipe.client,
            "name": recipe.title,
            "files": [str(place) for place in places(bench, recipe)],
            "environment": [name for name, _ in recipe.environment],
            "connected": recipe.client in standing,
            "token": standing[recipe.client].token if recipe.client in standing else None,
        }
        for recipe in RECIPES.values()
    ]
    if json:
        say_json({"clients": rows})
        return
    say_table(
        ("CLIENT", "NAME", "CONNECTED", "SETTINGS"),
        [
            (row["client"], row["name"], row["token"] or "no", ", ".join(row["files"] or row["environment"]))
            for row in rows
        ],
    )
    say()
    say("See what one needs: open-llm-auth connect CLIENT. Have it written: open-llm-auth connect CLIENT --write")


def _print(bench: Workbench, recipe: Recipe, address: str, model: str | None, *, json: bool) -> None:
    from .connecting import new_text, places
    from .recipes import Values

    values = Values(address, _PLACEHOLDER, model)
    texts = [
        (str(place), new_text(file, values)) for place, file in zip(places(bench, recipe), recipe.files, strict=True)
    ]
    exports = {name: values.fill(template) for name, template in recipe.environment}
    command = values.fill(recipe.command) if recipe.command else None
    if json:
        files = [{"path": place, "content": text} for place, text in texts]
        say_json({"client": recipe.client, "files": files, "environment": exports, "command": command})
        return
    for place, text in texts:
        say(f"In {place}:")
        say()
        say(text)
    _say_exports(exports)
    if command:
        say(f"Try it:\n  {command}\n")
    say(f"{_PLACEHOLDER!r} stands for a token: open-llm-auth tokens create my-{recipe.client}")
    if recipe.files:
        say(f"To have it written, with a token of its own: open-llm-auth connect {recipe.client} --write")


def _say_exports(exports: Mapping[str, str]) -> None:
    if exports:
        say("In the shell that runs the client:")
        say("\n".join(f"  export {name}={value}" for name, value in exports.items()))
        say()
