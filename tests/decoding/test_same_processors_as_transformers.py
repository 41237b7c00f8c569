"""Each processor that transformers has gives the very logits that transformers' own gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.generation import logits_process as theirs
from transformers.modeling_outputs import CausalLMOutput

from penstock.decoding.processors import BY_NAME, process
from tests.decoding.rows import EOS, make_row

NUM_CASES = 200
VOCAB_SIZE = 60


@dataclass
class Case:
    """Logits, a history, and how many tokens of it are the prompt's."""

    rng: Random
    logits: Tensor
    token_ids: list[int]
    num_prompt: int
    min_kept: int
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> Tensor:
        return torch.tensor([self.token_ids[: self.num_prompt]])

    def word(self) -> tuple[int, ...]:
        """One to three tokens, begun more often than chance would have it."""
        length = self.rng.randint(1, 3)
        start = len(self.token_ids) - length + 1
        begun = self.token_ids[start:] if length > 1 and start >= 0 else []
        if self.rng.random() < 0.5:
            begun = [self.rng.randrange(1, 8) for _ in begun]
        return (*begun, self.rng.randrange(VOCAB_SIZE))


def _case(seed: int) -> Case:
    rng = Random(seed)
    logits = torch.randn(1, VOCAB_SIZE, generator=torch.Generator().manual_seed(seed))
    logits *= rng.choice([0.3, 1, 3, 8])
    if rng.random() < 0.3:
        logits[0, rng.sample(range(1, VOCAB_SIZE), 20)] = float("-inf")
    length = rng.randint(1, 40)
    token_ids = [rng.randrange(1, 8) for _ in range(length)]
    return Case(rng, logits, token_ids, rng.randint(1, length), rng.choice([1, 1, 2]))


Make = Callable[[Case], tuple[Any, Any]]  # the parameter's value, their processor with it


def _number(make: Callable[..., Any], *values: float) -> Make:
    def choose(case: Case) -> tuple[Any, Any]:
        value = case.rng.choice(values)
        return value, make(value)

    return choose


def _filter(make: Callable[..., Any], low: float, high: float) -> Make:
    def choose(case: Case) -> tuple[Any, Any]:
        value = case.rng.uniform(low, high)
        return value, make(value, min_tokens_to_keep=case.min_kept)

    return choose


def _top_k(case: Case) -> tuple[Any, Any]:
    value = case.rng.randint(1, 70)
    return value, theirs.TopKLogitsWarper(value, min_tokens_to_keep=case.min_kept)


def _sequence_bias(case: Case) -> tuple[Any, Any]:
    biases = {case.word(): case.rng.choice([-3.5, 0.25, 4.0]) for _ in range(4)}
    return tuple(biases.items()), theirs.SequenceBiasLogitsProcessor(dict(biases))


def _bad_words(case: Case) -> tuple[Any, Any]:
    words = [(EOS,), *(case.word() for _ in range(4))]
    return tuple(words), theirs.NoBadWordsLogitsProcessor([list(w) for w in words], EOS)


def _encoder_penalty(case: Case) -> tuple[Any, Any]:
    value = case.rng.choice([0.7, 1.4])
    return value, theirs.EncoderRepetitionPenaltyLogitsProcessor(value, case.prompt)


def _encoder_ngram(case: Case) -> tuple[Any, Any]:
    value = case.rng.randint(1, 3)
    return value, theirs.EncoderNoRepeatNGramLogitsProcessor(value, case.prompt)


def _min_length(case: Case) -> tuple[Any, Any]:
    value = case.rng.randint(1, 40)
    return value, theirs.MinLengthLogitsProcessor(value, torch.tensor([EOS]))


def _min_new_tokens(case: Case) -> tuple[Any, Any]:
    value = case.rng.randint(0, 40)
    case.others["min_new_tokens"] = value
    eos = torch.tensor([EOS])
    return None, theirs.MinNewTokensLengthLogitsProcessor(case.num_prompt, value, eos)


def _forced_bos(case: Case) -> tuple[Any, Any]:
    if case.rng.random() < 0.5:
        case.token_ids, case.num_prompt = [5], 1
    elif case.num_prompt == len(case.token_ids):
        case.token_ids.append(3)  # after a longer prompt theirs does nothing at all
    return 7, theirs.ForcedBOSTokenLogitsProcessor(7)


def _forced_eos(case: Case) -> tuple[Any, Any]:
    most = case.rng.randint(1, 10)
    if case.rng.random() < 0.5:
        case.num_prompt = max(1, len(case.token_ids) - most + 1)
    case.others["max_new_tokens"] = most
    return EOS, theirs.ForcedEOSTokenLogitsProcessor(case.num_prompt + most, EOS)


def _decay(case: Case) -> tuple[Any, Any]:
    value = (case.rng.randint(0, 20), case.rng.uniform(1.0, 1.5))
    eos = torch.tensor([EOS])
    return value, theirs.ExponentialDecayLengthPenalty(value, eos, case.num_prompt)


def _suppress(case: Case) -> tuple[Any, Any]:
    value = tuple(case.rng.sample(range(VOCAB_SIZE), 5))
    return value, theirs.SuppressTokensLogitsProcessor(value)


def _begin_suppress(case: Case) -> tuple[Any, Any]:
    if case.rng.random() < 0.5:
        case.num_prompt = len(case.token_ids)
    value = tuple(case.rng.sample(range(VOCAB_SIZE), 5))
    return value, theirs.SuppressTokensAtBeginLogitsProcessor(value, case.num_prompt)


@lru_cache
def _their_watermark(delta: float, gamma: float, key: int) -> Any:
    """It shuffles a million numbers first."""
    return theirs.WatermarkLogitsProcessor(
        VOCAB_SIZE, "cpu", greenlist_ratio=gamma, bias=delta, hashing_key=key
    )


def _watermark(case: Case) -> tuple[Any, Any]:
    delta, gamma, key = case.rng.choice([(2.0, 0.25, 15485863), (0.5, 0.5, 7), (4.0, 0.1, 2**40)])
    case.others |= {"watermark_gamma": gamma, "watermark_key": key}
    return delta, _their_watermark(delta, gamma, key)


def _guidance(case: Case) -> tuple[Any, Any]:
    """Their processor asks a model, which here answers what our row brings along."""
    value = case.rng.choice([0.0, 0.5, 1.5, 4.0])
    unconditional = torch.randn(
        VOCAB_SIZE, generator=torch.Generator().manual_seed(len(case.token_ids))
    )
    case.others["unconditional"] = unconditional

    def model(*_: Any, **__: Any) -> CausalLMOutput:
        return CausalLMOutput(logits=unconditional[None, None])

    if value == 0:  # theirs makes nan of what is forbidden
        case.logits.clamp_(min=-50)
    return value, theirs.UnbatchedClassifierFreeGuidanceLogitsProcessor(value, model)


PROCESSORS: dict[str, Make] = {
    "guidance_scale": _guidance,
    "temperature": _number(theirs.TemperatureLogitsWarper, 0.3, 0.7, 1.7),
    "top_h": _number(theirs.TopHLogitsWarper, 0.05, 0.4, 0.9, 1.0),
    "top_k": _top_k,
    "top_p": _filter(theirs.TopPLogitsWarper, 0.01, 0.99),
    "min_p": _filter(theirs.MinPLogitsWarper, 0.01, 1.0),
    "typical_p": _filter(theirs.TypicalLogitsWarper, 0.05, 0.99),
    "epsilon_cutoff": _filter(theirs.EpsilonLogitsWarper, 0.0001, 0.3),
    "eta_cutoff": _filter(theirs.EtaLogitsWarper, 0.0001, 0.3),
    "repetition_penalty": _number(theirs.RepetitionPenaltyLogitsProcessor, 0.7, 1.4),
    "encoder_repetition_penalty": _encoder_penalty,
    "no_repeat_ngram_size": _number(theirs.NoRepeatNGramLogitsProcessor, 1, 2, 3),
    "encoder_no_repeat_ngram_size": _encoder_ngram,
    "sequence_bias": _sequence_bias,
    "bad_words": _bad_words,
    "min_length": _min_length,
    "min_new_tokens": _min_new_tokens,
    "forced_bos_token_id": _forced_bos,
    "forced_eos_token_id": _forced_eos,
    "exponential_decay_length_penalty": _decay,
    "suppress_tokens": _suppress,
    "begin_suppress_tokens": _begin_suppress,
    "watermark_delta": _watermark,
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_logits_are_the_same(name: str) -> None:
    num_changed = 0
    for seed in range(NUM_CASES):
        case = _case(seed)
        value, their_processor = PROCESSORS[name](case)
        others = case.others | ({} if value is None else {name: value})
        row = make_row(
            case.token_ids,
            num_generated=len(case.token_ids) - case.num_prompt,
            min_kept=case.min_kept,
            **others,
        )

        result = process(case.logits, [row], [BY_NAME[name]])

        expected = their_processor(torch.tensor([case.token_ids]), case.logits.clone())
        assert torch.equal(result, expected), (name, seed)
        num_changed += not torch.equal(expected, case.logits)
    assert num_changed > 20
