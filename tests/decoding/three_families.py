"""Random configurations of a strategy on small models of three families, beside what is expected.

`make stress` tries a hundred of each strategy with each family.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from penstock.model.drafts import with_draft
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.slow_beams import Text
from tests.drafting import drafting_like
from tests.engine.driving import run_alone
from tests.figures import record
from tests.tiny_families import CONFIGS, tiny_family
from tests.tiny_gpt2 import VOCAB_SIZE, TinyModel

NUM_CASES = int(os.environ.get("PENSTOCK_STRATEGY_CASES", "10"))
NUM_MODELS = 5  # of each family: loading one takes longer than writing with it

Options = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How a text is written, and the texts that it must come to."""

    strategy: str
    params: Options
    max_new_tokens: int
    expected: list[list[int]]
    seed: int = 0
    num_texts: int = 1


Make = Callable[[TinyModel, Text, random.Random], Case]


def some_tokens(rng: random.Random, longest: int) -> Text:
    return tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randint(1, longest)))


def some_penalties(rng: random.Random) -> Options:
    return {
        "repetition_penalty": rng.choice([1.0, 0.8, 1.3]),
        "no_repeat_ngram_size": rng.choice([0, 0, 2, 3]),
    }


def check_in_all_families(name: str, standard: str, make: Make, num_cases: int) -> None:
    """Write every case, compare it with what is expected, and note how many texts there were."""
    figures: Options = {"compared with": standard}
    for family in CONFIGS:
        texts = {
            text for number in range(num_cases) for text in _checked(family, name, number, make)
        }
        assert len(texts) > num_cases // 2, family
        figures |= {family: num_cases, f"{family}, different texts": len(texts)}
    record("the same tokens as", name, figures | {"unlike": 0})


def _checked(family: str, name: str, number: int, make: Make) -> list[Text]:
    rng = random.Random(f"{family} {name} {number}")
    tiny = _tiny(family, number % NUM_MODELS)
    prompt = some_tokens(rng, 24)
    case = make(tiny, prompt, rng)
    request = GenerationRequest(
        request_id="r",
        prompt=prompt,
        model=family,
        strategy=case.strategy,
        params=DecodingParams(**case.params),
        max_new_tokens=case.max_new_tokens,
        seed=case.seed,
        num_sequences=case.num_texts,
    )

    result = run_alone(tiny.model, request)

    assert result.token_ids == case.expected, (family, number, case)
    return [tuple(text) for text in case.expected]


@cache
def _tiny(family: str, seed: int) -> TinyModel:
    """A model with a draft that thinks much like it."""
    tiny = tiny_family(family, seed)
    return TinyModel(tiny.reference, with_draft(tiny.model, drafting_like(tiny.model)))
