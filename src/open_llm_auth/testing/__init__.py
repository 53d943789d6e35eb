"""Shipped for tests: a clock moved by hand, a scripted transport, a fake provider, and the gateway as a process."""

from .anthropic_server import FakeAnthropic
from .bedrock_server import FakeBedrock
from .behaviours import BEHAVIOURS, SPLITS, Behaviour
from .clock import ManualClock
from .gateway_process import GatewayAnswer, GatewayFailed, GatewayProcess, free_port
from .gemini_server import FakeGemini
from .issuer import FakeIssuer
from .ollama_server import FakeOllama
from .provider_server import Exchange, FakeProvider, SeenRequest
from .responses_server import FakeResponses
from .scripted import ScriptedReply, ScriptedTransport

__all__ = [
    "BEHAVIOURS",
    "SPLITS",
    "Behaviour",
    "Exchange",
    "FakeAnthropic",
    "FakeBedrock",
    "FakeGemini",
    "FakeIssuer",
    "FakeOllama",
    "FakeProvider",
    "FakeResponses",
    "GatewayAnswer",
    "GatewayFailed",
    "GatewayProcess",
    "ManualClock",
    "ScriptedReply",
    "ScriptedTransport",
    "SeenRequest",
    "free_port",
]
