"""Access tokens: JWTs by one algorithm that is pinned, with nothing in their header but that.

A token alone does not suffice: its session must go on and its version be the user's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jwt

from penstock.accounts.credentials import new_id
from penstock.errors import NotSignedIn

Algorithm = Literal["HS256", "HS384", "HS512"]
ISSUER = AUDIENCE = "penstock"
REQUIRED = ["exp", "iat", "sub", "jti", "iss", "aud", "sid", "ver"]
MAX_CHARACTERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token that we signed says."""

    user_id: str
    session_id: str
    token_version: int


class TokenSigner:
    """Signs access tokens and reads them."""

    def __init__(
        self,
        secret: str,
        *,
        algorithm: Algorithm = "HS256",
        lifetime_seconds: int = 1800,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._algorithm = algorithm
        self._clock = clock
        self.lifetime_seconds = lifetime_seconds

    def sign(self, claims: Claims) -> str:
        """A token that says so, good from now on."""
        now = int(self._clock())
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.user_id,
            "sid": claims.session_id,
            "ver": claims.token_version,
            "jti": new_id(),
            "iat": now,
            "exp": now + self.lifetime_seconds,
        }
        return jwt.encode(payload, self._secret, algorithm=self._algorithm)

    def read(self, token: str) -> Claims:
        """What it says. Raises `NotSignedIn`, in the same words whatever is wrong."""
        try:
            return self._read(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise bad_token() from error

    def _read(self, token: str) -> Claims:
        if len(token) > MAX_CHARACTERS or not token.isascii():
            raise ValueError("too long, or no token at all")
        header = jwt.get_unverified_header(token)
        if header != {"alg": self._algorithm, "typ": "JWT"}:
            raise ValueError("a header that we do not write")
        # The times are compared below, by our clock.
        payload = jwt.decode(
            token,
            self._secret,
            algorithms=[self._algorithm],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False},
        )
        if not all(type(payload[name]) is int for name in ("exp", "iat", "ver")):
            raise ValueError("numbers that are none")
        if not all(isinstance(payload[name], str) for name in ("sub", "sid")):
            raise ValueError("names that are none")
        if not payload["iat"] - 1 <= self._clock() < payload["exp"]:
            raise ValueError("not its time")
        return Claims(
            user_id=payload["sub"], session_id=payload["sid"], token_version=payload["ver"]
        )


def bad_token() -> NotSignedIn:
    """The error for any credential that is not good."""
    return NotSignedIn(
        "The access token or key is not valid.", "Sign in again, or use another key."
    )
