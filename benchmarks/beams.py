"""Beam search beside transformers': the same prompts, beams and lengths, in turn.

Usage: python -m benchmarks.beams [--model gpt2] [--streams 1 4] [--rounds 5]
"""

import argparse
from statistics import median
from time import perf_counter

from benchmarks.contender_process import ContenderProcess
from benchmarks.contenders import CONTENDERS
from benchmarks.load import Load, Run
from benchmarks.models import MODELS, benchmark_models
from benchmarks.prompts import prompts

NUM_BEAMS = 5
PROMPT_TOKENS = 64
NEW_TOKENS = 32
THEIRS = ("transformers-float32", "transformers-bfloat16")
OURS = ("penstock-float32", "penstock-bfloat16", "penstock-int8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beams", description=__doc__)
    parser.add_argument("--model", choices=[*MODELS], default="gpt2")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with benchmark_models([options.model]) as (model,):
        processes = {name: ContenderProcess(name, model.folder) for name in THEIRS + OURS}
        try:
            for process in processes.values():
                process.wait_until_loaded()
            given = prompts(model.folder, count=max(options.streams), num_tokens=PROMPT_TOKENS)
            print(f"{model.label}: {NUM_BEAMS} beams, {NEW_TOKENS} new tokens")
            for num_streams in options.streams:
                load = Load(
                    prompts=given[:num_streams],
                    arrivals=(0,) * num_streams,
                    new_tokens=NEW_TOKENS,
                    num_beams=NUM_BEAMS,
                )
                _print(num_streams, _seconds(processes, load, options.rounds))
        finally:
            for process in processes.values():
                process.close()


def _seconds(
    processes: dict[str, ContenderProcess], load: Load, rounds: int
) -> dict[str, list[float]]:
    """What every round took, A B C A B C …; the first, which warms up, is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds + 1):
        for name, process in processes.items():
            started = perf_counter()
            _check(process.run(load), load)
            if number > 0:
                seconds[name].append(perf_counter() - started)
    return seconds


def _check(run: Run, load: Load) -> None:
    for stream in run.streams:
        assert len(stream.token_ids) == load.new_tokens, len(stream.token_ids)


def _print(num_streams: int, seconds: dict[str, list[float]]) -> None:
    """Tokens per second, and the median over the rounds of how many times as fast as theirs."""
    tokens = num_streams * NEW_TOKENS
    best = min(THEIRS, key=lambda name: median(seconds[name]))
    for name, all_seconds in seconds.items():
        times = median(b / a for a, b in zip(all_seconds, seconds[best], strict=True))
        print(
            f"| {num_streams} | {CONTENDERS[name].label} | {tokens / median(all_seconds):.1f} "
            f"| {times:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
