"""A prepared folder with its tokenizer, to be used by any number of runs."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from penstock.errors import InvalidParameter, RecipeError
from penstock.model.folder import read_config
from penstock.text.tokenizer_files import has_tokenizer, read_tokenizer
from penstock.training.corpus import MAX_LEARNT_TEXTS, copy_tokenizer
from penstock.training.data_report import DataReport
from penstock.training.encoding import read_encoder
from penstock.training.named_data import Loader, validation_source
from penstock.training.prepared import is_prepared
from penstock.training.preparing import Preparation, Watcher, plain_texts, prepare
from penstock.training.recipe import DataSource
from penstock.training.tokenizer import learn_tokenizer, save_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is prepared, and for which model or tokenizer; without either, one is learnt."""

    source: DataSource
    model: Path | None
    tokenizer: Path | None
    vocab_size: int
    block_size: int
    fraction: float


def prepare_folder(
    wanted: Wanted, out: Path, *, watch: Watcher = lambda _: None, load: Loader | None = None
) -> DataReport:
    """Write the folder and return the report; `load` stands in for `datasets.load_dataset`."""
    if wanted.model is not None and wanted.tokenizer is not None:
        raise InvalidParameter(
            "--model and --tokenizer exclude each other.", "Give one of them.", param="tokenizer"
        )
    if out.exists() and any(out.iterdir()) and not is_prepared(out):
        raise InvalidParameter(
            f"{out} holds something else than prepared data.", "Name a new folder.", param="out"
        )
    out.mkdir(parents=True, exist_ok=True)
    _provide_tokenizer(wanted, out, load)
    is_encoder_decoder = wanted.model is not None and _is_encoder_decoder(wanted.model)
    encoder = read_encoder(
        wanted.model or out, max_length=wanted.block_size, is_encoder_decoder=is_encoder_decoder
    )
    preparation = Preparation(
        source=wanted.source,
        encoder=encoder,
        fraction=wanted.fraction,
        validation=validation_source(wanted.source),
        load=load,
        watch=watch,
    )
    return prepare(preparation, out)


def _provide_tokenizer(wanted: Wanted, out: Path, load: Loader | None) -> None:
    given = wanted.model or wanted.tokenizer
    if given is None:
        texts = islice(plain_texts(wanted.source, load), MAX_LEARNT_TEXTS)
        save_tokenizer(learn_tokenizer(texts, wanted.vocab_size), out, wanted.block_size)
        return
    if not has_tokenizer(given):
        raise RecipeError(
            f"There is no tokenizer at {given}.", "Give a folder with its tokenizer.json."
        )
    copy_tokenizer(given, out)
    if not (out / "tokenizer.json").is_file():
        read_tokenizer(given).save(str(out / "tokenizer.json"))


def _is_encoder_decoder(folder: Path) -> bool:
    return read_config(folder).get("is_encoder_decoder") is True
