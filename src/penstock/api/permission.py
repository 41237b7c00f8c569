"""Who may change which models there are and which are loaded. Nobody, unless there is a reason.

There are no accounts yet, so it is decided by where a request comes from; see decision 17.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Request

from penstock.api.services import ModelChanges, ServicesDep
from penstock.errors import NotAllowed
from penstock.settings import Settings, is_loopback

# A proxy that says for whom it asks; then "this machine" is not who asks.
FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def model_changes(settings: Settings) -> ModelChanges:
    """What the settings come to. A server that is known by other names is asked by others."""
    match settings.model_changes:
        case "on":
            return ModelChanges.ANYBODY
        case "off":
            return ModelChanges.NOBODY
        case "auto":
            is_private = is_loopback(settings.host) and not settings.allowed_hosts
            return ModelChanges.THIS_MACHINE if is_private else ModelChanges.NOBODY


def check_permission(request: Request, services: ServicesDep) -> None:
    """Refuse the request unless it may change models; a page of another origin never may."""
    allowed = services.model_changes
    if allowed is ModelChanges.NOBODY:
        raise _refusal("This server does not let its clients change models.")
    is_forwarded = any(name in request.headers for name in FORWARDING_HEADERS)
    if allowed is ModelChanges.THIS_MACHINE and is_forwarded:
        raise _refusal("This server lets only its own machine change models; a proxy asks.")
    check_origin(request, services)


def check_origin(request: Request, services: ServicesDep) -> None:
    """Refuse what a page of another origin sends without having asked whether it may."""
    if _is_foreign(request.headers, services.cors_origins):
        raise NotAllowed(
            f"A page of {request.headers.get('origin', 'another origin')} may not do that.",
            "If it is yours, list its origin in PENSTOCK_CORS_ORIGINS.",
        )


def _refusal(problem: str) -> NotAllowed:
    return NotAllowed(
        problem,
        "Use `penstock models` on that machine, or set PENSTOCK_MODEL_CHANGES=on there.",
    )


def _is_foreign(headers: Mapping[str, str], origins: tuple[str, ...]) -> bool:
    """A browser says so. What is no browser sends neither header."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return origin not in origins and urlsplit(origin).netloc != headers.get("host")
