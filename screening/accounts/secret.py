"""Secrets that are kept as a hash alone. They are 256 random bits, so a fast hash is enough."""

import hashlib
import secrets


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
