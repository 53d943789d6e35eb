"""What makes it the same credential: a keyed digest, which a file may hold because it tells nothing of the secret."""

from __future__ import annotations

from hashlib import blake2b

from ..values import Credential

__all__ = ["account_mark", "marks_of", "secret_mark"]

_BYTES = 16


def secret_mark(salt: bytes, credential: Credential) -> str:
    """Another one as soon as the secret, the address or the AWS profile is another."""
    secret = "" if credential.secret is None else credential.secret.reveal()
    return _digest(salt, "secret", credential, secret)


def account_mark(salt: bytes, credential: Credential) -> str:
    """The same for as long as it is one account: the secret of a sign-in changes with every renewal, and its limits
    don't begin anew with that. Of anything else the secret is all that is known of the account."""
    if credential.type == "oauth" and (credential.renewable or credential.account_id):
        return _digest(salt, "account", credential, credential.account_id or "")
    return secret_mark(salt, credential)


def marks_of(salt: bytes, credential: Credential) -> tuple[str, ...]:
    """Everything that may be known of it goes by one of these."""
    account, secret = account_mark(salt, credential), secret_mark(salt, credential)
    return (account,) if account == secret else (account, secret)


def _digest(salt: bytes, of: str, credential: Credential, known: str) -> str:
    place = str(credential.endpoint or "")
    parts = (of, credential.provider, credential.id, known, place, credential.aws_profile, credential.aws_region)
    # a NUL stands in no text that the environment or a config file can give
    raw = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(raw, key=salt, digest_size=_BYTES).hexdigest()
