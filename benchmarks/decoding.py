"""What decoding costs beside the model: filters and penalties, reports of each token, a draft.

Two runs of the same streams in turn, in this process; the median of the ratios of neighbours, so
that what else the machine does falls on both.

Usage: python -m benchmarks.decoding [--model penstock-tiny] [--ops auto] [--rounds 9]
"""

import argparse
import gc
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from time import thread_time
from typing import Any

from benchmarks.models import BUILT_IN_ID, MODELS, benchmark_models
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.choose import choose_ops
from penstock.types import DecodingParams, EngineOutput, GenerationRequest, TokensAdded

NUM_STREAMS = 16
PROMPT_TOKENS = 32
NEW_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Way:
    """How all streams of a run are written."""

    strategy: str
    params: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)


GREEDY = Way("greedy")
PLAIN = Way("sampling", {"temperature": 0.8, "top_p": 0.95})
PENALISED = Way("sampling", {**PLAIN.params, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3})
FILTERED = Way("sampling", {**PENALISED.params, "min_p": 0.05, "typical_p": 0.95})
LOOKING_UP = replace(PLAIN, strategy="prompt_lookup")
COLD = Way("sampling", {"temperature": 0.0})
COLD_LOOKING_UP = replace(COLD, strategy="prompt_lookup")
PAIRS: Mapping[str, tuple[Way, Way]] = {
    "sampling (temperature, top-p) over greedy": (GREEDY, PLAIN),
    "with a penalty and no repeated n-grams, over greedy": (GREEDY, PENALISED),
    "with min-p and typical p besides, over greedy": (GREEDY, FILTERED),
    "trace `tokens` (5 alternatives) over none": (PLAIN, replace(PLAIN, others={"logprobs": 5})),
    "trace `stages` (5 candidates) over none": (PLAIN, replace(PLAIN, others={"trace": 5})),
    "prompt lookup over sampling, where texts do not repeat themselves": (PLAIN, LOOKING_UP),
    "prompt lookup over sampling at temperature 0, where they do": (COLD, COLD_LOOKING_UP),
    "guidance over none": (PLAIN, Way("sampling", {**PLAIN.params, "guidance_scale": 1.5})),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--model", choices=[*MODELS], default=BUILT_IN_ID)
    parser.add_argument("--ops", choices=["auto", "torch", "kernel"], default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    chosen = choose_ops(prefer=options.ops, num_threads=1)
    with benchmark_models([options.model]) as (model,):
        loaded = load_model(model.folder, model_id="m", ops=chosen.ops)
        gc.freeze()  # as a worker does
        print(
            f"{model.label}, {options.ops} operations, {NUM_STREAMS} streams of {NEW_TOKENS} tokens"
        )
        for name, (base, way) in PAIRS.items():
            print(f"{name}: {_cost(loaded, base, way, options.rounds) - 1:+.1%}", flush=True)


def _cost(model: LoadedModel, base: Way, way: Way, rounds: int) -> float:
    """How many times as long `way` takes, of the engine thread's processor time."""
    seconds = [(_seconds(model, base), _seconds(model, way)) for _ in range(rounds + 1)]
    return median(after / before for before, after in seconds[1:])  # the first warms up


def _seconds(model: LoadedModel, way: Way) -> float:
    """Seconds of this thread for a token while all streams are decoded, all prompts read."""
    engine = Engine(model)
    for number in range(NUM_STREAMS):
        engine.add(prepare(_request(number, way), model))
    while engine.stats().num_waiting or engine.stats().num_steps < NUM_STREAMS // 4:
        engine.step()
    outputs: list[EngineOutput] = []
    started = thread_time()
    while engine.stats().num_running == NUM_STREAMS:
        outputs += engine.step()
    seconds = thread_time() - started
    return seconds / sum(len(out.token_ids) for out in outputs if isinstance(out, TokensAdded))


def _request(number: int, way: Way) -> GenerationRequest:
    """A stream of its own that does not end before the others."""
    return GenerationRequest(
        request_id=str(number),
        prompt=tuple(300 + (number * 131 + i * 37) % 3000 for i in range(PROMPT_TOKENS)),
        model="m",
        strategy=way.strategy,
        params=DecodingParams(**way.params),
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        seed=number,
        **way.others,
    )


if __name__ == "__main__":
    main()
