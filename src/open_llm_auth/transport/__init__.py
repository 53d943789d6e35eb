"""The only way out: a lean HTTP/1.1 client that dials nothing but addresses the egress policy has judged."""

from .client import HttpTransport, Sighting, TransportStats
from .resolver import Resolver
from .tls import default_tls

__all__ = ["HttpTransport", "Resolver", "Sighting", "TransportStats", "default_tls"]
