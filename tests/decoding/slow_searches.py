"""Contrastive search and DoLa the slow way: the whole text is read anew for every token.

Written from the definitions, on transformers' model, sharing nothing with our strategies.
"""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, kl_div

from tests.tiny_gpt2 import EOS, TinyModel

LENGTH = 14  # of what is written, unless it ends before


def contrastive_search(
    tiny: TinyModel, prompt: tuple[int, ...], top_k: int, alpha: float
) -> list[int]:
    """Su et al. 2022, equation 5: each candidate is read anew, with all that comes before it."""
    text = list(prompt)
    while len(text) < len(prompt) + LENGTH and EOS not in text[len(prompt) :]:
        with torch.inference_mode():
            likeliest = tiny.reference(torch.tensor([text])).logits[0, -1].softmax(-1).topk(top_k)
            worth = []
            for token_id, probability in zip(likeliest.indices, likeliest.values, strict=True):
                tried = torch.tensor([[*text, token_id]])
                hidden = tiny.reference(tried, output_hidden_states=True).hidden_states[-1][0]
                likeness = cosine_similarity(hidden[:-1], hidden[-1:], dim=-1).max()
                worth.append(float((1 - alpha) * probability - alpha * likeness))
        text.append(int(likeliest.indices[worth.index(max(worth))]))
    return text[len(prompt) :]


def contrast(last: Tensor, early: list[Tensor]) -> Tensor:
    """The authors' rule for logits (vocab_size,), step by step as they published it."""
    divergences = []
    for logits in early:
        mean = (last.softmax(-1) + logits.softmax(-1)) / 2
        apart = kl_div(last.log_softmax(-1), mean, reduction="none").mean(-1)
        apart += kl_div(logits.log_softmax(-1), mean, reduction="none").mean(-1)
        divergences.append(float(apart / 2))
    base = early[divergences.index(max(divergences))].log_softmax(-1)
    likely = last.log_softmax(-1)
    floor = likely.max() + torch.tensor(0.1).log()
    return torch.where(likely < floor, float("-inf"), likely - base)


def dola(tiny: TinyModel, prompt: tuple[int, ...], layers: tuple[int, ...]) -> list[int]:
    text = list(prompt)
    while len(text) < len(prompt) + LENGTH and EOS not in text[len(prompt) :]:
        with torch.inference_mode():
            output = tiny.reference(torch.tensor([text]), output_hidden_states=True)
            early = [tiny.reference.lm_head(output.hidden_states[i][0, -1]) for i in layers]
        text.append(int(contrast(output.logits[0, -1], early).argmax()))
    return text[len(prompt) :]
