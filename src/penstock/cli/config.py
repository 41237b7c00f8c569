"""`penstock config show`: every setting as it is now, and where it came from."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.terminal import print_json, print_table

app = typer.Typer(help="Look at the settings.", rich_markup_mode=None)


@app.command()
def show(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Config file to read instead of the usual one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print every setting, its value and where it came from. Secrets are masked."""
    from penstock.settings import effective_settings

    settings = effective_settings(config_file=config_file)
    if as_json:
        print_json({s.name: {"value": s.value, "source": s.source} for s in settings})
    else:
        rows = [(s.name, s.value, s.source, s.variable) for s in settings]
        print_table(["setting", "value", "from", "variable"], rows)
