"""How well a model foretells held-out text, per token and per word. Knows no training."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from penstock.training.corpus import TokenizedSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Total surprise over a text, and the two units it is divided by."""

    nats: float
    num_tokens: int
    num_words: int

    @property
    def perplexity_per_token(self) -> float:
        return math.exp(self.nats / self.num_tokens)

    @property
    def perplexity_per_word(self) -> float:
        return math.exp(self.nats / self.num_words)


@torch.no_grad()
def score_documents(model: nn.Module, source: TokenizedSource, *, context: int) -> Score:
    """Score each document by itself in windows of `context` tokens that do not overlap.

    A document begins after an end-of-text token and its own end-of-text token counts.
    """
    model.eval()
    nats, start = 0.0, 0
    for end in source.ends.tolist():
        document = torch.from_numpy(source.tokens[start:end].astype("int64"))
        ids = torch.cat([document[-1:], document])
        for first in range(0, len(document), context):
            window = ids[first : first + context + 1]
            logits = model(input_ids=window[None, :-1], use_cache=False).logits[0]
            nats += float(functional.cross_entropy(logits, window[1:], reduction="sum"))
        start = end
    return Score(nats=nats, num_tokens=len(source.tokens), num_words=source.num_words)
