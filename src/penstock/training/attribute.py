"""Trains an attribute: a logistic regression that recognises it in texts that are not finished."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from penstock.errors import RecipeError
from penstock.model.attributes import Attribute

LONGEST = 512  # tokens of a text that count
NUM_EPOCHS = 12
BATCH_SIZE = 32  # texts
LEARNING_RATE = 0.05
WEIGHT_DECAY = 1e-3
HELD_OUT = 10  # every so manieth text is not learnt from


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text in tokens, and whether it has the attribute."""

    token_ids: tuple[int, ...]
    label: bool


@dataclass(frozen=True, slots=True)
class Trained:
    """An attribute and how often it is right on whole texts that it did not learn from."""

    attribute: Attribute
    accuracy: float
    num_texts: int


def read_labelled(path: Path) -> Iterator[tuple[str, bool]]:
    """Texts with labels from JSON lines: {"text": "...", "label": true}."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path} cannot be read: {error}.", "Give a file of JSON lines."
        ) from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _labelled(path, number, line)


def _labelled(path: Path, number: int, line: str) -> tuple[str, bool]:
    try:
        found = json.loads(line)
        text, label = found["text"], found["label"]
    except (json.JSONDecodeError, KeyError, TypeError):
        text = label = None
    if not isinstance(text, str) or not isinstance(label, bool):
        raise RecipeError(
            f"Line {number} of {path} is no labelled text.",
            'Write {"text": "...", "label": true} or false in each line.',
        )
    return text, label


def train_attribute(name: str, texts: Sequence[Labelled], *, vocab_size: int) -> Trained:
    """Fit the log-odds of every beginning of every text; the same texts give the same attribute.

    Tokens that no text has weigh nothing.
    """
    shuffled = [text for text in texts if text.token_ids]
    random.Random(0).shuffle(shuffled)  # noqa: S311  (no secret)
    held_out, learnt = shuffled[::HELD_OUT], [t for i, t in enumerate(shuffled) if i % HELD_OUT]
    for kind, some in (("to learn from", learnt), ("to test with", held_out)):
        if {text.label for text in some} != {False, True}:
            raise RecipeError(
                f"Of {len(texts)} texts, those {kind} are not of both labels.",
                "Give more texts of both labels, twenty of each at least.",
            )
    weights = torch.zeros(vocab_size, requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], lr=LEARNING_RATE)
    for _ in range(NUM_EPOCHS):
        for start in range(0, len(learnt), BATCH_SIZE):
            optimizer.zero_grad()
            loss = _loss(weights, bias, learnt[start : start + BATCH_SIZE])
            (loss + WEIGHT_DECAY * weights.square().sum()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    attribute = Attribute(name, weights.detach(), float(bias.detach()))
    num_right = sum((log_odds(attribute, t.token_ids) > 0) == t.label for t in held_out)
    return Trained(attribute, num_right / len(held_out), len(shuffled))


def log_odds(attribute: Attribute, token_ids: Sequence[int]) -> float:
    """Of the attribute in a text."""
    return attribute.bias + float(attribute.weights[list(token_ids)].sum())


def _loss(weights: Tensor, bias: Tensor, texts: Sequence[Labelled]) -> Tensor:
    """The mean cross-entropy over all beginnings; each text counts alike, however long it is."""
    lengths = [min(len(text.token_ids), LONGEST) for text in texts]
    longest = max(lengths)
    padded = [
        [*text.token_ids[:length], *[0] * (longest - length)]
        for text, length in zip(texts, lengths, strict=True)
    ]
    odds = bias + weights[torch.tensor(padded)].cumsum(dim=1)  # (num_texts, longest)
    target = torch.tensor([[float(text.label)] for text in texts]).expand_as(odds)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(odds, target, reduction="none")
    sizes = torch.tensor(lengths)[:, None]
    is_text = torch.arange(longest) < sizes
    return ((losses * is_text) / sizes).sum() / len(texts)
