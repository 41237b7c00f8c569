"""`penstock data`: texts to train on. Knows flags and progress; the work is in `training`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock.cli.terminal import print_json, progress_bar, tell

if TYPE_CHECKING:
    from penstock.training.recipe import DataSource
    from penstock.training.synthesis import Written

TELL_EVERY = 200  # documents
TELL_SECONDS = 0.1

Format = Literal["auto", "text", "chat", "prompt_completion"]

app = typer.Typer(help="Prepare and make texts to train on.", rich_markup_mode=None)


@app.command()
def prepare(  # noqa: PLR0913  (its options are its interface)
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="File or folder (text, JSONL, CSV, Parquet), or wikitext-2, wikitext-103, "
            "openwebtext, or a hub id.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    *,
    model: Annotated[
        Path | None, typer.Option(help="Model folder whose tokenizer and template are used.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Tokenizer folder; else one is learnt from the source.")
    ] = None,
    vocab_size: Annotated[int, typer.Option(min=257, help="Of a tokenizer that is learnt.")] = 4096,
    block_size: Annotated[int, typer.Option(min=2, help="Longer examples are cut.")] = 128,
    data_format: Annotated[Format, typer.Option("--format", help="By the columns.")] = "auto",
    text_key: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    messages_key: Annotated[str, typer.Option(help="Column of the conversation.")] = "messages",
    prompt_key: Annotated[str, typer.Option(help="Column of the prompt.")] = "prompt",
    completion_key: Annotated[str, typer.Option(help="Column of the answer.")] = "completion",
    subset: Annotated[str | None, typer.Option(help="Part of a hub data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of a hub data set.")] = "train",
    encoding: Annotated[str, typer.Option(help="Of text and CSV files.")] = "utf-8",
    validation_fraction: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Share that is held out.")
    ] = 0.01,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Read no more rows.")] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be used.")
    ] = False,
    licence: Annotated[str | None, typer.Option(help="Noted in the report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn SOURCE into token files in the folder OUT and report on them.

    For example: penstock data prepare wikitext-2 prepared/wikitext-2 --model path/to/gpt2
    """
    from penstock.training.prepare_folder import Wanted, prepare_folder
    from penstock.training.recipe import DataSource

    is_here = Path(source).exists() or source.startswith((".", "/", "~"))
    described = DataSource(
        path=Path(source).expanduser().resolve() if is_here else None,
        dataset=None if is_here else source,
        subset=subset,
        split=split,
        format=data_format,
        text_key=text_key,
        messages_key=messages_key,
        prompt_key=prompt_key,
        completion_key=completion_key,
        encoding=encoding,
        max_rows=max_rows,
        bad_rows="skip" if skip_bad_rows else "stop",
        licence=licence,
    )
    wanted = Wanted(
        source=described,
        model=model,
        tokenizer=tokenizer,
        vocab_size=vocab_size,
        block_size=block_size,
        fraction=validation_fraction,
    )
    with progress_bar("Preparing") as show:
        report = prepare_folder(wanted, out, watch=_watcher(described, show))
    if as_json:
        print_json(report.as_dict())
    else:
        print("\n".join(["Data report", *report.lines()]))
    tell(f"{out} is ready: give it as the path of a source under `data:` in a recipe.")


@app.command()
def tokenizer(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder of texts.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    *,
    vocab_size: Annotated[int, typer.Option(min=257, help="Tokens to learn.")] = 4096,
    max_length: Annotated[int, typer.Option(min=1, help="Longest text of its model.")] = 512,
) -> None:
    """Learn a byte-level BPE tokenizer from SOURCE and write it to the folder OUT."""
    from penstock.training.preparing import plain_texts
    from penstock.training.recipe import DataSource
    from penstock.training.tokenizer import learn_tokenizer, save_tokenizer

    learnt = learn_tokenizer(plain_texts(DataSource(path=source.resolve())), vocab_size)
    save_tokenizer(learnt, out, max_length)
    tell(f"{out} holds a tokenizer of {learnt.get_vocab_size():,} tokens.")


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
    from penstock.api.building import loading_options
    from penstock.serving.local_models import LocalModels
    from penstock.settings import load_settings
    from penstock.training.prose import read_documents
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


def _watcher(source: "DataSource", show: Callable[[int, int, str], None]) -> Callable[[int], None]:
    """Shows how much of a source was read, at most ten times a second."""
    from penstock.training.rows import files_of

    total = sum(p.stat().st_size for p in files_of(source.path)) if source.path else 0
    start = last = time.monotonic()

    def watch(num_bytes: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > TELL_SECONDS:
            last = now
            show(num_bytes, max(total, num_bytes), f"{num_bytes / (now - start) / 1e6:.1f} MB/s")

    return watch


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
