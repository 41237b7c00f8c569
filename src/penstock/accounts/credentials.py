"""Secrets that are handed out once and kept only as a digest: `<kind>_<id>_<secret>`.

The secret has 256 random bits, so a fast digest suffices: there is nothing to guess.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256

KEY = "tg"
PAGE_SESSION = "ts"
REFRESH = "tr"
KEY_ID_LENGTH = 8
ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
SHAPE = re.compile(r"(tg|ts|tr)_([a-z0-9]{8,32})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Credential:
    """One that was presented; whether it is good is for who keeps the digest to say."""

    kind: str
    id: str
    digest: str


def new_id(num_letters: int = 24) -> str:
    """A random id of small letters and digits."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(num_letters))


def new_credential(kind: str, of: str) -> tuple[str, str]:
    """A credential for the row with the id `of`, to be told once, and its digest, to be kept."""
    secret = secrets.token_urlsafe(32)
    return f"{kind}_{of}_{secret}", _digest(secret)


def read_credential(text: str, kind: str) -> Credential | None:
    """What was presented, if it has the shape of that kind."""
    found = SHAPE.fullmatch(text)
    if found is None or found[1] != kind:
        return None
    return Credential(kind, found[2], _digest(found[3]))


def is_same(digest: str, other: str) -> bool:
    """Whether two digests are equal, in a time that tells nothing."""
    return hmac.compare_digest(digest, other)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
