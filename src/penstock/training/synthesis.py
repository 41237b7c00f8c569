"""Texts to train on, written by another model: a small model learns the language of a better one.

What sequence-level distillation (Kim & Rush 2016, arXiv:1606.07947) does for translations. The file
grows document by document; what is in it already is not written again.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from penstock.errors import RecipeError
from penstock.serving.engine_thread import EngineKit
from penstock.types import (
    DecodingParams,
    FinishReason,
    GenerationRequest,
    RequestFinished,
    SequenceFinished,
)

IN_FLIGHT = 128  # more than run at once, so that the engine is always full
OPENED_SHARE = 4  # one document in so many begins with an opening, the others with nothing
OPENING_WORDS = (2, 7)  # how many words of a sentence begin a document
SENTENCE_START = re.compile(r"(?:^|(?<=[.!?]\s)|(?<=\n))[A-Z][a-z']*(?:,? [A-Za-z'-]+)+")
SENTENCE_END = re.compile(r".*[.!?][\"'”’]?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be written. Document `i` depends on the seed and on `i`, on nothing else."""

    model_id: str
    num_documents: int
    max_new_tokens: int
    params: DecodingParams
    openings: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How far it is: documents in the file, how many of them are new, and the tokens of those."""

    num_documents: int
    num_new: int
    num_tokens: int


Watcher = Callable[[Written], None]  # told after every document; its exception stops the writing


def synthesize(order: Order, kit: EngineKit[Any], path: Path, watch: Watcher) -> None:
    """Write the documents that `path` does not hold yet, a JSON object per line."""
    present = numbers_in(path)
    missing = [number for number in range(order.num_documents) if number not in present]
    num_tokens = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for num_new, finished in enumerate(_finished(order, kit, missing), 1):
            file.write(json.dumps(_record(order, finished), ensure_ascii=False) + "\n")
            num_tokens += len(finished.token_ids)
            num_documents = len(present) + num_new
            watch(Written(num_documents=num_documents, num_new=num_new, num_tokens=num_tokens))


def numbers_in(path: Path) -> set[int]:
    """The documents that a file holds. A last line that was cut off is removed."""
    if not path.is_file():
        return set()
    whole, newline, _ = path.read_bytes().rpartition(b"\n")
    path.write_bytes(whole + newline)
    try:
        return {json.loads(line)["number"] for line in whole.splitlines()}
    except (ValueError, KeyError, TypeError):
        raise RecipeError(
            f"{path} holds something else than synthesized documents.",
            "Name another file, which will be made.",
            param="out",
        ) from None


def openings_of(texts: Sequence[str]) -> tuple[str, ...]:
    """The beginnings of sentences in the texts: two to seven words of each."""
    sentences = [match.group().split() for text in texts for match in SENTENCE_START.finditer(text)]
    draw = random.Random(0)  # noqa: S311  (no secret)
    fewest, most = OPENING_WORDS
    return tuple(" ".join(words[: draw.randint(fewest, most)]) for words in sentences)


def _finished(
    order: Order, kit: EngineKit[Any], numbers: Sequence[int]
) -> Iterator[SequenceFinished]:
    """The documents in the order in which they end."""
    engine = kit.make_engine()
    nothing = _nothing(kit)
    to_come = iter(numbers)
    num_open = 0
    while True:
        for number in islice(to_come, IN_FLIGHT - num_open):
            engine.add(kit.prepare(_request(order, number, nothing)))
            num_open += 1
        if not engine.has_work:
            return
        for output in engine.step():
            if isinstance(output, SequenceFinished):
                yield output
            num_open -= isinstance(output, RequestFinished)


def _nothing(kit: EngineKit[Any]) -> tuple[int, ...]:
    """The token that stands before a document without an opening."""
    tokenizer = kit.describe_tokenizer()
    mark = tokenizer.bos_token or tokenizer.eos_token or "\n"
    return kit.tokenize(mark, with_ends=False, with_specials=True).token_ids


def _request(order: Order, number: int, nothing: tuple[int, ...]) -> GenerationRequest:
    return GenerationRequest(
        request_id=str(number),
        prompt=_opening(order, number) or nothing,
        model=order.model_id,
        params=order.params,
        max_new_tokens=order.max_new_tokens,
        seed=order.seed + number,
    )


def _opening(order: Order, number: int) -> str:
    if number % OPENED_SHARE or not order.openings:
        return ""
    return random.Random(order.seed + number).choice(order.openings)  # noqa: S311  (no secret)


def _record(order: Order, finished: SequenceFinished) -> dict[str, Any]:
    number = int(finished.request_id)
    text = (_opening(order, number) + finished.text).strip()
    if finished.finish_reason is FinishReason.LENGTH:  # it stops in the middle of a sentence
        whole = SENTENCE_END.match(text)
        text = whole.group() if whole else text
    paragraphs = "\n\n".join(line for line in text.splitlines() if line.strip())
    return {"number": number, "source": order.model_id, "text": paragraphs}
