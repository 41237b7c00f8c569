"""Times the linear layers of one GPT-2 124M step: torch against the native kernels, in turn.

Run `python benchmarks/kernels.py`; `--help` names the options. Absolute figures depend on the
machine and on who else uses it: both sides take turns, and the ratio of their medians counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penstock.model.dtypes import Dtype, packed_bytes
from penstock.ops.choose import choose_ops
from penstock.ops.interface import Activation, LinearWeight, Ops
from penstock.ops.torch_ops import TorchOps

WIDTH, NUM_LAYERS, VOCABULARY = 768, 12, 50257
NUM_PARAMETERS = NUM_LAYERS * 12 * WIDTH**2 + WIDTH * VOCABULARY


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear layer of a step, and what is fused into it."""

    in_features: int
    out_features: int
    activation: Activation | None = None
    has_residual: bool = False


BLOCK = (
    Layer(WIDTH, 3 * WIDTH),
    Layer(WIDTH, WIDTH, has_residual=True),
    Layer(WIDTH, 4 * WIDTH, activation="gelu_new"),
    Layer(4 * WIDTH, WIDTH, has_residual=True),
)
LAYERS = (*BLOCK * NUM_LAYERS, Layer(WIDTH, VOCABULARY))

Step = Callable[[int], None]  # all layers once, for a number of rows


def make_torch_step(weights: list[Tensor], store: torch.dtype) -> Step:
    """The layers as torch alone computes them."""
    stored = [weight.to(store) for weight in weights]
    biases = [torch.zeros(layer.out_features, dtype=store) for layer in LAYERS]

    def step(rows: int) -> None:
        inputs = {width: torch.ones(rows, width, dtype=store) for width in (WIDTH, 4 * WIDTH)}
        for layer, weight, bias in zip(LAYERS, stored, biases, strict=True):
            y = nn.functional.linear(inputs[layer.in_features], weight, bias)
            if layer.activation is not None:
                y = nn.functional.gelu(y, approximate="tanh")
            if layer.has_residual:
                y += inputs[WIDTH]

    return step


def make_ops_step(ops: Ops, weights: list[Tensor], store: torch.dtype) -> Step:
    """The same layers on an implementation of the operations."""
    packed: list[LinearWeight] = [
        ops.pack_linear(weight, torch.zeros(layer.out_features), store)
        for layer, weight in zip(LAYERS, weights, strict=True)
    ]

    def step(rows: int) -> None:
        inputs = {width: torch.ones(rows, width) for width in (WIDTH, 4 * WIDTH)}
        for layer, weight in zip(LAYERS, packed, strict=True):
            residual = inputs[WIDTH] if layer.has_residual else None
            ops.linear(inputs[layer.in_features], weight, layer.activation, residual)

    return step


def time_in_turn(steps: dict[str, Callable[[], None]], seconds: float) -> dict[str, list[float]]:
    """Run A B C A B C … for about `seconds`; the seconds of every run, by name."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(next(iter(times.values()))) < 3:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return times


def measure_bandwidth() -> float:
    """Bytes per second of reading memory, with torch's threads."""
    block = torch.ones(64 << 20)
    (times,) = time_in_turn({"sum": block.sum}, 0.5).values()
    return block.nbytes / min(times)


def bytes_of(name: str) -> int:
    dtypes: dict[str, Dtype] = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}
    return packed_bytes(NUM_PARAMETERS, dtypes[name.split()[1]])


def print_row(rows: int, times: dict[str, list[float]]) -> None:
    baseline = statistics.median(next(iter(times.values())))
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(
            f"| {rows} | {name} | {1000 * median:.1f} | {1000 * min(seconds):.1f} "
            f"| {baseline / median:.2f} | {bytes_of(name) / median / 1e9:.1f} "
            f"| {2 * NUM_PARAMETERS * rows / median / 1e9:.0f} |",
            flush=True,
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64, 256])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number of rows")
    parser.add_argument("--without", nargs="*", default=[], help="names to leave out")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    chosen = choose_ops(prefer="kernel", num_threads=arguments.threads)
    torch.set_num_threads(arguments.threads)  # choose_ops takes torch's threads away
    weights = [torch.randn(each.out_features, each.in_features) / 28 for each in LAYERS]
    steps = {
        "torch fp32": make_torch_step(weights, torch.float32),
        "torch bf16": make_torch_step(weights, torch.bfloat16),
        "kernel fp32": make_ops_step(chosen.ops, weights, torch.float32),
        "kernel bf16": make_ops_step(chosen.ops, weights, torch.bfloat16),
        "kernel int8": make_ops_step(chosen.ops, weights, torch.int8),
        "torch int8": make_ops_step(TorchOps(), weights, torch.int8),
    }
    kept = {name: step for name, step in steps.items() if name not in arguments.without}
    print(f"{chosen.reason} torch {torch.__version__}.", f"{measure_bandwidth() / 1e9:.1f} GB/s.")
    print("| rows | side | median ms | least ms | times as fast | GB/s | GFLOP/s |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    with torch.inference_mode():
        for rows in arguments.rows:
            bound = {name: (lambda s=step, r=rows: s(r)) for name, step in kept.items()}
            print_row(rows, time_in_turn(bound, arguments.seconds))


if __name__ == "__main__":
    main()
