"""The text that a run did not learn, where it kept it: as rows of a file, or as token files.

Knows how training lays its tokens out, and nothing of what is done with the text.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from penstock.evaluation.examples import Example, Examples, read_examples
from penstock.registry.run_folder import Run
from penstock.text.json_object import read_json_object

ROWS = ("held_out.jsonl", "validation.jsonl")
CORPUS = "corpus"
INDEX, SPLIT, ARRAYS = "data.json", "validation", "validation.npz"
TOKENIZER = "tokenizer.json"


def held_out_rows(run: Run, folders: Sequence[Path]) -> Examples | None:
    """The rows that the run held out; tokens are read by the tokenizer in one of the folders."""
    for name in ROWS:
        if (run.folder / name).is_file():
            return read_examples(run.folder / name)
    corpus = run.folder / CORPUS
    places = [folder / TOKENIZER for folder in (*folders, corpus)]
    tokenizer = next((path for path in places if path.is_file()), None)
    if tokenizer is None or not corpus.is_dir():
        return None
    return _from_tokens(corpus, Tokenizer.from_file(str(tokenizer)))


def _from_tokens(corpus: Path, tokenizer: Any) -> Examples | None:
    rows: list[Example] = []
    for ids, counted in _documents(corpus):
        start = _start_of_answer(counted)
        answer = tokenizer.decode(ids[start:])
        prompt = tokenizer.decode(ids[:start])
        if answer.strip():
            row = len(rows) + 1
            given = Example(row=row, prompt=prompt, references=(answer,))
            rows.append(given if prompt.strip() else Example(row=row, text=answer))
    if not rows:
        return None
    told = "\n".join(f"{row.prompt}\0{row.text}{row.references}" for row in rows)
    digest = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
    return Examples(name="held out", digest=digest, rows=tuple(rows))


def _documents(corpus: Path) -> Iterator[tuple[list[int], list[bool] | None]]:
    """Each document's token ids, and which of them are an answer where not all are learnt."""
    arrays = corpus / ARRAYS
    if arrays.is_file():
        with np.load(arrays, allow_pickle=False) as found:
            yield from _cut(found["tokens"], found["ends"], None)
    for index in sorted(corpus.glob(f"*/{INDEX}")):
        folder, dtype = index.parent, np.dtype(read_json_object(index)["dtype"])
        counted = folder / f"{SPLIT}.counted"
        yield from _cut(
            np.fromfile(folder / f"{SPLIT}.tokens", dtype),
            np.fromfile(folder / f"{SPLIT}.ends", np.int64),
            np.fromfile(counted, np.bool_) if counted.is_file() else None,
        )


def _cut(
    tokens: NDArray[Any], ends: NDArray[np.int64], counted: NDArray[np.bool_] | None
) -> Iterator[tuple[list[int], list[bool] | None]]:
    start = 0
    for end in ends.tolist():
        yield tokens[start:end].tolist(), None if counted is None else counted[start:end].tolist()
        start = end


def _start_of_answer(counted: Sequence[bool] | None) -> int:
    """Where the last stretch of counted tokens begins: of a chat, the last answer."""
    if counted is None or True not in counted:
        return 0
    end = len(counted) - 1 - counted[::-1].index(True)
    return next((place + 1 for place in range(end, -1, -1) if not counted[place]), 0)
