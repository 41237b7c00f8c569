"""How much of a prompt's time the prefix cache saves when the beginning was computed before.

Usage: python -m benchmarks.prefix_cache [--model penstock-tiny] [--rounds 9]
"""

import argparse
from statistics import median
from time import thread_time

from benchmarks.models import BUILT_IN_ID, MODELS, benchmark_models
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.choose import choose_ops
from penstock.types import GenerationRequest

PREFIX_TOKENS = 400
REST_TOKENS = 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefix_cache", description=__doc__)
    parser.add_argument("--model", choices=[*MODELS], default=BUILT_IN_ID)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with benchmark_models([options.model]) as (model,):
        loaded = load_model(model.folder, model_id="m", ops=choose_ops(num_threads=1).ops)
        rounds = [_first_and_second(loaded) for _ in range(options.rounds)]
    first, second = (1000 * median(times) for times in zip(*rounds, strict=True))
    print(f"{model.label}: {PREFIX_TOKENS} tokens in common, {REST_TOKENS} of each request's own")
    print(f"first {first:.2f} ms, second {second:.2f} ms of processor time: {second / first:.1%}")


def _first_and_second(model: LoadedModel) -> tuple[float, float]:
    """Seconds of one thread for a prompt and for another that begins like it, on a new engine."""
    engine = Engine(model, EngineConfig())
    prefix = [i * 37 % 3000 for i in range(PREFIX_TOKENS)]
    own = [range(start, start + REST_TOKENS) for start in (100, 200)]
    first, second = (_seconds(engine, model, (*prefix, *rest)) for rest in own)
    return first, second


def _seconds(engine: Engine, model: LoadedModel, prompt: tuple[int, ...]) -> float:
    request = GenerationRequest(
        request_id="r", prompt=prompt, model="m", strategy="greedy", max_new_tokens=1
    )
    prepared = prepare(request, model)
    started = thread_time()
    engine.add(prepared)
    while engine.has_work:
        engine.step()
    return thread_time() - started


if __name__ == "__main__":
    main()
