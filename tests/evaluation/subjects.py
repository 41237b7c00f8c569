"""Models to evaluate, loaded from folders as everywhere else."""

from pathlib import Path

from penstock.evaluation.in_process import InProcess
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions


def subject_from(folder: str | Path, adapter: str | None = None, **options: object) -> InProcess:
    """A folder's or the catalog's model, evaluated in this process."""
    source = LocalModels([str(folder)], LoadingOptions(num_threads=1, **options))  # type: ignore[arg-type]
    return InProcess(source.load(source.find(str(folder)).id), adapter)
