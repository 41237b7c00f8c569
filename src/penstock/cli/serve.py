"""`penstock serve`: start the server, say where it listens, open the page."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.logs import LogFormat, LogLevel, set_up_logging
from penstock.cli.terminal import tell

if TYPE_CHECKING:
    from penstock.serving.spawn import WorkerChild


def serve(  # noqa: PLR0913  (its options are its interface)
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [8000].")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Model to load at start; repeat for more. The first is the default.",
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page when it is ready.")
    ] = True,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Number format of the weights: float32, bfloat16, int8 or int4 [float32]."
        ),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for what Penstock keeps.")] = None,
    config: Annotated[Path | None, typer.Option(help="Config file to read.")] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to log.")] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, typer.Option(help="Lines for people or JSON; auto: JSON unless in a terminal.")
    ] = LogFormat.AUTO,
) -> None:
    """Start the server and open its page. Stops on Ctrl+C, when running texts are finished."""
    from penstock.serving.spawn import spawn_worker

    flags = {
        "host": host,
        "port": port,
        "model": model[0] if model else None,
        "models": tuple(model) if model else None,
        "engine.dtype": dtype,
        "data_dir": data_dir,
    }
    worker = spawn_worker()  # first of all: it takes longest to get ready
    try:
        set_up_logging(log_level, log_format)
        sys.exit(_serve(worker, flags, config, browser=browser))
    finally:
        worker.kill()


def _serve(
    worker: "WorkerChild",
    flags: Mapping[str, Any],
    config: Path | None,
    *,
    browser: bool,
) -> int:
    from penstock.api.server import run
    from penstock.scale.choosing import for_server
    from penstock.settings import load_settings

    settings = load_settings(flags, config_file=config)
    announce = _open_page if browser else _tell_address
    return run(settings, worker=worker, announce=announce, choose=for_server)


def _tell_address(url: str) -> None:
    tell(f"Penstock is at {url}")


def _open_page(url: str) -> None:
    """Open the page on a thread of its own: some browsers keep the caller waiting."""
    import threading
    import webbrowser

    _tell_address(url)
    if has_browser(os.environ, sys.platform):
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def has_browser(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a window can open; without a display a text browser would seize the terminal."""
    names = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return any(environ.get(name) for name in names) or not platform.startswith("linux")
