"""Says of what can go wrong between the hub, the network and the disk what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import errors

from penstock.errors import ModelUnavailable, PenstockError
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
        problem, hint = _explain(error, entry, access)
        raise ModelUnavailable(problem, hint) from error


def _explain(error: Exception, entry: CatalogEntry, access: HubAccess) -> tuple[str, str]:
    """Return what went wrong and what to do."""
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_answer(error, entry, access)
    match error:
        case OSError(errno=errno.ENOSPC):
            return (
                f"The disk of {access.cache_dir} is full.",
                "Make room, or set HF_HOME to a folder on a larger disk, and start again.",
            )
        case OSError(filename=str() as name):
            return f"{name} cannot be written ({error.strerror}).", "Set HF_HOME to another folder."
    return (
        f"{access.endpoint} cannot be reached ({error}).",
        f"Check the network{access.or_by_hand(entry)}.",
    )


def _explain_answer(
    error: errors.HfHubHTTPError, entry: CatalogEntry, access: HubAccess
) -> tuple[str, str]:
    """Return the same for a refusal by the hub."""
    page = f"{access.endpoint}/{entry.hub_id}"
    match error:
        case errors.GatedRepoError():
            return (
                f"{entry.hub_id} is given out only to those who accepted its terms.",
                f"Accept them at {page}, then set HF_TOKEN to a token of that account.",
            )
        case errors.RevisionNotFoundError():
            return f"{entry.hub_id} has no revision {entry.revision!r}.", f"See {page}."
        case errors.RepositoryNotFoundError():
            return (
                f"{access.endpoint} has no model {entry.hub_id}, or it is private.",
                "Check the name; for a private model set HF_TOKEN.",
            )
    status = error.response.status_code
    hint = "Check HF_TOKEN." if status in (401, 403) else "Try again later."
    return f"{access.endpoint} answered {status} for {entry.hub_id}.", hint
