"""From JSONL files to token arrays: clean, drop doubles, hold some out, tokenize, cache.

Knows nothing of batches or models.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from penstock.errors import RecipeError
from penstock.training.cleaning import clean_document, is_english
from penstock.training.recipe import DataSource, Recipe
from penstock.training.tokenizer import END_OF_TEXT, learn_tokenizer, save_tokenizer

MIN_WORDS = 40
CLEANING_VERSION = 1

Tokens = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedSource:
    """One source's training documents as token ids; each ends with the end-of-text token."""

    tokens: Tokens
    ends: NDArray[np.int64]  # (documents,) one past the last token of each
    num_words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The sources of a run, in the recipe's order, and the documents held out from all of them."""

    sources: tuple[TokenizedSource, ...]
    validation: TokenizedSource
    tokenizer: Tokenizer


def prepare_corpus(recipe: Recipe) -> Corpus:
    """Return the run's corpus, from the cache in its folder when nothing it depends on changed."""
    folder = recipe.output_dir / "corpus"
    fingerprint = _fingerprint(recipe)
    marker = folder / "fingerprint.json"
    if not marker.is_file() or json.loads(marker.read_text(encoding="utf-8")) != fingerprint:
        _build(recipe, folder)
        marker.write_text(json.dumps(fingerprint), encoding="utf-8")
    return Corpus(
        sources=tuple(_load(folder / f"source{i}.npz") for i in range(len(recipe.data))),
        validation=_load(folder / "validation.npz"),
        tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")),
    )


def read_documents(source: DataSource) -> Iterator[str]:
    """Yield the cleaned documents of a JSONL file that are English and long enough to matter."""
    with source.path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            text = json.loads(line).get(source.text_key)
            if not isinstance(text, str):
                raise RecipeError(
                    f"{source.path}, line {number}, has no text under {source.text_key!r}.",
                    "Set text_key to the field that holds the text.",
                    param="data.text_key",
                )
            cleaned = clean_document(text)
            if len(cleaned.split()) >= MIN_WORDS and is_english(cleaned):
                yield cleaned


def without_doubles(documents: Iterator[str], seen: set[bytes]) -> Iterator[str]:
    """Yield documents of which less than half was seen before; doubled paragraphs are left out.

    Short paragraphs ("Yes," he said.) repeat in any story and are not counted.
    """
    for document in documents:
        paragraphs = document.split("\n\n")
        keys = [_paragraph_key(p) if len(p) > 60 else None for p in paragraphs]
        long_keys = [key for key in keys if key]
        if long_keys and sum(key in seen for key in long_keys) * 2 >= len(long_keys):
            continue
        yield "\n\n".join(p for p, k in zip(paragraphs, keys, strict=True) if k not in seen)
        seen.update(long_keys)


def is_held_out(document: str, fraction: float) -> bool:
    """Decide by the document's own hash, so that the split never moves."""
    digest = hashlib.sha256(document[:500].encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def _paragraph_key(paragraph: str) -> bytes:
    letters = "".join(c for c in paragraph.lower() if c.isalpha())
    return hashlib.sha256(letters.encode()).digest()[:12]


def _build(recipe: Recipe, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    texts = [list(without_doubles(read_documents(source), seen)) for source in recipe.data]
    training = [
        [t for t in source if not is_held_out(t, recipe.validation_fraction)] for source in texts
    ]
    held_out = [t for source in texts for t in source if is_held_out(t, recipe.validation_fraction)]
    if not all(training) or not held_out:
        raise RecipeError(
            "A data source has no usable documents, or none was held out for validation.",
            f"Give more text: documents of at least {MIN_WORDS} words of English prose.",
            param="data",
        )
    tokenizer = _tokenizer_for(recipe, (t for s in training for t in s))
    save_tokenizer(tokenizer, folder, recipe.model.n_positions)
    for number, source in enumerate(training):
        _save(folder / f"source{number}.npz", source, tokenizer)
    _save(folder / "validation.npz", held_out, tokenizer)


def _tokenizer_for(recipe: Recipe, texts: Iterator[str]) -> Tokenizer:
    if recipe.initial_model is None:
        return learn_tokenizer(texts, recipe.model.vocab_size)
    path = recipe.initial_model / "tokenizer.json"
    if not path.is_file():
        raise RecipeError(
            f"There is no tokenizer at {path}.",
            "Give the folder of a GPT-2 model with its tokenizer.json.",
            param="initial_model",
        )
    return Tokenizer.from_file(str(path))


def _save(path: Path, documents: list[str], tokenizer: Tokenizer) -> None:
    encodings = tokenizer.encode_batch([document + END_OF_TEXT for document in documents])
    np.savez(
        path,
        tokens=np.concatenate([np.asarray(e.ids, dtype=np.uint16) for e in encodings]),
        ends=np.cumsum([len(e.ids) for e in encodings], dtype=np.int64),
        num_words=np.int64(sum(len(d.split()) for d in documents)),
    )


def _load(path: Path) -> TokenizedSource:
    with np.load(path, allow_pickle=False) as arrays:
        return TokenizedSource(
            tokens=arrays["tokens"], ends=arrays["ends"], num_words=int(arrays["num_words"])
        )


def _fingerprint(recipe: Recipe) -> dict[str, object]:
    return {
        "cleaning": CLEANING_VERSION,
        "vocab_size": recipe.model.vocab_size,
        "initial_model": recipe.initial_model and str(recipe.initial_model.resolve()),
        "validation_fraction": recipe.validation_fraction,
        "sources": [[s.path.name, s.path.stat().st_size, s.text_key] for s in _existing(recipe)],
    }


def _existing(recipe: Recipe) -> tuple[DataSource, ...]:
    for source in recipe.data:
        if not source.path.is_file():
            raise RecipeError(
                f"There is no data file at {source.path}.", "Mend its path.", param="data.path"
            )
    return recipe.data
