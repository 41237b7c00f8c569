"""Times the linear layers of one GPT-2 124M step: torch against the native kernels, in turn.

Run `python benchmarks/kernels.py`; `--help` names the options. Absolute figures depend on the
machine and on who else uses it: both sides take turns, and the ratio of their medians counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from penstock.model.dtypes import Dtype, packed_bytes
from penstock.ops.choose import reason_for
from penstock.ops.interface import INT4, Activation, LinearWeight, Ops
from penstock.ops.kernel_library import load_kernels
from penstock.ops.kernel_ops import KernelOps
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

Step = Callable[[int], list[float]]  # all layers once, for a number of rows: the seconds of each


def make_torch_step(weights: list[Tensor], store: torch.dtype) -> Step:
    """The layers as torch alone computes them."""
    stored = [weight.to(store) for weight in weights]
    biases = [torch.zeros(layer.out_features, dtype=store) for layer in LAYERS]

    def step(rows: int) -> list[float]:
        inputs = {width: torch.ones(rows, width, dtype=store) for width in (WIDTH, 4 * WIDTH)}
        moments = [time.perf_counter()]
        for layer, weight, bias in zip(LAYERS, stored, biases, strict=True):
            y = nn.functional.linear(inputs[layer.in_features], weight, bias)
            if layer.activation is not None:
                y = nn.functional.gelu(y, approximate="tanh")
            if layer.has_residual:
                y += inputs[WIDTH]
            moments.append(time.perf_counter())
        return [end - begin for begin, end in pairwise(moments)]

    return step


def make_ops_step(ops: Ops, weights: list[Tensor], store: torch.dtype) -> Step:
    """The same layers on an implementation of the operations."""
    packed: list[LinearWeight] = [
        ops.pack_linear(weight, torch.zeros(layer.out_features), store)
        for layer, weight in zip(LAYERS, weights, strict=True)
    ]

    def step(rows: int) -> list[float]:
        inputs = {width: torch.ones(rows, width) for width in (WIDTH, 4 * WIDTH)}
        moments = [time.perf_counter()]
        for layer, weight in zip(LAYERS, packed, strict=True):
            residual = inputs[WIDTH] if layer.has_residual else None
            ops.linear(inputs[layer.in_features], weight, layer.activation, residual)
            moments.append(time.perf_counter())
        return [end - begin for begin, end in pairwise(moments)]

    return step


def time_in_turn(
    steps: dict[str, Callable[[], list[float]]], seconds: float
) -> dict[str, list[list[float]]]:
    """Run A B C A B C … for about `seconds`; what every run took, layer by layer, by name."""
    times: dict[str, list[list[float]]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(next(iter(times.values()))) < 3:
        for name, step in steps.items():
            times[name].append(step())
    return times


def median_of(runs: list[list[float]]) -> float:
    return statistics.median(map(sum, runs))


def least_of(runs: list[list[float]]) -> float:
    """The sum of each layer's least time: what a machine that others use can do in between."""
    return sum(map(min, zip(*runs, strict=True)))


READ = "reading"


def make_reading(ops: Ops) -> Callable[[], list[float]]:
    """Reads as many bytes as a step has in bf16, and does little else: what memory can do.

    It is the kernel of fp32 with one row, since nothing of torch's reads as fast on one thread.
    """
    outputs = round(NUM_PARAMETERS * 2 / len(LAYERS) / 4 / WIDTH)
    blocks = [ops.pack_linear(torch.ones(outputs, WIDTH), None, torch.float32) for _ in LAYERS]
    row = torch.ones(1, WIDTH)

    def read() -> list[float]:
        moments = [time.perf_counter()]
        for block in blocks:
            ops.linear(row, block)
            moments.append(time.perf_counter())
        return [end - begin for begin, end in pairwise(moments)]

    return read


def bytes_of(name: str) -> int:
    dtypes: dict[str, Dtype] = {
        "fp32": "float32",
        "bf16": "bfloat16",
        "int8": "int8",
        "int4": "int4",
    }
    return packed_bytes(NUM_PARAMETERS, dtypes[name.split()[1]])


def print_rows(rows: int, times: dict[str, list[list[float]]]) -> None:
    bandwidth = NUM_PARAMETERS * 2 / least_of(times.pop(READ))
    baseline = median_of(next(iter(times.values())))
    for name, runs in times.items():
        median, least = median_of(runs), least_of(runs)
        print(
            f"| {rows} | {name} | {1000 * median:.1f} | {1000 * least:.1f} "
            f"| {baseline / median:.2f} | {bytes_of(name) / least / 1e9:.1f} "
            f"| {100 * bytes_of(name) / least / bandwidth:.0f} % "
            f"| {2 * NUM_PARAMETERS * rows / least / 1e9:.0f} |",
            flush=True,
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64, 256])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number of rows")
    parser.add_argument("--without", nargs="*", default=["torch int8"], help="names to leave out")
    parser.add_argument("--isa", default="best", help="instruction set of the kernels")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    kernels = load_kernels(arguments.isa)
    kernels.library.penstock_set_num_threads(arguments.threads)
    ops = KernelOps(kernels)
    torch.set_num_threads(arguments.threads)
    weights = [torch.randn(each.out_features, each.in_features) / 28 for each in LAYERS]
    sides: dict[str, Callable[[], Step]] = {
        "torch fp32": lambda: make_torch_step(weights, torch.float32),
        "torch bf16": lambda: make_torch_step(weights, torch.bfloat16),
        "kernel fp32": lambda: make_ops_step(ops, weights, torch.float32),
        "kernel bf16": lambda: make_ops_step(ops, weights, torch.bfloat16),
        "kernel int8": lambda: make_ops_step(ops, weights, torch.int8),
        "kernel int4": lambda: make_ops_step(ops, weights, INT4),
        "torch int8": lambda: make_ops_step(TorchOps(), weights, torch.int8),
    }
    kept = {name: make() for name, make in sides.items() if name not in arguments.without}
    print(
        f"{reason_for(kernels.isa_name, num_threads=arguments.threads)} torch {torch.__version__}."
    )
    print("GB/s, their share of what reading alone reached, and GFLOP/s are of the least times.")
    print("| rows | side | median ms | least ms | times as fast | GB/s | of reading | GFLOP/s |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|")
    reading = make_reading(ops)
    with torch.inference_mode():
        for rows in arguments.rows:
            bound = {name: (lambda s=step, r=rows: s(r)) for name, step in kept.items()}
            print_rows(rows, time_in_turn({**bound, READ: reading}, arguments.seconds))


if __name__ == "__main__":
    main()
