"""What a model under training writes, to be looked at. Leaves the training's randomness alone."""

from typing import Any

import torch
from transformers import PreTrainedModel

from penstock.training.encoding import Encoder
from penstock.training.network import context_of


def prompt_ids(encoder: Encoder, prompt: str, data_format: str) -> list[int]:
    """Return the prompt as the data had prompts, so that the sample shows what was learnt."""
    if encoder.is_encoder_decoder:
        return [*encoder.texts([prompt])[0], encoder.eos_id]
    if data_format == "chat":
        if encoder.marker is not None:
            turns: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
            text = encoder.template.render(turns, add_generation_prompt=True)
            return encoder.marker.encode_marked(text)
        prompt = f"User: {prompt}\nAssistant:"
    beginning = list(encoder.begin_ids)
    if data_format == "text" and not beginning:
        beginning = [encoder.eos_id]  # which stands before every packed text but the first
    return [*beginning, *encoder.texts([prompt])[0]]


@torch.no_grad()
def write_sample(
    model: PreTrainedModel, ids: list[int], *, encoder: Encoder, tokens: int, seed: int
) -> str:
    """Return a nucleus-sampled continuation with its prompt, or an encoder-decoder's answer.

    It ends where the model has no more positions.
    """
    context = context_of(model.config)
    room = tokens if context is None else min(tokens, context - len(ids))
    if room < 1:
        text: str = encoder.tokenizer.decode(ids, skip_special_tokens=True)
        return text
    model.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        prompt = torch.tensor([ids])
        output = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=room,
            do_sample=True,
            temperature=0.8,
            top_p=0.95,
            top_k=0,
            pad_token_id=encoder.eos_id,
            eos_token_id=encoder.eos_id,
        )
    model.train()
    written: str = encoder.tokenizer.decode(output[0].tolist(), skip_special_tokens=True)
    return written
