"""What guessing ahead saves a lone stream whose text repeats itself: steps, and seconds of wall.

Every way writes the same tokens, one after the other in this process; the median of the rounds. A
draft is the model's own first layers. Of the GPT-2 shape the layers after those change nothing, so
that its draft is always right, which no real one is: what that saves is the most there is to save.

Usage: python -m benchmarks.guessing [--rounds 5] [--new-tokens 96]
"""

import argparse
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.models import BUILT_IN_ID, benchmark_models
from penstock.decoding.parameters import defaults
from penstock.decoding.strategies import STRATEGIES
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.drafts import with_draft
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.choose import choose_ops
from penstock.types import DecodingParams, GenerationRequest, TokensAdded

PROMPT = "The cat sat on the mat. The dog sat on the mat. " * 4
WAYS = {"a token a step": "sampling", "prompt lookup": "prompt_lookup", "assisted": "assisted"}
GUESSES = {"prompt_lookup_num_tokens", "max_matching_ngram_size", "draft_num_tokens"}
NUM_DRAFT_LAYERS = 2

Config = dict[str, Any]
Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Run:
    """One text: what it took after its first token, and what it came to."""

    num_steps: int
    seconds: float
    token_ids: tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guessing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=96)
    options = parser.parse_args()
    with _models() as models:
        for label, model in models:
            print(f"{label}, one stream of {options.new_tokens} tokens")
            runs = [_round(model, options.new_tokens) for _ in range(options.rounds + 1)][1:]
            _report(runs)


def _round(model: LoadedModel, num_tokens: int) -> dict[str, Run]:
    """Each way once; all must write the same."""
    runs = {name: _run(model, strategy, num_tokens) for name, strategy in WAYS.items()}
    assert len({run.token_ids for run in runs.values()}) == 1, "guessing changed a text"
    return runs


def _run(model: LoadedModel, strategy: str, num_tokens: int) -> Run:
    request = GenerationRequest(
        request_id="r",
        prompt=PROMPT,
        model="m",
        strategy=strategy,
        params=DecodingParams(**_as_suggested(strategy) | {"temperature": 0.0}),
        max_new_tokens=num_tokens,
        min_new_tokens=num_tokens,
    )
    engine = Engine(model)
    engine.add(prepare(request, model))
    token_ids: list[int] = []
    started, num_before = perf_counter(), 0
    while engine.has_work:
        for output in engine.step():
            if isinstance(output, TokensAdded):
                token_ids += output.token_ids
                if not num_before:
                    started, num_before = perf_counter(), engine.stats().num_steps
    seconds = perf_counter() - started
    return Run(engine.stats().num_steps - num_before, seconds, tuple(token_ids))


def _as_suggested(strategy: str) -> dict[str, Any]:
    values = defaults(STRATEGIES[strategy].parameters)
    return {name: value for name, value in values.items() if name in GUESSES}


def _report(rounds: Sequence[dict[str, Run]]) -> None:
    for name in WAYS:
        ratio = median(r["a token a step"].seconds / r[name].seconds for r in rounds)
        seconds = median(r[name].seconds for r in rounds)
        steps = rounds[0][name].num_steps
        print(f"  {name}: {steps} steps, {seconds:.3f} s, {ratio:.2f} times as fast", flush=True)


@contextmanager
def _models() -> Iterator[list[tuple[str, LoadedModel]]]:
    """Each with a draft that is its own beginning."""
    ops = choose_ops(prefer="auto", num_threads=os.cpu_count() or 1).ops
    with (
        benchmark_models(["gpt2", BUILT_IN_ID]) as (shape, built_in),
        TemporaryDirectory(prefix="penstock-drafts-") as scratch,
    ):
        silent = _changed(shape.folder, Path(scratch) / "silent", _silence)
        models = []
        for label, folder in (
            (f"{shape.label}, all but {NUM_DRAFT_LAYERS} layers silent", silent),
            (built_in.label, built_in.folder),
        ):
            draft = _changed(folder, Path(scratch) / f"draft of {folder.name}", _cut)
            model, small = (load_model(f, model_id="m", ops=ops) for f in (folder, draft))
            models.append((label, with_draft(model, small)))
        yield models


def _silence(config: Config, weights: Weights) -> Weights:
    """All layers are computed; those after the draft's add nothing to what they read."""
    silent = {n for n in weights if _layer(n) >= NUM_DRAFT_LAYERS and ".c_proj." in n}
    return {n: tensor * 0 if n in silent else tensor for n, tensor in weights.items()}


def _cut(config: Config, weights: Weights) -> Weights:
    """Only the first layers."""
    config["n_layer"] = NUM_DRAFT_LAYERS
    return {n: tensor for n, tensor in weights.items() if _layer(n) < NUM_DRAFT_LAYERS}


def _layer(name: str) -> int:
    """The layer that a weight of a GPT-2 belongs to; -1 if to none."""
    parts = name.split(".")
    return int(parts[parts.index("h") + 1]) if "h" in parts else -1


def _changed(source: Path, folder: Path, change: Callable[[Config, Weights], Weights]) -> Path:
    """A copy of a model's folder with other weights."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    weights = change(config, load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


if __name__ == "__main__":
    main()
