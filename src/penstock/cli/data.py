"""`penstock data`: texts to train on. Knows flags and progress; the work is in `training`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.terminal import tell

if TYPE_CHECKING:
    from penstock.training.synthesis import Written

TELL_EVERY = 200  # documents

app = typer.Typer(help="Make texts to train on.", rich_markup_mode=None)


@app.command()
def synthesize(  # noqa: PLR0913  (its options are its interface)
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model id, hub id or folder.")],
    out: Annotated[Path, typer.Argument(help="JSONL file to write; goes on where it ends.")],
    *,
    documents: Annotated[int, typer.Option(min=1, help="How many texts the file shall hold.")],
    openings: Annotated[
        Path | None,
        typer.Option(help="JSONL file of texts; every fourth document begins as a sentence there."),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Lower is plainer.")] = 0.8,
    top_p: Annotated[float, typer.Option(min=0, max=1, help="Lower is safer.")] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest document.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Document i is drawn with seed + i.")] = 0,
) -> None:
    """Have MODEL write texts that a smaller model can learn from, into the file OUT.

    For example: penstock data synthesize gpt2 stories.jsonl --documents 1000
    """
    from penstock.api.server import loading_options
    from penstock.serving.local_models import LocalModels
    from penstock.settings import load_settings
    from penstock.training.corpus import read_documents
    from penstock.training.recipe import DataSource
    from penstock.training.synthesis import Order, openings_of, synthesize
    from penstock.types import DecodingParams

    settings = load_settings({"model": model})
    source = LocalModels([settings.model], loading_options(settings))
    texts = [] if openings is None else list(read_documents(DataSource(path=openings)))
    order = Order(
        model_id=source.find(model).id,
        num_documents=documents,
        max_new_tokens=max_new_tokens,
        params=DecodingParams(temperature=temperature, top_p=top_p),
        openings=openings_of(texts),
        seed=seed,
    )
    synthesize(order, source.load(order.model_id).kit, out, _Pace(documents))
    tell(f"{out} holds {documents:,} documents.")


class _Pace:
    """Tells every so often how far it is, how fast, and how long it still takes."""

    def __init__(self, num_documents: int) -> None:
        self._num_documents = num_documents
        self._start = time.monotonic()

    def __call__(self, written: "Written") -> None:
        if written.num_documents % TELL_EVERY:
            return
        seconds = time.monotonic() - self._start
        num_missing = self._num_documents - written.num_documents
        minutes = seconds / written.num_new * num_missing / 60
        tell(
            f"{written.num_documents:,}/{self._num_documents:,} documents  "
            f"{written.num_tokens / seconds:,.0f} tokens/s  {minutes:.0f} min left"
        )
