"""A stand-in for a model's probabilities: the word written, and seven others."""

from __future__ import annotations

import math
from typing import Any

OTHERS = (" river", " stone", " cloud", " lamp", " wheel", " bread", " song")
STEPS = ("temperature", "top_k", "top_p")

Json = dict[str, Any]


def chosen_token(word: str) -> Json:
    """One token of an answer, with its alternatives: it is as likely as not."""
    top = [_token(word, 1, 0.5), *_others()]
    return {**top[0], "top": top}


def next_token(body: Json) -> Json:
    """What each step of the chain lets through, for the steps that are asked for."""
    names = ["model", *(name for name in STEPS if name in body)]
    top = [_token(" word", 1, 0.5), *_others()]
    return {
        "model": body.get("model", "penstock-tiny"),
        "strategy": body.get("strategy", "sampling"),
        "rendered_prompt": body["prompt"],
        "unused_parameters": [],
        "chosen": top[0],
        "stages": [_stage(name, top) for name in names],
    }


def _stage(name: str, top: list[Json]) -> Json:
    return {"name": name, "num_kept": 4096, "mass_kept": 0.95, "entropy_bits": 2.5, "top": top}


def _others() -> list[Json]:
    return [_token(word, number, 0.05) for number, word in enumerate(OTHERS, start=2)]


def _token(word: str, token_id: int, chance: float) -> Json:
    return {"token": word, "token_id": token_id, "logprob": math.log(chance)}
