"""How much a request may read and write, decided from its limits and the model's context."""

from penstock.errors import InvalidParameter, PromptTooLong
from penstock.types import GenerationRequest


def room_after_prompt(request: GenerationRequest, num_prompt: int, context_length: int) -> int:
    """How many tokens may follow the prompt; `max_new_tokens` wins over `max_length`."""
    name, total = _wanted(request, num_prompt)
    most = context_length if request.max_new_tokens == 0 else context_length - 1
    if num_prompt > most:
        raise _too_long(request, num_prompt, context_length, most)
    if total > context_length:
        room = context_length - num_prompt
        best = room if name == "max_new_tokens" else context_length
        raise PromptTooLong(
            f"{num_prompt} prompt tokens and {name}={getattr(request, name)} do not fit the "
            f"context of {request.model}, {context_length} tokens.",
            f"Set {name} to {best} or less.",
            param=name,
        )
    if name == "max_length" and total <= num_prompt:
        raise PromptTooLong(
            f"The prompt has {num_prompt} tokens and max_length={request.max_length} counts them, "
            "so nothing can be written.",
            f"Set max_length to more than {num_prompt}, or use max_new_tokens.",
            param="max_length",
        )
    return total - num_prompt


def room_beside_source(request: GenerationRequest, num_prompt: int, context_length: int) -> int:
    """How many tokens an encoder-decoder may write: the prompt takes no room from them.

    As in transformers, `max_length` counts the token that its text starts from.
    """
    if num_prompt > context_length:
        raise _too_long(request, num_prompt, context_length, context_length)
    num_before = 1 + len(request.prefix)
    name, total = _wanted(request, num_before)
    if total > context_length:
        best = context_length - num_before if name == "max_new_tokens" else context_length
        raise InvalidParameter(
            f"{name}={getattr(request, name)} is more than {request.model} writes: with its start "
            f"a text has at most {context_length} tokens.",
            f"Set {name} to {best} or less.",
            param=name,
        )
    if name == "max_length" and total <= num_before:
        raise InvalidParameter(
            f"max_length={total} leaves room only for the token that every text starts from"
            f"{' and its prefix' if request.prefix else ''}.",
            f"Set max_length to {num_before + 1} or more, or use max_new_tokens.",
            param="max_length",
        )
    return total - num_before


def _wanted(request: GenerationRequest, num_before: int) -> tuple[str, int]:
    """The limit that counts, and how long the whole may get after `num_before` tokens."""
    if request.max_new_tokens is None:
        return "max_length", request.max_length
    return "max_new_tokens", num_before + request.max_new_tokens


def _too_long(
    request: GenerationRequest, num_prompt: int, context_length: int, most: int
) -> PromptTooLong:
    return PromptTooLong(
        f"The prompt has {num_prompt} tokens; the context of {request.model} is {context_length}.",
        f"Shorten the prompt by at least {num_prompt - most} tokens.",
        param="prompt",
    )
