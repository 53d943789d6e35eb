"""Where the config file and everything beside it stand (SPEC §3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import ConfigUnavailable

__all__ = ["config_path", "expand", "home", "is_own_home"]

_SHARED: Final = frozenset({"/", "/tmp", "/var/tmp", "/etc", "/var", "/home", "/opt", "/srv", "/usr"})  # noqa: S108


def home(environ: Mapping[str, str]) -> Path:
    """The gateway's own directory: `OPEN_LLM_AUTH_HOME`, else ``~/.open_llm_auth``. It may not exist yet."""
    return _named(environ, "OPEN_LLM_AUTH_HOME") or expand("~/.open_llm_auth", environ)


def config_path(environ: Mapping[str, str]) -> Path:
    """The config file: `OPEN_LLM_AUTH_CONFIG`, else ``config.json`` in `home`. It may not exist yet."""
    return _named(environ, "OPEN_LLM_AUTH_CONFIG") or home(environ) / "config.json"


def is_own_home(directory: Path, environ: Mapping[str, str]) -> bool:
    """Whether `OPEN_LLM_AUTH_HOME` gives `directory` to the gateway alone, whatever else is in it. A place that is
    everybody's, or the user's own home, is not given away by a variable."""
    named = _named(environ, "OPEN_LLM_AUTH_HOME")
    place = directory.resolve()
    if named is None or named.resolve() != place or str(place) in _SHARED:
        return False
    try:
        return place != _user_home(environ).resolve()
    except ConfigUnavailable:
        return True  # a user without a home, as in many containers


def expand(text: str, environ: Mapping[str, str]) -> Path:
    """`text` as an absolute path, a leading ``~`` being the user's home.

    Raises:
        ConfigUnavailable: this user has no home directory.
    """
    if text == "~" or text.startswith("~/"):
        return _user_home(environ) / text[2:]
    return Path(text).absolute()


def _named(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name, "").strip()
    return expand(text, environ) if text else None


def _user_home(environ: Mapping[str, str]) -> Path:
    if named := environ.get("HOME"):
        return Path(named).absolute()
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigUnavailable(
            "This user has no home directory. Set OPEN_LLM_AUTH_HOME to a directory of the gateway's own."
        ) from None
