"""`penstock models`: what models there are, what is known of one, fetching and removing it."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.terminal import print_json, print_table, progress_bar, tell

if TYPE_CHECKING:
    from penstock.model.catalog import CatalogEntry
    from penstock.model.hub_cache import HubAccess
    from penstock.model.hub_progress import DownloadProgress

app = typer.Typer(help="List, show, fetch and remove models.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="MODEL", help="Model id, alias, hub id or folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models there are, and which of them are on this machine."""
    from penstock.model.catalog import CATALOG
    from penstock.model.tuned import TunedModels
    from penstock.settings import load_settings

    access = _hub_access()
    tuned = TunedModels(load_settings().data_dir)
    descriptions = [describe(entry, access) for entry in (*CATALOG, *tuned.current())]
    if as_json:
        print_json({"models": descriptions})
    else:
        rows = [(d["id"], _millions(d), _place(d), d["description"]) for d in descriptions]
        print_table(["id", "parameters", "files", "description"], rows)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show all that is known of a model before it is loaded."""
    from penstock.model.catalog import find_configured
    from penstock.model.tuned import TunedModels
    from penstock.settings import load_settings

    tuned = TunedModels(load_settings().data_dir).find(name)
    description = describe(tuned or find_configured(name), _hub_access())
    if as_json:
        print_json(description)
    else:
        print_table(["", ""], [(key, _shown(value)) for key, value in description.items()])


@app.command()
def pull(name: Name) -> None:
    """Fetch a model's files from the Hugging Face hub; continues where it was stopped."""
    from penstock.model.catalog import find_configured
    from penstock.model.hub import DownloadProgress, download, local_folder

    entry, access = find_configured(name), _hub_access()
    if (folder := local_folder(entry, access)) is not None:
        tell(f"{entry.id} is on this machine already: {folder}")
        return
    tell(f"Fetching {entry.id} from {access.endpoint}/{entry.hub_id}")
    with progress_bar(entry.id) as advance:

        def report(progress: DownloadProgress) -> None:
            advance(progress.num_bytes, progress.total_bytes, pace(progress))

        folder = download(entry, report, access)
    tell(f"{entry.id} is complete: {folder}")


def pace(progress: "DownloadProgress") -> str:
    """How fast it goes and how long it still takes, in the words of the terminal."""
    if progress.seconds_left is None:
        return "waiting"
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{progress.bytes_per_second / 1e6:.1f} MB/s, {left} left"


@app.command()
def remove(name: Name) -> None:
    """Remove a model's files that were fetched; those of the package and your own stay."""
    from penstock.model.catalog import find_configured
    from penstock.model.hub import remove_download

    entry = find_configured(name)
    num_bytes = remove_download(entry, _hub_access())
    tell(f"{entry.id} is removed: {num_bytes / 1e6:,.0f} MB are free again.")


def describe(entry: "CatalogEntry", access: "HubAccess") -> dict[str, Any]:
    """What is known of a model, in the words of `GET /models`."""
    from dataclasses import asdict

    from penstock.model.hub import local_folder
    from penstock.settings import load_settings

    folder = local_folder(entry, access)
    known = asdict(entry)
    for internal in ("stored_bytes", "revision", "folder"):
        del known[internal]
    return known | {
        "disk_bytes": entry.disk_bytes,
        "memory_bytes": entry.memory_bytes(load_settings().engine.dtype),
        "local": folder is not None,
        "folder": None if folder is None else str(folder),
    }


def _hub_access() -> "HubAccess":
    from penstock.model.hub_cache import hub_access
    from penstock.settings import load_settings

    settings = load_settings()
    return hub_access(data_dir=settings.data_dir, token=settings.hub_token)


def _millions(description: dict[str, Any]) -> str:
    count = description["num_parameters"]
    return "" if count is None else f"{count / 1e6:,.0f} M"


def _place(description: dict[str, Any]) -> str:
    if description["builtin"]:
        return "built in"
    if description["local"]:
        return "here"
    return "on the hub"


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(str, value)) or "-"
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)
