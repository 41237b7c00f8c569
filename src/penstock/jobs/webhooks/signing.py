"""How a webhook proves where it comes from: the signature of standardwebhooks.com, version 1. Pure.

`webhook-signature` is `v1,` and the Base64 of HMAC-SHA-256 over `id.timestamp.body`, keyed by the
secret; one that begins with `whsec_` is Base64 of the key behind that.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key that a secret stands for. Raises `ValueError` for one that is not Base64."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ is not Base64") from error


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers that a receiver checks the body with."""
    message = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key_of(secret), message, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
