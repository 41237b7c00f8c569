"""Names for browsers in which somebody has signed in: their attempts are counted apart.

So who guesses at an account from elsewhere cannot keep its owner out.
"""

import hmac
import secrets
from hashlib import sha256


class Devices:
    """Gives names to devices, and knows those it gave."""

    def __init__(self, secret: str) -> None:
        self._key = sha256(b"devices\0" + secret.encode()).digest()

    def name_for(self, username: str) -> str:
        """What a browser is given when that user has signed in."""
        nonce = secrets.token_hex(16)
        return f"{nonce}.{self._mark(nonce, username)}"

    def known(self, name: str | None, username: str) -> str | None:
        """The name, if we gave it to a browser of that user."""
        nonce, _, mark = (name or "").partition(".")
        if not nonce or not hmac.compare_digest(
            mark.encode(), self._mark(nonce, username).encode()
        ):
            return None
        return nonce

    def _mark(self, nonce: str, username: str) -> str:
        text = f"{nonce}\0{username.lower()}".encode()
        return hmac.new(self._key, text, sha256).hexdigest()
