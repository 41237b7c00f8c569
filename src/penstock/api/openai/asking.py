"""From the fields of a `/v1` request to what the engine is asked. Pure; knows no HTTP."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from penstock.api.openai.formats import FORM_NAMES
from penstock.api.openai.schemas import Choices, OwnFields, Prompt, SharedFields
from penstock.api.playground.wire_types import frozen
from penstock.decoding.parameters import KIND_OF, defaults
from penstock.decoding.strategies import DEFAULT_STRATEGY, STRATEGIES
from penstock.decoding.strategies.interface import Strategy
from penstock.errors import InvalidParameter, PenstockError
from penstock.serving.models import ServedModel
from penstock.types import MAX_SEED, NEUTRAL, DecodingParams, GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for each prompt, checked as far as that goes without the model.

    `max_new_tokens` may be left open: then the text may fill the context.
    """

    strategy: str
    params: DecodingParams
    num_sequences: int
    max_new_tokens: int | None
    min_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    max_time: float | None = None
    adapter: str | None = None
    keep_alive_seconds: float | None = None

    def request(self, request_id: str, prompt: Prompt, model: ServedModel) -> GenerationRequest:
        """The request for one prompt and this model."""
        return GenerationRequest(
            request_id=request_id,
            prompt=prompt,
            model=model.id,
            strategy=self.strategy,
            params=self.params,
            max_new_tokens=self.max_new_tokens,
            max_length=model.context_length,
            min_new_tokens=self.min_new_tokens,
            num_sequences=self.num_sequences,
            stop=self.stop,
            seed=self.seed,
            logprobs=self.logprobs,
            prompt_logprobs=self.prompt_logprobs,
            max_time=self.max_time,
            adapter=self.adapter,
        )


def understand(
    body: SharedFields,
    *,
    num_sequences: int,
    max_new_tokens: int | None,
    logprobs: int | None,
    form: Mapping[str, Any] | None = None,
) -> Asked:
    """Settle the strategy and its parameters. Raises `InvalidParameter`.

    `form` are the parameters that say what form the text has, where OpenAI's fields do.
    """
    refuse_options_without_stream(body)
    return decide(
        body,
        num_sequences=num_sequences,
        max_new_tokens=max_new_tokens,
        logprobs=logprobs,
        stop=tuple(body.stop or ()),
        form=form,
    )


def decide(
    body: Choices,
    *,
    max_new_tokens: int | None,
    num_sequences: int = 1,
    logprobs: int | None = None,
    stop: tuple[str, ...] = (),
    form: Mapping[str, Any] | None = None,
) -> Asked:
    """The same for any dialect."""
    strategy = _strategy(body.strategy)
    return Asked(
        strategy=strategy.id,
        params=_params(body, strategy, form or {}),
        num_sequences=num_sequences,
        max_new_tokens=max_new_tokens,
        min_new_tokens=body.min_new_tokens or 0,
        stop=stop,
        seed=None if body.seed is None else body.seed % (MAX_SEED + 1),
        logprobs=logprobs,
        max_time=body.max_time,
        adapter=body.adapter,
        keep_alive_seconds=body.keep_alive if isinstance(body, OwnFields) else None,
    )


def refuse_options_without_stream(body: SharedFields) -> None:
    """`stream_options` without `stream` is a mistake, as it is at OpenAI."""
    if body.stream_options is not None and not body.stream:
        raise InvalidParameter(
            "stream_options is set and stream is not.",
            "Set stream to true, or leave stream_options out.",
            param="stream_options",
        )


def _strategy(name: str | None) -> type[Strategy]:
    strategy = STRATEGIES.get(DEFAULT_STRATEGY if name is None else name)
    if strategy is None:
        raise InvalidParameter(
            f"strategy={name!r} does not exist.",
            f"Use one of {', '.join(STRATEGIES)}.",
            param="strategy",
        )
    return strategy


def _params(body: Choices, strategy: type[Strategy], form: Mapping[str, Any]) -> DecodingParams:
    """As sent; else, for a strategy named in the request, as it suggests; else doing nothing."""
    sent = {
        name: frozen(KIND_OF[name], value)
        for name in NEUTRAL
        if (value := getattr(body, name, None)) is not None
    }
    sent |= form
    used = {parameter.name for parameter in strategy.parameters}
    for name, value in sent.items():
        if name not in used and not _asks_for_nothing(name, value):
            raise InvalidParameter(
                f"{strategy.label} does not use {name}.",
                "Leave it out, or choose another strategy.",
                param=name,
            )
    suggested = {} if body.strategy is None else defaults(strategy.parameters)
    values: dict[str, Any] = {n: v for n, v in suggested.items() if n in NEUTRAL} | sent
    return DecodingParams(**{name: values[name] for name in values.keys() & used})


def _asks_for_nothing(name: str, value: object) -> bool:
    """At its neutral value, or the temperature of a strategy that draws nothing."""
    return value == NEUTRAL[name] or (name == "temperature" and value == 0)


@contextmanager
def in_words_of(names: Mapping[str, str]) -> Iterator[None]:
    """Have errors speak of the fields that the client knows: `max_tokens`, not `max_new_tokens`."""
    try:
        yield
    except PenstockError as error:
        known = {name: names[name] for name in names if name != names[name]}
        raise error.in_words(
            _renamed(error.problem, known),
            _renamed(error.hint, known),
            param=known.get(error.param or "", error.param),
        ) from error


@contextmanager
def in_words_of_form(field: str | None) -> Iterator[None]:
    """Have errors about the text's form speak of the OpenAI field that asked for it."""
    try:
        yield
    except PenstockError as error:
        if field is None or error.param not in FORM_NAMES:
            raise
        names = {error.param: field}
        raise error.in_words(
            _renamed(error.problem, names), _renamed(error.hint, names), param=field
        ) from error


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\b\w+\b", lambda match: names.get(match[0], match[0]), text)
