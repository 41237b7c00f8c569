"""Says of what can go wrong between the hub, the network and the disk what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import errors

from penstock.errors import (
    HubUnreachable,
    ModelGated,
    ModelUnavailable,
    NotEnoughDisk,
    PenstockError,
)
from penstock.model.catalog import CatalogEntry
from penstock.model.hub_cache import HubAccess


@contextmanager
def explained(entry: CatalogEntry, access: HubAccess) -> Iterator[None]:
    """Turn what can go wrong with the network, the hub and the disk into what to do about it."""
    try:
        yield
    except PenstockError:
        raise
    except (errors.HTTPError, OSError) as error:
        raise _explained(error, entry, access) from error


def _explained(error: Exception, entry: CatalogEntry, access: HubAccess) -> ModelUnavailable:
    """What went wrong and what to do."""
    if isinstance(error, errors.HfHubHTTPError):
        return _explained_answer(error, entry, access)
    match error:
        case OSError(errno=errno.ENOSPC):
            return NotEnoughDisk(
                f"The disk of {access.cache_dir} is full.",
                "Make room, or set HF_HOME to a folder on a larger disk, and start again.",
                param="model",
            )
        case OSError(filename=str() as name):
            return ModelUnavailable(
                f"{name} cannot be written ({error.strerror}).",
                "Set HF_HOME to another folder.",
                param="model",
            )
    return HubUnreachable(
        f"{access.endpoint} cannot be reached ({error}).",
        f"Check the network{access.or_by_hand(entry)}.",
        param="model",
    )


def _explained_answer(
    error: errors.HfHubHTTPError, entry: CatalogEntry, access: HubAccess
) -> ModelUnavailable:
    """The same for a refusal by the hub."""
    page = f"{access.endpoint}/{entry.hub_id}"
    match error:
        case errors.GatedRepoError():
            return ModelGated(
                f"{entry.hub_id} is given out only to those who accepted its terms.",
                _how_to_be_let_in(page, access),
                param="model",
            )
        case errors.RevisionNotFoundError():
            return ModelUnavailable(
                f"{entry.hub_id} has no revision {entry.revision!r}.", f"See {page}.", param="model"
            )
        case errors.RepositoryNotFoundError():
            return ModelUnavailable(
                f"{access.endpoint} has no model {entry.hub_id}, or it is private.",
                "Check the name; for a private model set HF_TOKEN.",
                param="model",
            )
    status = error.response.status_code
    problem = f"{access.endpoint} answered {status} for {entry.hub_id}."
    if status >= 500 or status == 429:
        return HubUnreachable(problem, "Try again later.", param="model")
    hint = "Check HF_TOKEN." if status in (401, 403) else "Try again later."
    return ModelUnavailable(problem, hint, param="model")


def _how_to_be_let_in(page: str, access: HubAccess) -> str:
    if access.token is None:
        return f"Accept them at {page}, then set HF_TOKEN to a token of that account."
    return (
        f"Accept them at {page} with the account of your HF_TOKEN. Some owners approve each "
        "account by hand: then it takes until they have, and the token must be allowed to read "
        "gated repositories."
    )
