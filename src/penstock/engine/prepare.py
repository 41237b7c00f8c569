"""From a request to what the engine can run: tokens, limits and a seed, all decided and checked.

Touches no engine state, so it runs on any thread.
"""

import secrets
from dataclasses import dataclass, replace

from penstock.decoding.stopping import Stopping
from penstock.decoding.strategies import STRATEGIES
from penstock.engine.wording import in_token_ids
from penstock.errors import InvalidParameter, PromptTooLong
from penstock.model.loading import LoadedModel
from penstock.types import GenerationRequest

NEW_SEED_BITS = 53  # so that a seed survives JSON numbers
MAX_CHARACTERS_PER_TOKEN = 64  # a longer text cannot fit, and is refused before it is tokenized


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A request with nothing left open."""

    request: GenerationRequest
    prompt_token_ids: tuple[int, ...]
    stopping: Stopping
    seed: int

    @property
    def max_live_sequences(self) -> int:
        """How many sequences may be alive at once."""
        request = self.request
        strategy = STRATEGIES[request.strategy]
        return strategy.max_live_sequences(request.params, request.num_sequences)


def prepare(request: GenerationRequest, model: LoadedModel) -> PreparedRequest:
    """Tokenize the prompt and settle every limit, or say what does not fit."""
    _check_strategy(request)
    token_ids = _prompt_token_ids(request, model)
    max_new_tokens = _max_new_tokens(request, len(token_ids), model.context_length)
    if request.min_new_tokens > max_new_tokens:
        raise InvalidParameter(
            f"min_new_tokens={request.min_new_tokens} is more than the {max_new_tokens} tokens "
            "that may be written.",
            f"Use {max_new_tokens} or less.",
            param="min_new_tokens",
        )
    stopping = Stopping(
        max_new_tokens=max_new_tokens,
        eos_token_ids=model.tokenizer.eos_token_ids,
        stop=tuple(text.encode() for text in request.stop),
        token_bytes=model.tokenizer.token_bytes,
    )
    seed = secrets.randbits(NEW_SEED_BITS) if request.seed is None else request.seed
    return PreparedRequest(
        request=replace(request, params=in_token_ids(request.params, model)),
        prompt_token_ids=token_ids,
        stopping=stopping,
        seed=seed,
    )


def _check_strategy(request: GenerationRequest) -> None:
    strategy = STRATEGIES.get(request.strategy)
    if strategy is None:
        raise InvalidParameter(
            f"strategy={request.strategy!r} does not exist.",
            f"Use one of {', '.join(STRATEGIES)}.",
            param="strategy",
        )
    limit = strategy.max_texts(request.params)
    if limit is not None and request.num_sequences > limit:
        raise InvalidParameter(
            f"num_return_sequences={request.num_sequences} is more than {strategy.label} gives "
            "with these settings.",
            f"Use {limit} or less.",
            param="num_return_sequences",
        )


def _prompt_token_ids(request: GenerationRequest, model: LoadedModel) -> tuple[int, ...]:
    if isinstance(request.prompt, str):
        _refuse_hopeless_length(request.prompt, model)
        return tuple(model.tokenizer.encode(request.prompt))
    for token_id in request.prompt:
        if not 0 <= token_id < model.vocab_size:
            raise InvalidParameter(
                f"Token id {token_id} is not in the vocabulary of {model.model_id}.",
                f"Use 0 to {model.vocab_size - 1}.",
                param="prompt",
            )
    return request.prompt


def _refuse_hopeless_length(prompt: str, model: LoadedModel) -> None:
    most = model.context_length * MAX_CHARACTERS_PER_TOKEN
    if len(prompt) > most:
        raise PromptTooLong(
            f"The prompt has {len(prompt)} characters; the context of {model.model_id} is "
            f"{model.context_length} tokens, which is never more than {most} characters.",
            f"Shorten the prompt by at least {len(prompt) - most} characters.",
            param="prompt",
        )


def _max_new_tokens(request: GenerationRequest, num_prompt: int, context_length: int) -> int:
    """How many tokens may be written; `max_new_tokens` wins over `max_length`."""
    if request.max_new_tokens is not None:
        name, total = "max_new_tokens", num_prompt + request.max_new_tokens
    else:
        name, total = "max_length", request.max_length
    most = context_length if request.max_new_tokens == 0 else context_length - 1
    if num_prompt > most:
        raise PromptTooLong(
            f"The prompt has {num_prompt} tokens; the context of {request.model} is "
            f"{context_length}.",
            f"Shorten the prompt by at least {num_prompt - most} tokens.",
            param="prompt",
        )
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
