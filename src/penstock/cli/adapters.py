"""`penstock adapters`: which LoRA adapters there are, and making one part of a model."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.terminal import print_json, print_table, tell

app = typer.Typer(help="List LoRA adapters and merge them.", rich_markup_mode=None)


@app.command("list")
def list_adapters(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the adapters in the data directory and those named in the settings."""
    from dataclasses import asdict

    from penstock.api.building import adapter_folders
    from penstock.settings import load_settings

    cards = adapter_folders(load_settings()).cards()
    if as_json:
        print_json({"adapters": [asdict(card) for card in cards]})
    else:
        rows = [
            (c.name, str(c.rank or "-"), c.base_model or "-", c.error or "can be used")
            for c in cards
        ]
        print_table(["name", "rank", "made for", ""], rows)


@app.command()
def merge(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Model id, alias, hub id or folder.")],
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="Adapter's name or folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; must be new.")],
) -> None:
    """Write a model that is BASE with ADAPTER in its weights."""
    from penstock.api.building import adapter_folders
    from penstock.errors import ModelUnavailable
    from penstock.model.adapter_folder import CONFIG_FILE
    from penstock.model.catalog import find_configured
    from penstock.model.hub import local_folder
    from penstock.model.hub_cache import hub_access
    from penstock.model.merging import merge_adapter
    from penstock.settings import load_settings

    settings = load_settings()
    entry = find_configured(base)
    folder = local_folder(entry, hub_access(data_dir=settings.data_dir, token=settings.hub_token))
    if folder is None:
        raise ModelUnavailable(
            f"The files of {entry.id} are not on this machine.",
            f"Fetch them with `penstock models pull {entry.id}`.",
        )
    is_folder = (Path(adapter) / CONFIG_FILE).is_file()
    source = Path(adapter) if is_folder else adapter_folders(settings).find(adapter)
    num_matrices = merge_adapter(folder, source, out)
    tell(f"{out} is {entry.id} with {source.name}: {num_matrices} matrices changed.")
