"""Embeds texts: the mean of their final hidden states, of length 1.

What every dialect's embeddings are made of. The engine refuses models that do not tell their
hidden states. Knows no wire format.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.api.openai.generating import BuildRequest, start
from penstock.api.services import Services
from penstock.serving.models import ServedModel
from penstock.types import GenerationRequest, PromptEmbedded, RequestFinished

NUM_SIDE_BY_SIDE = 16
Prompt = str | tuple[int, ...]
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A vector for each text, in order, and how many tokens they had together."""

    vectors: tuple[Vector, ...]
    num_tokens: int


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """What an embedding is told beside its texts."""

    request_id: str
    adapter: str | None = None
    keep_alive_seconds: float | None = None


async def embed(
    services: Services, model: str, prompts: Sequence[Prompt], options: EmbeddingOptions
) -> Embedded:
    """Embed every prompt, a few at a time. Raises what any of them is refused for."""
    vectors: dict[int, Vector] = {}
    num_tokens = 0
    most = min(NUM_SIDE_BY_SIDE, services.admission.max_in_flight)
    for first in range(0, len(prompts), most):
        window = prompts[first : first + most]
        builds = [_build(options, first + i, prompt) for i, prompt in enumerate(window)]
        ticket = services.admission.enter(len(window))
        generations = await start(
            services, model, ticket, builds, keep_alive_seconds=options.keep_alive_seconds
        )
        try:
            async for batch in generations.outputs():
                for number, output in batch:
                    if isinstance(output, PromptEmbedded):
                        vectors[first + number] = normalised(output.values)
                    elif isinstance(output, RequestFinished):
                        num_tokens += output.num_prompt_tokens
        finally:
            generations.close()
    return Embedded(
        vectors=tuple(vectors[number] for number in range(len(prompts))), num_tokens=num_tokens
    )


def normalised(vector: Sequence[float]) -> Vector:
    """The vector with length 1; one without length stays as it is."""
    length = math.hypot(*vector)
    return tuple(value / length for value in vector) if length else tuple(vector)


def _build(options: EmbeddingOptions, number: int, prompt: Prompt) -> BuildRequest:
    def build(model: ServedModel) -> GenerationRequest:
        return GenerationRequest(
            request_id=f"{options.request_id}-{number}",
            prompt=prompt,
            model=model.id,
            strategy="greedy",
            max_new_tokens=0,
            max_length=model.context_length,
            embed=True,
            adapter=options.adapter,
        )

    return build
