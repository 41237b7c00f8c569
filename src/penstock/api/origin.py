"""Where a request comes from: a page of ours or of others, this machine or a proxy."""

from collections.abc import Mapping
from urllib.parse import urlsplit

# A proxy that says for whom it asks; then "this machine" is not who asks.
FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """It came through a proxy that says so."""
    return any(name in headers for name in FORWARDING_HEADERS)


def is_foreign(headers: Mapping[str, str], origins: tuple[str, ...]) -> bool:
    """A page of an origin that is neither ours nor listed sent it: browsers say so.

    What is no browser sends neither header.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return origin not in origins and not _is_own(origin, headers)


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Our own page sent it, and its browser says so."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    return _is_own(origin, headers)


def _is_own(origin: str, headers: Mapping[str, str]) -> bool:
    return urlsplit(origin).netloc == headers.get("host")
