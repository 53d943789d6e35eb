"""Which certificates are trusted: the machine's, or certifi's where the machine has none."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi

__all__ = ["default_tls"]


def default_tls() -> ssl.SSLContext:
    """A verifying client context for HTTP/1.1. `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured, as OpenSSL does."""
    context = ssl.create_default_context()
    if not _machine_trusts_anyone():
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _machine_trusts_anyone() -> bool:
    paths = ssl.get_default_verify_paths()
    cafile: str | None = paths.cafile  # both are None where there is no such file or directory
    capath: str | None = paths.capath
    return cafile is not None or (capath is not None and any(Path(capath).iterdir()))
