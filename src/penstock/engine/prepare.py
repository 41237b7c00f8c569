"""From a request to what the engine can run: tokens, limits and a seed, all decided and checked.

Touches no engine state, so it runs on any thread.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

from penstock.decoding.constraints.compiling import Constraint, constraint_of
from penstock.decoding.stopping import Stopping
from penstock.decoding.strategies import STRATEGIES
from penstock.decoding.strategies.assisted import Assisted
from penstock.engine.layers import with_layers
from penstock.engine.limits import room_after_prompt, room_beside_source
from penstock.engine.negative_prompt import negative_token_ids
from penstock.engine.wording import in_token_ids, single_tokens
from penstock.errors import InvalidParameter, PromptTooLong, ReplayDiffers
from penstock.model.adapters import Adapter
from penstock.model.attributes import Attribute
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
    constraint: Constraint | None = None
    decoder_start_token_id: int | None = None
    negative_token_ids: tuple[int, ...] | None = None  # of the negative prompt, with guidance
    adapter: Adapter | None = None
    attribute: Attribute | None = None

    @property
    def source_token_ids(self) -> tuple[int, ...] | None:
        """What an encoder reads: the prompt, in an encoder-decoder."""
        return None if self.decoder_start_token_id is None else self.prompt_token_ids

    @property
    def first_token_ids(self) -> tuple[int, ...]:
        """What every sequence begins with: the prompt, or the decoder's start, and the prefix."""
        if self.decoder_start_token_id is None:
            return self.prompt_token_ids
        return (self.decoder_start_token_id, *self.request.prefix)

    @property
    def shadow_token_ids(self) -> tuple[int, ...] | None:
        """What the sequence begins with that guides the others, if there is one."""
        if self.negative_token_ids is None:
            return None
        if self.decoder_start_token_id is None:
            return (*self.negative_token_ids, *self.request.prefix)
        return self.first_token_ids

    @property
    def num_source_tokens(self) -> int:
        """How many tokens an encoder reads."""
        sources = (self.source_token_ids, self.negative_token_ids)
        return 0 if self.source_token_ids is None else sum(len(s or ()) for s in sources)

    @property
    def max_live_sequences(self) -> int:
        """How many sequences may be alive at once, without their shadows."""
        request = self.request
        strategy = STRATEGIES[request.strategy]
        return strategy.max_live_sequences(request.params, request.num_sequences)


def prepare(request: GenerationRequest, model: LoadedModel) -> PreparedRequest:
    """Tokenize the prompt and settle every limit, or say what does not fit."""
    _check_strategy(request, model)
    adapter = _adapter(request, model)
    token_ids = _prompt_token_ids(request, model)
    max_new_tokens = _max_new_tokens(request, len(token_ids), model)
    if request.min_new_tokens > max_new_tokens:
        raise InvalidParameter(
            f"min_new_tokens={request.min_new_tokens} is more than the {max_new_tokens} tokens "
            "that may be written.",
            f"Use {max_new_tokens} or less.",
            param="min_new_tokens",
        )
    constraint = constraint_of(request.params, model.tokenizer, model.vocab_size)
    stopping = Stopping(
        max_new_tokens=max_new_tokens,
        eos_token_ids=model.tokenizer.eos_token_ids,
        stop=tuple(text.encode() for text in request.stop),
        token_bytes=model.tokenizer.token_bytes,
        may_stop_after=None if constraint is None else constraint.accepts,
    )
    params = in_token_ids(with_layers(request.params, model), model)
    seed = secrets.randbits(NEW_SEED_BITS) if request.seed is None else request.seed
    return PreparedRequest(
        request=replace(
            request,
            params=params,
            named_tokens=single_tokens(request.named_tokens, model),
        ),
        prompt_token_ids=token_ids,
        decoder_start_token_id=model.decoder_start_token_id,
        negative_token_ids=negative_token_ids(request, token_ids, max_new_tokens, model),
        stopping=stopping,
        seed=seed,
        constraint=constraint,
        adapter=adapter,
        attribute=_attribute(request, model),
    )


def _adapter(request: GenerationRequest, model: LoadedModel) -> Adapter | None:
    if request.adapter is None:
        return None
    adapter = model.adapters.get(request.adapter)
    if request.adapter_digest not in (None, adapter.digest):
        raise ReplayDiffers(
            f"The adapter {adapter.name} is not the one that the text was written with.",
            "Bring that one back, or send allow_differences=true to see what comes now.",
            param="allow_differences",
        )
    return adapter


def _attribute(request: GenerationRequest, model: LoadedModel) -> Attribute | None:
    if request.params.attribute is None:
        return None
    attribute = model.attributes.load(request.params.attribute, model.tokenizer)
    if request.attribute_digest not in (None, attribute.digest):
        raise ReplayDiffers(
            f"The attribute {attribute.name} is not the one that the text was written with.",
            "Bring that one back, or send allow_differences=true to see what comes now.",
            param="allow_differences",
        )
    return attribute


def _check_strategy(request: GenerationRequest, model: LoadedModel) -> None:
    strategy = STRATEGIES.get(request.strategy)
    if strategy is None:
        raise InvalidParameter(
            f"strategy={request.strategy!r} does not exist.",
            f"Use one of {', '.join(STRATEGIES)}.",
            param="strategy",
        )
    if issubclass(strategy, Assisted) and model.draft is None:
        raise InvalidParameter(
            f"{model.model_id} was loaded without a draft model, which this strategy needs.",
            "Name one in PENSTOCK_DRAFT_MODELS, or use sampling or prompt_lookup, which write the "
            "same text.",
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
    """The prompt, with the prefix where the model continues it."""
    _check_token_ids("prefix", request.prefix, model)
    prefix = request.prefix if model.decoder_start_token_id is None else ()
    if isinstance(request.prompt, str):
        _refuse_hopeless_length(request.prompt, model)
        return (*model.tokenizer.encode(request.prompt), *prefix)
    _check_token_ids("prompt", request.prompt, model)
    return (*request.prompt, *prefix)


def _check_token_ids(name: str, token_ids: Iterable[int], model: LoadedModel) -> None:
    for token_id in token_ids:
        if not 0 <= token_id < model.vocab_size:
            raise InvalidParameter(
                f"Token id {token_id} is not in the vocabulary of {model.model_id}.",
                f"Use 0 to {model.vocab_size - 1}.",
                param=name,
            )


def _refuse_hopeless_length(prompt: str, model: LoadedModel) -> None:
    most = model.context_length * MAX_CHARACTERS_PER_TOKEN
    if len(prompt) > most:
        raise PromptTooLong(
            f"The prompt has {len(prompt)} characters; the context of {model.model_id} is "
            f"{model.context_length} tokens, which is never more than {most} characters.",
            f"Shorten the prompt by at least {len(prompt) - most} characters.",
            param="prompt",
        )


def _max_new_tokens(request: GenerationRequest, num_prompt: int, model: LoadedModel) -> int:
    if model.decoder_start_token_id is None:
        return room_after_prompt(request, num_prompt, model.context_length)
    if request.prompt_logprobs is not None and not request.prefix:  # else that is what is scored
        raise InvalidParameter(
            f"{model.model_id} reads a prompt with an encoder and never predicts it, so the "
            "prompt's tokens have no log-probabilities.",
            "Leave prompt_logprobs out, or choose a model that continues its prompt.",
            param="prompt_logprobs",
        )
    return room_beside_source(request, num_prompt, model.context_length)
