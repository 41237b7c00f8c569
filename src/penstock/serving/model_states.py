"""What is said of a model that is loaded, on its way, failed or not to be had. Pure functions."""

import logging
from dataclasses import dataclass

from penstock.errors import ModelUnavailable, PenstockError
from penstock.model.hub_progress import DownloadProgress
from penstock.serving.models import ModelCard, ModelState, ServedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's card with its state now."""

    card: ModelCard
    state: ModelState
    error: str | None  # why it cannot be loaded, or why that failed the last time
    model: ServedModel | None = None  # once it is loaded
    download: DownloadProgress | None = None  # while it is fetched


def refuse_absent(card: ModelCard) -> None:
    """Raise that a model's files are not here."""
    if not card.local:
        raise ModelUnavailable(
            f"The files of {card.id} are not on this machine.",
            f"Fetch them with `penstock models pull {card.id}`.",
            param="model",
        )


def as_own(error: Exception, card: ModelCard) -> PenstockError:
    """What a client is told of a load that failed; the unforeseen is in the log."""
    if isinstance(error, PenstockError):
        logger.warning("Model %s is not loaded: %s", card.id, error)
        return error
    logger.error("Loading %s failed.", card.id, exc_info=error)
    return ModelUnavailable(
        f"{card.id} could not be loaded: {reason(error)}.",
        "The server's log has the details.",
        param="model",
    )


def reason(error: Exception) -> str:
    """What an error says, or at least its name."""
    return str(error) or type(error).__name__
