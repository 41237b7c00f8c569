"""`penstock attributes`: which attributes texts can be led to, and training one."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.terminal import print_json, print_table, tell

app = typer.Typer(help="List and train what texts can be led to.", rich_markup_mode=None)


@app.command("list")
def list_attributes(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the attributes in the data directory."""
    from penstock.model.attributes import AttributeFolder
    from penstock.settings import load_settings

    names = list(AttributeFolder(load_settings().data_dir).by_name())
    if as_json:
        print_json({"attributes": names})
    else:
        print_table(["name"], [(name,) for name in names])


@app.command()
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What requests call it.")],
    texts: Annotated[
        Path, typer.Argument(help='File with {"text": "...", "label": true} in each line.')
    ],
    model: Annotated[
        str | None, typer.Option(help="Model to lead; the default model if left out.")
    ] = None,
) -> None:
    """Train an attribute on labelled texts and keep it in the data directory."""
    from penstock.errors import ModelUnavailable
    from penstock.model.attributes import write_attribute
    from penstock.model.catalog import find_configured
    from penstock.model.hub import local_folder
    from penstock.model.hub_cache import hub_access
    from penstock.settings import load_settings
    from penstock.text.tokenizer import Tokenizer
    from penstock.training.attribute import Labelled, read_labelled, train_attribute

    settings = load_settings()
    entry = find_configured(model or settings.model)
    folder = local_folder(entry, hub_access(data_dir=settings.data_dir, token=settings.hub_token))
    if folder is None:
        raise ModelUnavailable(
            f"The files of {entry.id} are not on this machine.",
            f"Fetch them with `penstock models pull {entry.id}`.",
        )
    tokenizer = Tokenizer.from_folder(folder)
    labelled = [
        Labelled(tuple(tokenizer.encode_word(text)), label) for text, label in read_labelled(texts)
    ]
    trained = train_attribute(name, labelled, vocab_size=tokenizer.vocab_size)
    path = write_attribute(trained.attribute, tokenizer, settings.data_dir)
    tell(f"{path}: right on {trained.accuracy:.0%} of texts it did not learn from.")
