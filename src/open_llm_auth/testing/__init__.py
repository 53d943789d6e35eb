"""Shipped for tests: a clock moved by hand, a scripted transport, a fake provider, and the gateway as a process."""

from .behaviours import BEHAVIOURS, SPLITS, Behaviour
from .clock import ManualClock
from .gateway_process import GatewayAnswer, GatewayFailed, GatewayProcess, free_port
from .provider_server import Exchange, FakeProvider, SeenRequest
from .scripted import ScriptedReply, ScriptedTransport

__all__ = [
    "BEHAVIOURS",
    "SPLITS",
    "Behaviour",
    "Exchange",
    "FakeProvider",
    "GatewayAnswer",
    "GatewayFailed",
    "GatewayProcess",
    "ManualClock",
    "ScriptedReply",
    "ScriptedTransport",
    "SeenRequest",
    "free_port",
]
