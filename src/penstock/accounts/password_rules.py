"""Which passwords are accepted. Long ones that are not guessed first, of any letters."""

import re

from penstock.accounts.passwords import MAX_BYTES
from penstock.errors import InvalidParameter

MIN_CHARACTERS = 12
MIN_DIFFERENT = 5
# What lists of leaked passwords are made of; a password of these, digits and signs is guessed.
COMMON_PARTS = (
    "abc", "access", "admin", "administrator", "adobe", "asdf", "asdfgh", "baseball", "batman",
    "change", "changeit", "changeme", "charlie", "cheese", "computer", "correct", "default",
    "demo", "dragon", "football", "freedom", "god", "guest", "hello", "horse", "hunter", "iloveyou",
    "internet", "jesus", "jordan", "killer", "letmein", "login", "love", "master", "me", "michael",
    "minecraft", "monkey", "mustang", "my", "ninja", "openai", "ollama", "pass", "passw", "passwd",
    "password", "penstock", "please", "pokemon", "princess", "qaz", "qwe", "qwer", "qwert",
    "qwerty", "qwertyuiop", "root", "secret", "server", "shadow", "starwars", "summer", "sunshine",
    "super", "superman", "test", "the", "this", "trustno", "uiop", "user", "welcome", "whatever",
    "winter", "wsx", "your", "zaq", "zxc", "zxcvbn", "zxcvbnm",
)  # fmt: skip
AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
LOOKALIKES = str.maketrans("013457@$!", "oieastasi")
MADE_OF_COMMON = re.compile(f"(?:{'|'.join(sorted(COMMON_PARTS, key=len, reverse=True))})*")


def check_password(password: str, username: str, *, param: str = "password") -> None:
    """Raises `InvalidParameter` that says why a password is not accepted, never the password."""
    problem = _problem(password, username)
    if problem is not None:
        hint = f"Use {MIN_CHARACTERS} characters or more, such as four words chosen by chance."
        raise InvalidParameter(f"The {param.replace('_', ' ')} {problem}.", hint, param=param)


def _problem(password: str, username: str) -> str | None:
    if len(password) < MIN_CHARACTERS:
        return f"has {len(password)} characters"
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return f"has more than {MAX_BYTES} bytes"
    if len(set(password)) < MIN_DIFFERENT:
        return f"has only {len(set(password))} different characters"
    plain, name = password.lower(), username.lower()
    if plain == name or (len(name) > 3 and len(plain.replace(name, "")) < 4):
        return "is hardly more than the user's name"
    inner = AROUND.sub("", plain)  # digits and signs at the ends stand for no letters
    if _is_common(inner) or _is_common(inner.translate(LOOKALIKES)):
        return "is among the first that are guessed"
    return None


def _is_common(plain: str) -> bool:
    letters = re.sub(r"[\W\d_]", "", plain)
    return MADE_OF_COMMON.fullmatch(letters) is not None
