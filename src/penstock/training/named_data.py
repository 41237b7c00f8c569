"""WikiText, OpenWebText and other data sets of the hub, through `datasets`, streamed.

Articles of WikiText, which come line by line, are put together again. Knows no tokens.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.errors import RecipeError
from penstock.training.recipe import DataSource
from penstock.training.rows import BadRow, Row, Rows

TITLE = re.compile(r" ?= (?!=)[^=].*[^=] = ?\n?")
Loader = Callable[..., Iterable[Mapping[str, Any]]]  # as `datasets.load_dataset`


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedData:
    """Where a data set that has a short name lies on the hub, and what it may be used for."""

    hub_id: str
    licence: str
    subset: str | None = None
    has_splits: bool = True
    are_lines: bool = False


NAMED = {
    "wikitext-2": NamedData(
        hub_id="Salesforce/wikitext",
        subset="wikitext-2-raw-v1",
        licence="CC BY-SA 4.0 and GFDL: credit Wikipedia's authors and share alike",
        are_lines=True,
    ),
    "wikitext-103": NamedData(
        hub_id="Salesforce/wikitext",
        subset="wikitext-103-raw-v1",
        licence="CC BY-SA 4.0 and GFDL: credit Wikipedia's authors and share alike",
        are_lines=True,
    ),
    "openwebtext": NamedData(
        hub_id="Skylion007/openwebtext",
        licence="the collection is CC0; the pages in it belong to their authors",
        has_splits=False,
    ),
}


def read_dataset(source: DataSource, load: Loader | None = None) -> Rows:
    """Yield the rows of a hub data set as they arrive."""
    named = named_data(source)
    rows = _open(named, source, load or _datasets_loader())
    texts = _articles(rows, source.text_key) if named.are_lines else rows
    for number, values in enumerate(texts, 1):
        place = f"{source.dataset}, row {number}"
        if not isinstance(values, Mapping):
            yield BadRow(place, f"is a {type(values).__name__}, not a row with columns")
            continue
        size = sum(len(v) for v in values.values() if isinstance(v, str))
        yield Row(place=place, values=values, num_bytes=size)


def named_data(source: DataSource) -> NamedData:
    """Return what is known of a data set; of an unknown one, only its id."""
    assert source.dataset is not None
    unknown = NamedData(hub_id=source.dataset, subset=source.subset, licence="unknown: look it up")
    return NAMED.get(source.dataset, unknown)


def validation_source(source: DataSource) -> DataSource | None:
    """The data set's own held-out split, where it is known to have one."""
    if source.dataset in NAMED and NAMED[source.dataset].has_splits and source.split == "train":
        return source.model_copy(update={"split": "validation", "max_rows": None})
    return None


def _open(named: NamedData, source: DataSource, load: Loader) -> Iterable[Mapping[str, Any]]:
    try:
        return load(named.hub_id, named.subset, split=source.split, streaming=True)
    except Exception as error:  # the library raises its own, the hub's and the network's
        raise RecipeError(
            f"The data set {named.hub_id} cannot be read ({_first_line(error)}).",
            "Check its name, subset and split, and that the hub can be reached; or download its "
            "files and give their folder as `path`.",
            param="data.dataset",
        ) from error


def _datasets_loader() -> Loader:
    try:
        from datasets import load_dataset
    except ImportError:
        raise RecipeError(
            "Data sets of the hub need the package datasets.",
            'Install it: pip install "penstock[train]".',
            param="data.dataset",
        ) from None
    loader: Loader = load_dataset
    return loader


def _articles(
    lines: Iterable[Mapping[str, Any]], text_key: str
) -> Iterator[Mapping[str, Any] | Any]:
    """Join the lines of each article; one begins at a title between single equals signs."""
    article: list[str] = []
    for line in lines:
        text = line.get(text_key)
        if not isinstance(text, str):
            yield line
            continue
        if TITLE.fullmatch(text) and article:
            yield {text_key: "".join(article)}
            article = []
        article.append(text)
    if article:
        yield {text_key: "".join(article)}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
