"""What loading a model costs: reading its file, rounding its weights, laying them out.

Processor time of all threads stands beside the time on the wall: it tells what a stage costs on a
machine that others use too. Rates are in bytes of what a stage reads or writes, as the head says.

Usage: python -m benchmarks.loading [--models gpt2 qwen2] [--dtypes int8] [--rounds 3]
"""

import argparse
import math
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import torch
from torch import Tensor

from benchmarks.machine import num_cores
from benchmarks.models import MODELS, BenchmarkModel, benchmark_models
from penstock.model.checkpoint import read_weights
from penstock.model.dtypes import Dtype
from penstock.model.loading import STORES, load_model
from penstock.ops.choose import reason_for
from penstock.ops.kernel_library import Kernels, load_kernels
from penstock.ops.kernel_ops import KernelLinearWeight, KernelOps
from penstock.ops.quantised import QuantisedLinearWeight

DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "int8", "int4")
GIGABYTE = 1e9
Spent = tuple[float, float]  # on the wall, and of all threads' processor time


def main() -> None:
    options = _options()
    kernels = load_kernels()
    kernels.library.penstock_set_num_threads(options.threads)
    torch.set_num_threads(1)
    print(reason_for(kernels.isa_name, num_threads=options.threads))
    print("| model | dtype | loaded in | processor time | reading | rounding | laying out |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with benchmark_models(options.models) as models:
        for model in models:
            for dtype in options.dtypes:
                _print(model, dtype, kernels, options.rounds)


def _print(model: BenchmarkModel, dtype: Dtype, kernels: Kernels, rounds: int) -> None:
    """Medians of the rounds; rates are per second of processor time."""
    ops = KernelOps(kernels)
    whole = [
        _spent(lambda: load_model(model.folder, model_id="m", ops=ops, dtype=dtype))
        for _ in range(rounds)
    ]
    stages = [_stages(model, dtype, kernels) for _ in range(rounds)]
    reading, rounding, laying = (median(each) for each in zip(*stages, strict=True))
    print(
        f"| {model.id} | {dtype} | {median(wall for wall, _ in whole):.2f} s "
        f"| {median(processor for _, processor in whole):.2f} s "
        f"| {reading:.2f} GB/s | {_rate(rounding)} | {laying:.2f} GB/s |",
        flush=True,
    )


def _stages(model: BenchmarkModel, dtype: Dtype, kernels: Kernels) -> tuple[float, float, float]:
    """GB/s of the file that is read, of the fp32 that is rounded and of what is laid out."""
    weights: dict[str, Tensor] = {}
    reading = _spent(lambda: weights.update(_read(model)))[1]
    matrices = [t.float() for t in weights.values() if t.ndim == 2]
    rounded: list[Tensor | QuantisedLinearWeight] = []
    rounding = _spent(lambda: rounded.extend(_rounded(matrices, STORES[dtype], kernels)))[1]
    laid_out: list[KernelLinearWeight] = []
    laying = _spent(
        lambda: laid_out.extend(KernelLinearWeight(kernels, each, None) for each in rounded)
    )[1]
    return (
        sum(t.nbytes for t in weights.values()) / reading / GIGABYTE,
        sum(t.nbytes for t in matrices) / rounding / GIGABYTE if dtype != "float32" else math.nan,
        sum(each.num_bytes for each in laid_out) / laying / GIGABYTE,
    )


def _rounded(
    matrices: list[Tensor], store: torch.dtype, kernels: Kernels
) -> list[Tensor] | list[QuantisedLinearWeight]:
    if store.is_floating_point:
        return [matrix.to(store) for matrix in matrices]
    return [KernelOps(kernels).quantised(matrix, store) for matrix in matrices]


def _rate(gigabytes: float) -> str:
    return "" if math.isnan(gigabytes) else f"{gigabytes:.2f} GB/s"


def _read(model: BenchmarkModel) -> dict[str, Tensor]:
    """The tensors of the file, every page of them touched."""
    return {name: tensor.clone() for name, tensor in read_weights(model.folder).items()}


def _spent(work: Callable[[], object]) -> Spent:
    wall, processor = perf_counter(), process_time()
    work()
    return perf_counter() - wall, process_time() - processor


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=["gpt2"])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=[*DTYPES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=num_cores())
    return parser.parse_args()


if __name__ == "__main__":
    main()
