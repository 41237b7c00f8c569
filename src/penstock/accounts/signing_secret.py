"""The secret that signs access tokens: the operator's, or one made at first start and kept.

A weak one is refused: whoever guesses it is everybody.
"""

import os
import re
import secrets
from pathlib import Path

from penstock.accounts.access_tokens import Algorithm
from penstock.errors import ConfigError

FILE_NAME = "secret_key"
MIN_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}  # as long as the hash: RFC 7518, 3.2
MIN_DIFFERENT = 8
KNOWN = re.compile(
    r"(your|my|the|a|our|super|very|jwt|app|flask|django|api)?[-_ ]?(top|super)?[-_ ]?"
    r"(secret|private|signing)[-_ ]?(key|token)?.*|change[-_ ]?(me|this|it).*|.*change[-_ ]?(me|"
    r"this|in[-_ ]?production).*|.*your[-_ ]?secret.*|(test|dev|default|example|insecure).*",
    re.IGNORECASE,
)
# The example that the documentation of FastAPI prints, which services were copied with.
PUBLISHED = frozenset({"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"})
HOW = (
    "Unset PENSTOCK_SECRET_KEY to have one made, or set it to what "
    "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` prints."
)


def signing_secret(given: str | None, data_dir: Path, algorithm: Algorithm) -> str:
    """The secret. Raises `ConfigError` for one that others can guess."""
    if given is not None:
        check_secret(given, algorithm)
        return given
    return _kept(data_dir / FILE_NAME, algorithm)


def check_secret(secret: str, algorithm: Algorithm) -> None:
    """Raises `ConfigError` for a secret that is short, published or a placeholder."""
    num_bytes = len(secret.encode())
    if secret in PUBLISHED or KNOWN.fullmatch(secret):
        problem = "secret_key is a placeholder that others know too."
    elif num_bytes < MIN_BYTES[algorithm]:
        problem = f"secret_key has {num_bytes} bytes; {algorithm} needs {MIN_BYTES[algorithm]}."
    elif len(set(secret)) < MIN_DIFFERENT:
        problem = f"secret_key has only {len(set(secret))} different characters."
    else:
        return
    raise ConfigError(problem, HOW, param="secret_key")


def _kept(path: Path, algorithm: Algorithm) -> str:
    """What the file holds; made anew where there is none, readable by its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The secret in {path} cannot be read or written: {error}.", HOW, param="secret_key"
        ) from error
    check_secret(secret, algorithm)
    return secret


def _make(path: Path) -> None:
    """Write it aside and link it, so that of two servers that start together one decides."""
    aside = path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    file = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(file, "w") as writing:
            writing.write(secrets.token_urlsafe(48) + "\n")
            writing.flush()
            os.fsync(writing.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            return
    finally:
        aside.unlink()
