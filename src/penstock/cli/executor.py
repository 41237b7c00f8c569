"""`penstock executor`: a process that does jobs for servers that share its database."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.logs import LogLevel, set_up_logging
from penstock.cli.terminal import tell


def executor(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Model to load at start; repeat for more. Others are loaded when they are needed.",
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs to do side by side [4].")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for what Penstock keeps.")] = None,
    config: Annotated[Path | None, typer.Option(help="Config file to read.")] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to log.")] = LogLevel.INFO,
) -> None:
    """Do jobs beside a server, here or on another machine, until Ctrl+C hands them back.

    The servers have PENSTOCK_EXECUTOR=separate and share PENSTOCK_DATABASE_URL; with
    PENSTOCK_EXECUTOR=celery and PENSTOCK_BROKER_URL on both sides, jobs are told of by a broker.
    """
    from penstock.api.executing import run_executor
    from penstock.scale.choosing import for_executor
    from penstock.serving.spawn import spawn_worker
    from penstock.settings import load_settings

    flags = {
        "model": model[0] if model else None,
        "models": tuple(model) if model else None,
        "limits.jobs_at_once": jobs,
        "data_dir": data_dir,
    }
    worker = spawn_worker()  # first of all: it takes longest to get ready
    try:
        settings = load_settings(flags, config_file=config)
        set_up_logging(log_level)
        run_executor(
            settings, for_executor, worker=worker, announce=lambda name: tell(f"Doing jobs: {name}")
        )
    finally:
        worker.kill()
