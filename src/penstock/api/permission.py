"""Who may change which models there are and which are loaded. Nobody, unless there is a reason.

The reason is an administrator's account, or, without accounts, where a request comes from; see
decisions 17 and 41.
"""

from fastapi import Request

from penstock.accounts.policy import Access
from penstock.accounts.principal import Scope
from penstock.api.access import access_of
from penstock.api.origin import is_foreign, is_forwarded
from penstock.api.principal import PrincipalDep
from penstock.api.services import ModelChanges, ServicesDep
from penstock.errors import NotAllowed
from penstock.settings import Settings


def model_changes(settings: Settings) -> ModelChanges:
    """What the settings come to."""
    match settings.model_changes:
        case "on":
            return ModelChanges.ANYBODY
        case "off":
            return ModelChanges.NOBODY
        case "auto":
            if access_of(settings) is Access.REQUIRED:
                return ModelChanges.ADMINISTRATORS
            return ModelChanges.THIS_MACHINE if settings.is_private else ModelChanges.NOBODY


async def check_permission(
    request: Request, services: ServicesDep, principal: PrincipalDep
) -> None:
    """Refuse the request unless it may change models; a page of another origin never may."""
    allowed = services.model_changes
    if allowed is ModelChanges.NOBODY:
        raise _refusal("This server does not let its clients change models.")
    if allowed is ModelChanges.ANYBODY:
        await check_origin(request, services)
        return
    if principal.is_signed_in or allowed is ModelChanges.ADMINISTRATORS:
        if not principal.may(Scope.MODELS):
            raise _refusal("Only administrators change models, with the scope 'models'.")
    elif is_forwarded(request.headers):
        raise _refusal("This server lets only its own machine change models; a proxy asks.")
    await check_origin(request, services)


async def check_origin(request: Request, services: ServicesDep) -> None:
    """Refuse what a page of another origin sends without having asked whether it may."""
    if is_foreign(request.headers, services.cors_origins):
        raise NotAllowed(
            f"A page of {request.headers.get('origin', 'another origin')} may not do that.",
            "If it is yours, list its origin in PENSTOCK_CORS_ORIGINS.",
        )


def _refusal(problem: str) -> NotAllowed:
    return NotAllowed(
        problem,
        "Use `penstock models` on that machine, or set PENSTOCK_MODEL_CHANGES=on there.",
    )
