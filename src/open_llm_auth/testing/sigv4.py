"""Judges AWS's Signature Version 4 as a service does: written from the documentation, beside botocore's own code.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote

from .http_server import SeenRequest

__all__ = ["Signature", "read_signature"]

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,\s*"
    r"SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signed request says of itself."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    def matches(
        self, request: SeenRequest, secrets: Mapping[str, str], tokens: Mapping[str, str] | None = None
    ) -> bool:
        """Whether `request` was signed with the secret of its access key, and carries the session token of it."""
        secret = secrets.get(self.access_key)
        if secret is None or (tokens or {}).get(self.access_key) != request.fields.get("x-amz-security-token"):
            return False
        needed = {"host", "x-amz-date"} | ({"x-amz-security-token"} if tokens and self.access_key in tokens else set())
        if not needed <= set(self.signed_headers):
            return False
        return hmac.compare_digest(self._expected(request, secret), self.signature)

    def _expected(self, request: SeenRequest, secret: str) -> str:
        scope = f"{self.date}/{self.region}/{self.service}/aws4_request"
        canonical = hashlib.sha256(self._canonical(request).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{request.fields['x-amz-date']}\n{scope}\n{canonical}"
        key = f"AWS4{secret}".encode()
        for part in (self.date, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()

    def _canonical(self, request: SeenRequest) -> str:
        path, _, query = request.target.partition("?")
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(query, True))
        headers = [f"{name}:{' '.join(request.fields.get(name, '').split())}\n" for name in self.signed_headers]
        return "\n".join(
            (
                request.method,
                quote(path, safe="/-_.~"),  # each part is encoded once more than it was sent
                "&".join(f"{name}={value}" for name, value in pairs),
                "".join(headers),
                ";".join(self.signed_headers),
                hashlib.sha256(request.body).hexdigest(),
            )
        )


def read_signature(request: SeenRequest) -> Signature | None:
    """The signature of a request; None where it has none."""
    found = _AUTHORIZATION.fullmatch(request.fields.get("authorization", ""))
    if found is None:
        return None
    access_key, date, region, service, signed, signature = found.groups()
    return Signature(access_key, date, region, service, tuple(signed.split(";")), signature)
