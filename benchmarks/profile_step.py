"""Where the time of a decode step goes: kernels, the model around them, the engine around that.

Beside the time on the wall stands the processor time of the engine's own thread: on a machine that
others use too, it tells what the step costs from what it waits for.

Usage: python -m benchmarks.profile_step [--models NAME,…] [--dtypes float32] [--strategies greedy]
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, thread_time
from typing import Any

from benchmarks.machine import num_cores
from benchmarks.models import MODELS, USUAL, benchmark_models
from benchmarks.prompts import prompts
from penstock.engine import batch, computing
from penstock.engine.active_request import ActiveRequest
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.engine.scheduler import Scheduler
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.choose import choose_ops
from penstock.types import DecodingParams, GenerationRequest

PROMPT_TOKENS = 64
NUM_STEPS = 64
NUM_SKIPPED = 4  # the first decode steps find cold caches
STEP = "the whole step"
FORWARD = "the model's forward"
KERNELS = {
    "linear": "linear layers",
    "layer_norm": "layer norms",
    "paged_attention": "attention",
}
PARTS: dict[str, tuple[Any, str]] = {
    "scheduling": (Scheduler, "plan"),
    "building the batch": (batch, "build"),
    "asking the strategies": (ActiveRequest, "questions"),
    "choosing tokens": (computing, "answer"),
    "taking the answers": (ActiveRequest, "receive"),
    "strategies and output": (ActiveRequest, "decide"),
}


@dataclass(slots=True)
class Spent:
    """Seconds on the wall and of this thread's processor time."""

    wall: float = 0.0
    processor: float = 0.0


Step = dict[str, Spent]


class Watch:
    """Adds up what a step spends, by name. A timed call costs one or two microseconds more."""

    def __init__(self) -> None:
        self._spent: Step = defaultdict(Spent)

    def take(self) -> Step:
        """What was spent since the last time."""
        spent, self._spent = self._spent, defaultdict(Spent)
        return spent

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed_function(*args: Any, **kwargs: Any) -> Any:
            wall, processor = perf_counter(), thread_time()
            result = function(*args, **kwargs)
            spent = self._spent[name]
            spent.processor += thread_time() - processor
            spent.wall += perf_counter() - wall
            return result

        return timed_function


def main() -> None:
    options = _options()
    with benchmark_models(options.models) as models:
        for model in models:
            given = prompts(model.folder, count=max(options.streams), num_tokens=PROMPT_TOKENS)
            for dtype in options.dtypes:
                watch = Watch()
                chosen = choose_ops(num_threads=num_cores())
                for method, name in KERNELS.items():
                    setattr(chosen.ops, method, watch.timed(name, getattr(chosen.ops, method)))
                loaded = load_model(model.folder, model_id="m", ops=chosen.ops, dtype=dtype)
                for strategy in options.strategies:
                    for count in options.streams:
                        requests = [
                            _request(str(i), p.token_ids, strategy)
                            for i, p in enumerate(given[:count])
                        ]
                        with _watching(watch, loaded):
                            steps = _decode_steps(loaded, requests, watch)
                        title = f"{model.label}, {dtype}, {strategy}, {count} streams"
                        print(f"\n{title}. {chosen.reason}")
                        _print_split(steps)


@contextmanager
def _watching(watch: Watch, loaded: LoadedModel) -> Iterator[None]:
    """Time the engine's parts where they are called, and put them back afterwards."""
    places = PARTS | {FORWARD: (type(loaded.family), "forward")}
    originals = {name: getattr(owner, attribute) for name, (owner, attribute) in places.items()}
    for name, (owner, attribute) in places.items():
        setattr(owner, attribute, watch.timed(name, originals[name]))
    try:
        yield
    finally:
        for name, (owner, attribute) in places.items():
            setattr(owner, attribute, originals[name])


def _decode_steps(
    loaded: LoadedModel, requests: list[GenerationRequest], watch: Watch
) -> list[Step]:
    """What every step spends in which all requests write and none reads or ends."""
    running = Engine(loaded)
    for request in requests:
        running.add(prepare(request, loaded))
    timed_step = watch.timed(STEP, running.step)
    steps: list[Step] = []
    while running.has_work:
        outputs = timed_step()
        spent = watch.take()
        if len(outputs) == len(requests):
            steps.append(spent)
    return steps[NUM_SKIPPED:]


def _request(request_id: str, token_ids: tuple[int, ...], strategy: str) -> GenerationRequest:
    return GenerationRequest(
        request_id=request_id,
        prompt=token_ids,
        model="m",
        strategy=strategy,
        params=DecodingParams(top_k=50, top_p=0.95) if strategy != "greedy" else DecodingParams(),
        max_new_tokens=NUM_STEPS,
        min_new_tokens=NUM_STEPS,
        seed=1,
    )


def _print_split(steps: list[Step]) -> None:
    """Medians in milliseconds and their shares; what no part claims is told as well."""
    wall = _split(lambda name: median(step[name].wall for step in steps) * 1000)
    processor = _split(lambda name: median(step[name].processor for step in steps) * 1000)
    for name, value in wall.items():
        own = processor[name]
        print(
            f"  {name:30} {value:9.3f} ms {value / wall[STEP]:6.1%}"
            f"    own thread {own:9.3f} ms {own / processor[STEP]:6.1%}"
        )


def _split(milliseconds: Callable[[str], float]) -> dict[str, float]:
    whole, forward = milliseconds(STEP), milliseconds(FORWARD)
    kernels = {name: milliseconds(name) for name in KERNELS.values()}
    parts = {name: milliseconds(name) for name in PARTS}
    return {
        STEP: whole,
        FORWARD: forward,
        **{f"  {name}": value for name, value in kernels.items()},
        "  glue between the kernels": forward - sum(kernels.values()),
        "the engine around the model": whole - forward,
        **{f"  {name}": value for name, value in parts.items()},
        "  all else": whole - forward - sum(parts.values()),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_step", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*USUAL])
    parser.add_argument("--dtypes", nargs="+", default=["float32"])
    parser.add_argument("--strategies", nargs="+", default=["greedy", "sampling"])
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 16])
    return parser.parse_args()


if __name__ == "__main__":
    main()
