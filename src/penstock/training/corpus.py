"""The data of a run: its sources as token files, prepared when something they depend on changed.

Knows nothing of batches or models.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from penstock.errors import RecipeError
from penstock.text.tokenizer_files import TOKENIZER_FILES, has_tokenizer, read_tokenizer
from penstock.tracking.durable import write_durably
from penstock.training.encoding import Encoder, make_encoder
from penstock.training.named_data import Loader, validation_source
from penstock.training.prepared import (
    TokenizedSource,
    is_prepared,
    open_split,
    read_index,
)
from penstock.training.preparing import Preparation, plain_texts, prepare, tokenizer_digest
from penstock.training.recipe import DataSource, Recipe
from penstock.training.tokenizer import learn_tokenizer, save_tokenizer

FORMAT_VERSION = 2
MAX_LEARNT_TEXTS = 200_000  # that a tokenizer learns from: more change nothing and take memory
COPIED = (
    *TOKENIZER_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The sources of a run, in the recipe's order, and the documents held out from all of them."""

    sources: tuple[TokenizedSource, ...]
    validation: TokenizedSource
    encoder: Encoder
    reports: tuple[dict[str, Any], ...]
    digest: str  # SHA-256 over all token files

    @property
    def tokenizer(self) -> tokenizers.Tokenizer:
        return self.encoder.tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The model that a run goes on from, as far as its data depend on it."""

    folder: Path
    is_encoder_decoder: bool


def prepare_corpus(recipe: Recipe, base: Base | None = None, load: Loader | None = None) -> Corpus:
    """Return the run's corpus, from the files in its folder when nothing it depends on changed.

    `load` stands in for `datasets.load_dataset`.
    """
    folder = recipe.run_dir / "corpus"
    marker = folder / "fingerprint.json"
    fingerprint = _fingerprint(recipe, base)
    if not marker.is_file() or marker.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        _build(recipe, base, folder, load)
        write_durably(marker, fingerprint)
    encoder = _encoder(recipe, base, folder)
    folders = [_folder_of(source, folder / f"source{i}") for i, source in enumerate(recipe.data)]
    indexes = [_checked_index(path, encoder) for path in folders]
    return Corpus(
        sources=tuple(open_split(path, "train") for path in folders),
        validation=_joined([open_split(path, "validation") for path in folders]),
        encoder=encoder,
        reports=tuple(index["report"] for index in indexes),
        digest=sha256("".join(index["digest"] for index in indexes).encode()).hexdigest(),
    )


def _build(recipe: Recipe, base: Base | None, folder: Path, load: Loader | None) -> None:
    folder.mkdir(parents=True)
    _provide_tokenizer(recipe, base, folder, load)
    encoder = _encoder(recipe, base, folder)
    seen: set[bytes] = set()
    for number, source in enumerate(recipe.data):
        if source.path is not None and is_prepared(source.path):
            continue
        held_out = recipe.validation if number == 0 else None
        preparation = Preparation(
            source=source,
            encoder=encoder,
            fraction=recipe.validation_fraction,
            validation=held_out or validation_source(source),
            load=load,
        )
        prepare(preparation, folder / f"source{number}", seen)


def _provide_tokenizer(
    recipe: Recipe, base: Base | None, folder: Path, load: Loader | None
) -> None:
    given = base.folder if base is not None else recipe.tokenizer
    if given is None:
        given = next((s.path for s in recipe.data if s.path and is_prepared(s.path)), None)
    if given is None:
        texts = islice(_all_texts(recipe, load), MAX_LEARNT_TEXTS)
        tokenizer = learn_tokenizer(texts, recipe.model.vocab_size)
        save_tokenizer(tokenizer, folder, recipe.model.n_positions)
        return
    if not has_tokenizer(given):
        raise RecipeError(
            f"There is no tokenizer at {given}.",
            "Give the folder of a model with its tokenizer.json.",
            param="initial_model" if base is not None else "tokenizer",
        )
    copy_tokenizer(given, folder)
    if not (folder / "tokenizer.json").is_file():
        read_tokenizer(given).save(str(folder / "tokenizer.json"))


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy all that describes a tokenizer from one model folder to another."""
    for name in COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _all_texts(recipe: Recipe, load: Loader | None) -> Iterator[str]:
    for source in recipe.data:
        yield from plain_texts(source, load)


def _encoder(recipe: Recipe, base: Base | None, folder: Path) -> Encoder:
    is_encoder_decoder = recipe.model.family == "t5" if base is None else base.is_encoder_decoder
    return make_encoder(
        read_tokenizer(folder),
        folder if base is None else base.folder,
        max_length=recipe.block_size,
        is_encoder_decoder=is_encoder_decoder,
    )


def _folder_of(source: DataSource, built: Path) -> Path:
    if source.path is not None and is_prepared(source.path):
        return source.path
    return built


def _checked_index(folder: Path, encoder: Encoder) -> dict[str, Any]:
    index = read_index(folder)
    if index["tokenizer"] != tokenizer_digest(encoder):
        raise RecipeError(
            f"{folder} was prepared with another tokenizer than the model's.",
            "Prepare it again with --model or --tokenizer set to this model's folder.",
            param="data.path",
        )
    if (index["kind"] == "pairs") != encoder.is_encoder_decoder and index["kind"] != "text":
        raise RecipeError(
            f"{folder} was prepared for another kind of model.",
            "Prepare it again with --model set to this model's folder.",
            param="data.path",
        )
    return index


def _joined(parts: list[TokenizedSource]) -> TokenizedSource:
    if len({part.kind for part in parts}) > 1:
        raise RecipeError(
            "Some sources are plain texts and others have answers to learn.",
            "Train on them one after the other, in two runs.",
            param="data",
        )
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0] + [len(part.tokens) for part in parts])
    counted = [part.counted for part in parts if part.counted is not None]
    return TokenizedSource(
        tokens=np.concatenate([part.tokens for part in parts]),
        ends=np.concatenate([p.ends + s for p, s in zip(parts, starts[:-1], strict=True)]),
        num_words=sum(part.num_words for part in parts),
        num_bytes=sum(part.num_bytes for part in parts),
        kind=parts[0].kind,
        counted=np.concatenate(counted) if counted else None,
    )


def _fingerprint(recipe: Recipe, base: Base | None) -> str:
    content = {
        "format": FORMAT_VERSION,
        "model": [recipe.model.vocab_size, recipe.model.family],
        "base": base and [str(base.folder), base.is_encoder_decoder],
        "tokenizer": str(recipe.tokenizer),
        "block_size": recipe.block_size,
        "validation_fraction": recipe.validation_fraction,
        "validation": recipe.validation and _stamp(recipe.validation),
        "sources": [_stamp(source) for source in recipe.data],
    }
    return json.dumps(content, indent=1)


def _stamp(source: DataSource) -> dict[str, Any]:
    stamp = source.model_dump(mode="json", exclude={"weight", "cooldown_weight"})
    if source.path is None:
        return stamp
    if not source.path.exists():
        raise RecipeError(
            f"There is no data file at {source.path}.", "Mend its path.", param="data.path"
        )
    files = [source.path] if source.path.is_file() else sorted(source.path.rglob("*"))
    return stamp | {"files": [[f.name, f.stat().st_size, f.stat().st_mtime] for f in files]}
