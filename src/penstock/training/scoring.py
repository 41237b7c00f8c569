"""How well a model foretells held-out text, per token and per word. Knows no training."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from penstock.training.batches import collate, example_of
from penstock.training.network import loss_sum
from penstock.training.prepared import TokenizedSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Total surprise over a text, and the units it is divided by."""

    nats: float
    num_tokens: int
    num_words: int

    @property
    def perplexity_per_token(self) -> float:
        return math.exp(self.nats / self.num_tokens)

    @property
    def perplexity_per_word(self) -> float:
        return math.exp(min(700.0, self.nats / max(1, self.num_words)))


def score_held_out(
    model: nn.Module, source: TokenizedSource, *, context: int, eos_id: int, pad_id: int
) -> Score:
    """Score what is held out: documents, or the answers of examples."""
    if source.kind == "text":
        return score_documents(model, source, context=context, eos_id=eos_id)
    return _score_examples(model, source, pad_id)


@torch.no_grad()
def score_documents(
    model: nn.Module, source: TokenizedSource, *, context: int, eos_id: int = 0
) -> Score:
    """Score each document by itself in windows of `context` tokens that do not overlap.

    A document begins after an end-of-text token and its own end-of-text token counts.
    """
    model.eval()
    nats, start = 0.0, 0
    for end in source.ends.tolist():
        document = torch.from_numpy(source.tokens[start:end].astype("int64"))
        ids = torch.cat([torch.tensor([eos_id]), document])
        for first in range(0, len(document), context):
            window = ids[first : first + context + 1]
            logits = model(input_ids=window[None, :-1], use_cache=False).logits[0]
            nats += float(functional.cross_entropy(logits, window[1:], reduction="sum"))
        start = end
    return Score(nats=nats, num_tokens=len(source.tokens), num_words=source.num_words)


@torch.no_grad()
def _score_examples(model: nn.Module, source: TokenizedSource, pad_id: int) -> Score:
    model.eval()
    nats, num_counted = 0.0, 0
    for number in range(len(source.ends)):
        batch = collate([example_of(source, number)], pad_id)
        nats += float(loss_sum(model, batch))
        num_counted += batch.num_counted
    return Score(nats=nats, num_tokens=num_counted, num_words=source.num_words)
