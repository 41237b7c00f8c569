"""What a step suffers when another process takes one of the cores: throughput and longest gaps.

Run `python -m benchmarks.stolen_core`. The linear layers of a GPT-2 124M step in bf16, for one row;
rounds alone and beside a process that never yields the first core take turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.kernels import LAYERS, make_ops_step
from penstock.ops.choose import choose_ops

THIEF = "import os\nos.sched_setaffinity(0, {CORE})\nwhile True: pass"


def gaps(step: Callable[[int], object], seconds: float) -> list[float]:
    """How long each step took."""
    found = []
    deadline = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < deadline:
        step(1)
        found.append(time.perf_counter() - begin)
    return found


def gaps_beside_a_thief(step: Callable[[int], object], seconds: float) -> list[float]:
    core = min(os.sched_getaffinity(0))
    code = THIEF.replace("CORE", str(core))
    thief = subprocess.Popen([sys.executable, "-c", code])  # noqa: S603  # our own code
    try:
        time.sleep(0.3)
        return gaps(step, seconds)
    finally:
        thief.kill()
        thief.wait()


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each half of a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    chosen = choose_ops(prefer="kernel", num_threads=given.threads)
    weights = [torch.randn(each.out_features, each.in_features) / 28 for each in LAYERS]
    step = make_ops_step(chosen.ops, weights, torch.bfloat16)
    print(chosen.reason)
    print("| round | steps/s alone | beside | share | p99 over median alone | beside |")
    print("|---:|---:|---:|---:|---:|---:|")
    with torch.inference_mode():
        for number in range(given.rounds):
            alone = gaps(step, given.seconds)
            beside = gaps_beside_a_thief(step, given.seconds)
            rates = [len(found) / sum(found) for found in (alone, beside)]
            spreads = [p99(found) / statistics.median(found) for found in (alone, beside)]
            print(
                f"| {number + 1} | {rates[0]:.1f} | {rates[1]:.1f} | {rates[1] / rates[0]:.2f} "
                f"| {spreads[0]:.1f} | {spreads[1]:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
