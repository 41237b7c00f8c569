"""Access tokens: what we signed is read, and of what others make nothing is."""

import base64
import hashlib
import hmac
import json

import pytest

from penstock.accounts.access_tokens import MAX_CHARACTERS, Claims, TokenSigner
from penstock.errors import NotSignedIn
from tests.accounts.making import SECRET

NOW = 1_800_000_000.0
CLAIMS = Claims(user_id="user_a", session_id="s", token_version=3)
HEADER = {"alg": "HS256", "typ": "JWT"}
PAYLOAD = {
    "iss": "penstock", "aud": "penstock", "sub": "user_a", "sid": "s", "ver": 3, "jti": "j",
    "iat": int(NOW), "exp": int(NOW) + 1800,
}  # fmt: skip
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def signer(at: float = NOW, secret: str = SECRET) -> TokenSigner:
    return TokenSigner(secret, clock=lambda: at)


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def made(
    header: object = HEADER,
    payload: object = PAYLOAD,
    *,
    secret: str = SECRET,
    algorithm: str = "HS256",
) -> str:
    """A token as anybody can make it who has the secret, or believes so."""
    signed = f"{part(header)}.{part(payload)}"
    digest = hmac.new(secret.encode(), signed.encode(), HASHES[algorithm]).digest()
    return f"{signed}.{part(digest)}"


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in PAYLOAD.items() if key != name}


def test_what_is_signed_is_read_until_its_time_is_over() -> None:
    token = signer().sign(CLAIMS)

    assert signer().read(token) == CLAIMS
    assert signer(NOW + 1799).read(token) == CLAIMS
    assert signer().read(made()) == CLAIMS
    for at in (NOW + 1800, NOW + 5400, NOW - 3600):  # a clock that jumps back does not believe it
        with pytest.raises(NotSignedIn):
            signer(at).read(token)


HEADERS = {
    "none": {"alg": "none", "typ": "JWT"},
    "None": {"alg": "None", "typ": "JWT"},
    "nOnE": {"alg": "nOnE", "typ": "JWT"},
    "HS384": {"alg": "HS384", "typ": "JWT"},
    "RS256": {"alg": "RS256", "typ": "JWT"},
    "ES256": {"alg": "ES256", "typ": "JWT"},
    "EdDSA": {"alg": "EdDSA", "typ": "JWT"},
    "hs256": {"alg": "hs256", "typ": "JWT"},
    "no alg": {"typ": "JWT"},
    "alg list": {"alg": ["HS256"], "typ": "JWT"},
    "alg null": {"alg": None, "typ": "JWT"},
    "kid": {**HEADER, "kid": "../../dev/null"},
    "kid sql": {**HEADER, "kid": "' OR 1=1"},
    "jku": {**HEADER, "jku": "http://evil.example/keys"},
    "jwk": {**HEADER, "jwk": {"kty": "oct", "k": "AAAA"}},
    "x5u": {**HEADER, "x5u": "http://evil.example/cert"},
    "x5c": {**HEADER, "x5c": ["AAAA"]},
    "crit": {**HEADER, "crit": ["exp"]},
    "crit unknown": {**HEADER, "crit": ["b64"], "b64": False},
    "b64": {**HEADER, "b64": False},
    "zip": {**HEADER, "zip": "DEF"},
    "cty": {**HEADER, "cty": "JWT"},
    "list": [],
    "text": "HS256",
}
PAYLOADS = {
    **{f"without {name}": without(name) for name in PAYLOAD},
    "expired": {**PAYLOAD, "exp": int(NOW) - 1},
    "not yet": {**PAYLOAD, "iat": int(NOW) + 60},
    "nbf": {**PAYLOAD, "nbf": 4_000_000_000},
    "other issuer": {**PAYLOAD, "iss": "elsewhere"},
    "other audience": {**PAYLOAD, "aud": "elsewhere"},
    "audiences": {**PAYLOAD, "aud": ["elsewhere"]},
    "sub number": {**PAYLOAD, "sub": 7},
    "sid list": {**PAYLOAD, "sid": ["s"]},
    "ver text": {**PAYLOAD, "ver": "3"},
    "ver true": {**PAYLOAD, "ver": True},
    "exp text": {**PAYLOAD, "exp": "never"},
    "exp huge": {**PAYLOAD, "exp": 1e400},
    "exp null": {**PAYLOAD, "exp": None},
    "list": [],
    "text": "x",
}
TOKENS = {
    **{f"header: {name}": made(header) for name, header in HEADERS.items()},
    **{f"payload: {name}": made(payload=payload) for name, payload in PAYLOADS.items()},
    "other secret": made(secret="x" * 48),
    "empty secret": made(secret=""),
    "other hash": made(algorithm="HS512"),
    "no signature": made().rpartition(".")[0] + ".",
    "two parts": made().rpartition(".")[0],
    "four parts": made() + ".x",
    "half a signature": made()[:-20],
    "a bit changed": made()[:-2] + ("A" if made()[-2] != "A" else "B") + made()[-1],
    "spaces": made().replace(".", " ."),
    "empty": "",
    "dots": "..",
    "no base64": "é.é.é",
    "deep": f"{part(HEADER)}.{part(b'[' * 1500)}.x",
    "long": made(payload={**PAYLOAD, "x": "x" * MAX_CHARACTERS}),
    "a megabyte": "a." * 500_000,
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_what_others_make_is_refused_in_the_same_words(token: str) -> None:
    with pytest.raises(NotSignedIn) as refused:
        signer().read(token)

    assert str(refused.value) == (
        "The access token or key is not valid. Sign in again, or use another key."
    )


def test_of_two_algorithms_only_the_pinned_one_is_read() -> None:
    long = SECRET * 2
    other = TokenSigner(long, algorithm="HS512", clock=lambda: NOW)

    assert other.read(other.sign(CLAIMS)) == CLAIMS
    usual = signer(secret=long)
    for reader, token in ((other, usual.sign(CLAIMS)), (usual, other.sign(CLAIMS))):
        with pytest.raises(NotSignedIn):
            reader.read(token)
