"""Each strategy writes the same tokens as its standard, with models of three families.

The standard is transformers where it has the strategy; it is handed our random numbers for what is
drawn. What it no longer has is compared with its slow definition.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import torch

from tests.decoding import slow_constrained_beams, slow_searches
from tests.decoding.slow_beams import Group, Rules, Scored, Text, extensions, grow, next_logprobs
from tests.decoding.their_draws import their_beam_samples, their_samples
from tests.decoding.three_families import (
    NUM_CASES,
    Case,
    Make,
    Options,
    check_in_all_families,
    some_penalties,
    some_tokens,
)
from tests.tiny_gpt2 import TinyModel, reference_generate, tiny_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What both sides are asked for, and what each has besides."""

    both: Options
    ours: Options = field(default_factory=dict)
    theirs: Options = field(default_factory=dict)


def _searched(
    strategy: str, tiny: TinyModel, prompt: Text, rng: random.Random, sides: Sides
) -> Case:
    """A strategy that draws nothing, beside `generate`."""
    length = rng.randint(1, 24)
    return Case(
        strategy=strategy,
        params=sides.both | sides.ours,
        max_new_tokens=length,
        expected=reference_generate(tiny, prompt, length, **sides.both, **sides.theirs),
    )


def _greedy(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    return _searched("greedy", tiny, prompt, rng, Sides(both=some_penalties(rng)))


def _beams(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    both = some_penalties(rng) | _some_beams(rng)
    return _searched("beam_search", tiny, prompt, rng, Sides(both=both))


def _some_beams(rng: random.Random) -> Options:
    return {
        "num_beams": rng.randint(2, 6),
        "length_penalty": rng.choice([-1.0, 0.0, 0.6, 1.0, 2.0]),
        "early_stopping": rng.random() < 0.5,
    }


def _guided(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    both = some_penalties(rng) | {"guidance_scale": rng.choice([0.0, 0.5, 1.2, 1.5, 3.0, 7.5])}
    if rng.random() < 0.3:  # the prompt's last token
        return _searched("greedy", tiny, prompt, rng, Sides(both=both))
    negative = some_tokens(rng, 20)
    sides = Sides(
        both=both,
        ours={"negative_prompt": negative},
        theirs={"negative_prompt_ids": torch.tensor([negative])},
    )
    return _searched("greedy", tiny, prompt, rng, sides)


def _lookup(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    """Theirs is greedy search with penalties, which their own lookup leaves out of its guesses."""
    guesses = {
        "prompt_lookup_num_tokens": rng.randint(1, 10),
        "max_matching_ngram_size": rng.randint(1, 4),
    }
    ours = guesses | {"temperature": 0.0}
    alone = Sides(both=some_penalties(rng), ours=ours)
    sides = rng.choice([alone, Sides(both={}, ours=ours, theirs=guesses)])
    return _searched("prompt_lookup", tiny, prompt, rng, sides)


def _assisted(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    ours = {"draft_num_tokens": rng.randint(1, 8), "temperature": 0.0}
    theirs = rng.choice([{}, {"assistant_model": _draft()}])
    sides = Sides(both=some_penalties(rng), ours=ours, theirs=theirs)
    return _searched("assisted", tiny, prompt, rng, sides)


@cache
def _draft() -> Any:
    return tiny_model(99).reference


def _some_filters(rng: random.Random) -> Options:
    """Some of those that transformers has, in its order, which is ours."""
    values = {
        "temperature": rng.choice([0.5, 0.8, 1.5, 2.0]),
        "top_h": rng.choice([0.3, 0.6, 0.9]),
        "top_k": rng.randint(1, 60),
        "top_p": rng.choice([0.3, 0.8, 0.95]),
        "min_p": rng.choice([0.01, 0.1]),
        "typical_p": rng.choice([0.5, 0.9]),
        "epsilon_cutoff": rng.choice([3e-4, 0.02]),
        "eta_cutoff": rng.choice([3e-4, 0.02]),
    }
    chosen = rng.sample(list(values), rng.randint(0, 4))
    return {"temperature": 1.5, "top_k": 0} | {name: values[name] for name in chosen}


def _drawn(strategy: str, tiny: TinyModel, prompt: Text, rng: random.Random, own: Options) -> Case:
    """A strategy that writes what sampling writes, beside their sampling."""
    both = some_penalties(rng) | _some_filters(rng)
    length, seed, num_texts = rng.randint(1, 24), rng.getrandbits(63), rng.randint(1, 3)
    return Case(
        strategy=strategy,
        params={**both, **own},
        max_new_tokens=length,
        expected=their_samples(tiny, prompt, seed, num_texts, max_new_tokens=length, **both),
        seed=seed,
        num_texts=num_texts,
    )


def _sampling(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    return _drawn(rng.choice(["sampling", "top_k"]), tiny, prompt, rng, {})


def _drawn_lookup(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    own = {"prompt_lookup_num_tokens": rng.randint(1, 10)}
    return _drawn("prompt_lookup", tiny, prompt, rng, own)


def _drawn_draft(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    return _drawn("assisted", tiny, prompt, rng, {"draft_num_tokens": rng.randint(1, 8)})


def _best_of_n(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    """The likeliest of their samples."""
    case = _drawn("sampling", tiny, prompt, rng, {})
    texts = sorted(case.expected, key=lambda text: _mean_logprob(tiny, prompt, text), reverse=True)
    num_texts = rng.randint(1, len(texts))
    return Case(
        strategy="best_of_n",
        params=case.params | {"num_candidates": len(texts)},
        max_new_tokens=case.max_new_tokens,
        expected=texts[:num_texts],
        seed=case.seed,
        num_texts=num_texts,
    )


def _mean_logprob(tiny: TinyModel, prompt: Text, text: list[int]) -> float:
    steps = [next_logprobs(tiny, prompt, tuple(text[:i])) for i in range(len(text))]
    return sum(float(step[i]) for step, i in zip(steps, text, strict=True)) / len(text)


def _beam_sampling(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    while True:  # until theirs finds enough to draw
        both = some_penalties(rng) | _some_filters(rng) | _some_beams(rng)
        length, seed = rng.randint(1, 24), rng.getrandbits(63)
        num_texts = rng.randint(1, both["num_beams"])
        expected = their_beam_samples(
            tiny, prompt, seed, max_new_tokens=length, num_return_sequences=num_texts, **both
        )
        if expected is not None:
            return Case(
                strategy="beam_sampling",
                params=both,
                max_new_tokens=length,
                expected=expected,
                seed=seed,
                num_texts=num_texts,
            )


THEIRS: dict[str, Make] = {
    "greedy search": _greedy,
    "greedy search with guidance": _guided,
    "beam search": _beams,
    "prompt lookup": _lookup,
    "assisted": _assisted,
    "sampling, top-k": _sampling,
    "prompt lookup, drawn": _drawn_lookup,
    "assisted, drawn": _drawn_draft,
    "best of several": _best_of_n,
    "beam sampling": _beam_sampling,
}


@pytest.mark.parametrize("name", THEIRS)
def test_the_tokens_are_those_of_transformers(name: str) -> None:
    check_in_all_families(name, "transformers", THEIRS[name], NUM_CASES)


def _contrastive(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    top_k, alpha = rng.randint(1, 5), rng.choice([0.2, 0.6, 0.9])
    expected = slow_searches.contrastive_search(tiny, prompt, top_k, alpha)
    return Case(
        strategy="contrastive_search",
        params={"top_k": top_k, "penalty_alpha": alpha},
        max_new_tokens=slow_searches.LENGTH,
        expected=[expected],
    )


def _dola(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    layers = rng.choice([(0,), (1,), (0, 1)])
    return Case(
        strategy="dola",
        params={"dola_layers": layers, "temperature": 0.0},
        max_new_tokens=slow_searches.LENGTH,
        expected=[slow_searches.dola(tiny, prompt, layers)],
    )


def _some_rules(rng: random.Random) -> tuple[Rules, Options]:
    beams = _some_beams(rng)
    rules = Rules(
        max_new_tokens=rng.randint(1, 14),
        length_penalty=beams["length_penalty"],
        early_stopping=beams["early_stopping"],
    )
    return rules, beams


def _diverse(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    rules, beams = _some_rules(rng)
    num_groups = rng.randint(1, 3)
    num_beams, penalty = num_groups * rng.randint(1, 2), rng.choice([0.0, 0.5, 3.0])

    def rank(group: Group, chosen: Sequence[int]) -> Scored:
        found = extensions(tiny, prompt, group)
        return sorted(((s - penalty * chosen.count(t[-1]), t) for s, t in found), reverse=True)

    groups = [Group(num_beams // num_groups) for _ in range(num_groups)]
    own = {"num_beams": num_beams, "num_beam_groups": num_groups, "diversity_penalty": penalty}
    return Case(
        strategy="diverse_beam_search",
        params=beams | own,
        max_new_tokens=rules.max_new_tokens,
        expected=grow(groups, rank, rules, num_beams),
        num_texts=num_beams,
    )


def _constrained(tiny: TinyModel, prompt: Text, rng: random.Random) -> Case:
    rules, beams = _some_rules(rng)
    words = slow_constrained_beams.some_words(rng)
    text = slow_constrained_beams.constrained_beam_search(
        tiny, prompt, words, rules, beams["num_beams"]
    )
    return Case(
        strategy="constrained_beam_search",
        params=beams | {"force_words": words},
        max_new_tokens=rules.max_new_tokens,
        expected=[list(text)],
    )


SLOW: dict[str, Make] = {
    "contrastive search": _contrastive,
    "DoLa": _dola,
    "diverse beam search": _diverse,
    "constrained beam search": _constrained,
}


@pytest.mark.parametrize("name", SLOW)
def test_what_transformers_lacks_is_the_slow_definition(name: str) -> None:
    num_cases = NUM_CASES if NUM_CASES >= 100 else max(2, NUM_CASES // 4)
    check_in_all_families(name, "the slow definition", SLOW[name], num_cases)
