"""A model as clients see it: what it is, and its state now."""

from dataclasses import asdict
from typing import Any

from penstock.serving.downloads import DownloadProgress
from penstock.serving.model_states import ModelStatus


def model_object(status: ModelStatus) -> dict[str, Any]:
    """The fields of `GET /models` for one model."""
    card, loaded = status.card, status.model
    fields = asdict(card)
    del fields["embeds"]  # `GET /v1/capabilities` says for all routes what a model can
    return {
        **fields,
        "state": status.state.value,
        "error": status.error,
        "num_parameters": loaded.num_parameters if loaded else card.num_parameters,
        "context_length": loaded.context_length if loaded else card.context_length,
        "draft": loaded.draft if loaded else None,
        "dtype": loaded.dtype if loaded else None,
        "memory_bytes": loaded.num_bytes if loaded else card.memory_bytes,
        "download": None if status.download is None else progress_object(status.download),
    }


def progress_object(progress: DownloadProgress) -> dict[str, Any]:
    """How far a download is. `seconds_left` is none while nothing arrives."""
    left = progress.seconds_left
    return {
        "file": progress.file_name,
        "num_bytes": progress.num_bytes,
        "total_bytes": progress.total_bytes,
        "bytes_per_second": round(progress.bytes_per_second),
        "seconds_left": None if left is None else round(left, 1),
    }
