"""From wire fields to a request: which strategy, which parameters count, which are left over.

Pure; knows no HTTP and no engine.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.api.playground.schemas import GenerationFields
from penstock.api.playground.wire_types import frozen
from penstock.api.services import Defaults
from penstock.decoding.parameters import KIND_OF, defaults
from penstock.decoding.parameters.filters import FILTERS
from penstock.decoding.strategies import DEFAULT_STRATEGY, STRATEGIES
from penstock.decoding.strategies.beam_search import BeamSearch
from penstock.decoding.strategies.greedy import Greedy
from penstock.decoding.strategies.interface import Strategy
from penstock.errors import InvalidParameter
from penstock.serving.models import ServedModel
from penstock.text.postprocess import Step, parse_step
from penstock.text.prompts import render_prompt
from penstock.types import NEUTRAL, DecodingParams, GenerationRequest, Word

DECODING_NAMES = frozenset(NEUTRAL)
MEANT_FOR_SOME = DECODING_NAMES | {
    "num_return_sequences",
    "seed",
}  # of these, what a strategy lacks is unused


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One generation as the client means it, checked as far as that goes without the model."""

    request_id: str
    model: str
    prompt: str
    fields: GenerationFields
    strategy: type[Strategy]
    params: DecodingParams
    num_sequences: int
    max_length: int
    unused: tuple[str, ...]
    steps: tuple[Step, ...]
    keep_alive_seconds: float | None = None

    @property
    def type(self) -> str:
        """What the text is really made by: drawing at temperature 0 is greedy."""
        names = _names(self.strategy)
        is_contrasted = self.params.dola_layers is not None
        if "temperature" not in names or self.params.temperature > 0 or is_contrasted:
            return self.strategy.type
        return BeamSearch.type if "num_beams" in names else Greedy.type


def understand(prompt: str, fields: GenerationFields, given: Defaults) -> Asked:
    """Settle the strategy and its parameters. Raises `InvalidParameter`."""
    strategy = _strategy(fields.strategy)
    sent = {name: value for name, value in fields.model_dump().items() if value is not None}
    params = _params(strategy, sent, given)
    return Asked(
        request_id=f"gen_{uuid.uuid4().hex}",
        model=fields.model or given.model,
        prompt=prompt,
        fields=fields,
        strategy=strategy,
        params=params,
        num_sequences=num_texts(strategy, fields),
        max_length=given.max_length if fields.max_length is None else fields.max_length,
        unused=_unused(strategy, sent),
        steps=tuple(parse_step(name) for name in fields.postprocess or ()),
        keep_alive_seconds=fields.keep_alive,
    )


def to_request(asked: Asked, model: ServedModel) -> GenerationRequest:
    """The request for this model, with the prompt as the model sees it."""
    fields = asked.fields
    return GenerationRequest(
        request_id=asked.request_id,
        prompt=_rendered(asked),
        model=model.id,
        strategy=asked.strategy.id,
        params=asked.params,
        max_new_tokens=fields.max_new_tokens,
        max_length=asked.max_length,
        min_new_tokens=fields.min_new_tokens or 0,
        num_sequences=asked.num_sequences,
        stop=tuple(fields.stop or ()),
        seed=fields.seed,
        logprobs=fields.logprobs,
        named_tokens=words_named(fields.named_tokens),
        trace=fields.trace,
        beam_tree=bool(fields.beam_tree),
        max_time=fields.max_time,
        adapter=fields.adapter,
    )


def words_named(tokens: Sequence[str | int] | None) -> tuple[Word, ...]:
    """Tokens by their texts or ids, as requests hold them."""
    return tuple(token if isinstance(token, str) else (token,) for token in tokens or ())


def reported_parameters(asked: Asked, max_new_tokens: int) -> dict[str, Any]:
    """What the text was really made with: the strategy's main parameters, and any other in use."""
    values = {name: getattr(asked.params, name) for name in NEUTRAL}
    reported = {
        p.name: values[p.name]
        for p in asked.strategy.parameters
        if p.name in values and (p.group == "main" or values[p.name] != NEUTRAL[p.name])
    }
    if asked.fields.control_code is not None:
        reported["control_code"] = asked.fields.control_code
    return {"type": asked.type, **reported, "max_new_tokens": max_new_tokens}


def num_texts(strategy: type[Strategy], fields: GenerationFields) -> int:
    """How many texts are wanted, one where the strategy knows but one."""
    wanted = fields.num_return_sequences
    if wanted is None or "num_return_sequences" not in _names(strategy):
        return 1
    return wanted


def _strategy(name: str | None) -> type[Strategy]:
    strategy = STRATEGIES.get(DEFAULT_STRATEGY if name is None else name)
    if strategy is None:
        raise InvalidParameter(
            f"strategy={name!r} does not exist.",
            f"Use one of {', '.join(STRATEGIES)}.",
            param="strategy",
        )
    return strategy


def _params(strategy: type[Strategy], sent: Mapping[str, Any], given: Defaults) -> DecodingParams:
    """What the strategy uses: as sent, else as the operator set it, else its own default."""
    values: dict[str, Any] = dict(defaults(strategy.parameters))
    if given.temperature is not None:
        values["temperature"] = given.temperature
    values.update(_frozen_fields(sent))
    used = DECODING_NAMES & _names(strategy) & values.keys()
    return DecodingParams(**{name: values[name] for name in used})


def _frozen_fields(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent, with decoding parameters as `DecodingParams` holds them."""
    return {
        name: frozen(KIND_OF[name], value) if name in KIND_OF else value
        for name, value in sent.items()
    }


def _unused(strategy: type[Strategy], sent: Mapping[str, Any]) -> tuple[str, ...]:
    """What the client sent in vain, so that it can be told."""
    used = _names(strategy)
    in_vain = set(MEANT_FOR_SOME - used)
    if sent.get("beam_tree") and "num_beams" not in used:
        in_vain.add("beam_tree")
    if sent.get("temperature") == 0 and "temperature" in used:
        in_vain |= {parameter.name for parameter in FILTERS} - {"temperature"}
    if "max_new_tokens" in sent:
        in_vain.add("max_length")
    return tuple(name for name in sent if name in in_vain)


def _rendered(asked: Asked) -> str:
    fields = asked.fields
    return render_prompt(
        asked.prompt,
        system_prompt=fields.system_prompt,
        examples=[(e.input, e.output) for e in fields.examples or ()],
        control_code=fields.control_code,
    )


def _names(strategy: type[Strategy]) -> set[str]:
    return {parameter.name for parameter in strategy.parameters}
