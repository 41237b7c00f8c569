"""Beam strategies the slow way: every beam is read anew at every step, over the whole vocabulary.

Written from the definitions, on transformers' model, sharing nothing with our strategies.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tests.tiny_gpt2 import EOS, TinyModel

Text = tuple[int, ...]
Scored = list[tuple[float, Text]]  # score, generated tokens; best first


@dataclass(kw_only=True)
class Rules:
    """How long a text may be and how texts of different lengths compare."""

    max_new_tokens: int
    length_penalty: float = 1.0
    early_stopping: bool = False

    def ends(self, text: Text) -> bool:
        return text[-1] == EOS or len(text) == self.max_new_tokens

    def normalised(self, score: float, text: Text) -> float:
        return score / len(text) ** self.length_penalty


@dataclass
class Group:
    """Some beams that compete only with each other."""

    size: int
    running: Scored = field(default_factory=lambda: [(0.0, ())])
    complete: Scored = field(default_factory=list)
    latest: list[int] = field(default_factory=list)  # tokens of the beams in the last step
    is_over: bool = False

    def step(self, ranked: Scored, rules: Rules) -> None:
        """Go on with `ranked`, all extensions in the order in which they are preferred."""
        ranked = ranked[: 2 * self.size]
        ended = [(s, t) for s, t in ranked[: self.size] if rules.ends(t)]
        self.complete += [(rules.normalised(s, t), t) for s, t in ended]
        self.complete = sorted(self.complete, key=lambda e: -e[0])[: self.size]
        going_on = sorted(((s, t) for s, t in ranked if t[-1] != EOS), key=lambda e: -e[0])
        self.latest = [text[-1] for _, text in going_on[: self.size]]
        running = [(s, t) for s, t in ranked if not rules.ends(t)]
        self.running = sorted(running, key=lambda e: -e[0])[: self.size]
        self.is_over = not self.running or (
            len(self.complete) == self.size
            and (rules.early_stopping or rules.normalised(*self.running[0]) <= self.complete[-1][0])
        )


def next_logprobs(tiny: TinyModel, prompt: Text, text: Text) -> Tensor:
    """The model's log-probabilities (vocab_size,) after the prompt and `text`."""
    return _all_next_logprobs(tiny, prompt, [text])[0]


def _all_next_logprobs(tiny: TinyModel, prompt: Text, texts: Sequence[Text]) -> Tensor:
    """The same after each of several texts of one length, (num_texts, vocab_size)."""
    with torch.inference_mode():
        logits = tiny.reference(torch.tensor([[*prompt, *text] for text in texts])).logits[:, -1]
    return logits.log_softmax(dim=-1)


Rank = Callable[[Group, Sequence[int]], Scored]


def grow(groups: Sequence[Group], rank: Rank, rules: Rules, num_texts: int) -> list[list[int]]:
    """The best texts when `rank` orders a group's extensions, given what earlier groups chose."""
    while not all(group.is_over for group in groups):
        chosen: list[int] = []
        for group in groups:
            if not group.is_over:
                group.step(rank(group, chosen), rules)
                chosen += group.latest
    complete = sorted((e for g in groups for e in g.complete), key=lambda e: -e[0])
    return [list(text) for _, text in complete[:num_texts]]


def extensions(tiny: TinyModel, prompt: Text, group: Group) -> Scored:
    """Every beam of the group with every possible token, in no particular order."""
    texts = [text for _, text in group.running]
    rows = _all_next_logprobs(tiny, prompt, texts).tolist()
    return [
        (score + logprob, (*text, token_id))
        for (score, text), row in zip(group.running, rows, strict=True)
        for token_id, logprob in enumerate(row)
        if logprob > -math.inf
    ]
