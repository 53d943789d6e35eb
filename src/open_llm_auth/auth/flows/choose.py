"""Which flow goes by which name in the table of sign-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ...errors import NotConfigured
from ...values import SignIn
from .browser import browser
from .codex_device import codex_device
from .copilot import at_host, copilot, copilot_direct
from .device import device, device_with_proof
from .minimax import minimax
from .steps import Flow, Means

__all__ = ["FLOWS", "HOST", "choose", "for_profile"]

#: Where a profile's metadata says whose GitHub it was signed in at.
HOST: Final = "host"

#: `copilot-direct` is never the usual one: it is asked for.
FLOWS: Final[Mapping[str, Callable[[SignIn, Means], Flow]]] = MappingProxyType(
    {
        "browser": browser,
        "codex-device": codex_device,
        "copilot": copilot,
        "copilot-direct": copilot_direct,
        "device": device,
        "device-pkce": device_with_proof,
        "minimax": minimax,
    }
)

_BROWSER: Final = "browser"


def choose(sign_in: SignIn, *, without_browser: bool = False) -> str:
    """The name of the flow to take: the usual one, or the first that needs no browser on this machine.

    Raises:
        NotConfigured: there is no such flow.
    """
    known = [name for name in sign_in.flows if name in FLOWS and not (without_browser and name == _BROWSER)]
    if known:
        return known[0]
    what = "signs in with a browser only" if _BROWSER in sign_in.flows else "has no sign-in that this gateway knows"
    raise NotConfigured(f"Provider {sign_in.provider!r} {what}.", details={"provider": sign_in.provider})


def for_profile(sign_in: SignIn, metadata: Mapping[str, Any]) -> SignIn:
    """The sign-in as it stands for a profile with that metadata: one may be of a company's own GitHub."""
    host = metadata.get(HOST)
    return at_host(sign_in, host) if isinstance(host, str) and host and sign_in.exchange_url else sign_in
