"""Documents of plain English prose out of JSONL files of books and magazines, each once.

Knows nothing of tokens.
"""

import hashlib
import json
from collections.abc import Iterator

from penstock.errors import RecipeError
from penstock.training.cleaning import clean_document, is_english
from penstock.training.recipe import DataSource
from penstock.training.rows import Row, Rows

MIN_WORDS = 40


def prose_rows(source: DataSource, seen: set[bytes]) -> Rows:
    """Yield the source's cleaned documents of which less than half is in `seen`."""
    documents = without_doubles(read_documents(source), seen)
    for number, document in enumerate(documents, 1):
        yield Row(
            place=f"{source.label}, document {number}",
            values={source.text_key: document},
            num_bytes=len(document),
        )


def read_documents(source: DataSource) -> Iterator[str]:
    """Yield the cleaned documents of a JSONL file that are English and long enough to matter."""
    if source.path is None or not source.path.is_file():
        raise RecipeError(
            f"There is no data file at {source.label}.", "Mend its path.", param="data.path"
        )
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


def _paragraph_key(paragraph: str) -> bytes:
    letters = "".join(c for c in paragraph.lower() if c.isalpha())
    return hashlib.sha256(letters.encode()).digest()[:12]
