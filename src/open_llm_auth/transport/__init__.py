"""The only way out: a lean HTTP/1.1 client that dials nothing but addresses the egress policy has judged, and programs
of this machine."""

from .client import HttpTransport, Sighting, TransportStats
from .command_output import CommandOutput
from .programs import ProgramRunner
from .resolver import Resolver
from .tls import default_tls

__all__ = ["CommandOutput", "HttpTransport", "ProgramRunner", "Resolver", "Sighting", "TransportStats", "default_tls"]
