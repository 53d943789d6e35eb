"""Shipped fakes: a clock that is moved by hand, a scripted transport, and a provider that is a real HTTP server."""

from .behaviours import BEHAVIOURS, SPLITS, Behaviour
from .clock import ManualClock
from .provider_server import Exchange, FakeProvider, SeenRequest
from .scripted import ScriptedReply, ScriptedTransport

__all__ = [
    "BEHAVIOURS",
    "SPLITS",
    "Behaviour",
    "Exchange",
    "FakeProvider",
    "ManualClock",
    "ScriptedReply",
    "ScriptedTransport",
    "SeenRequest",
]
