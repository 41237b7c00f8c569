"""Training tokens per second, ours and transformers' `Trainer`, in turns within one run.

Run: python -m benchmarks.training [--rounds 5] [--steps 20] [--bf16] [--compile] [--cpu-time]

Both train the same GPT-2 (5 layers, 256 wide, 4,096 tokens) from the same weights, 8 x 128
tokens a step, AdamW, with the loss logged every ten steps. The first three steps of each round
are not counted. What is compiled is said, and compared with a Trainer that compiles too.
`--cpu-time`, with one thread, measures the processor's time, which other programs change less.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch.utils.data import Dataset
from transformers import GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

from penstock.training.corpus import prepare_corpus
from penstock.training.recipe import Recipe
from penstock.training.recipe_file import load_recipe
from penstock.training.reporter import Reporter
from penstock.training.starting import start_training

WARM_UP = 3
BATCH, BLOCK = 8, 128
SHAPE = {"vocab_size": 4096, "n_embd": 256, "n_layer": 5, "n_head": 4, "n_positions": 512}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that is busy")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    speeds: dict[str, list[float]] = {"penstock": [], "transformers Trainer": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            place = Path(folder) / str(number)
            recipe = _recipe(place, options)
            speeds["penstock"].append(_ours(recipe, clock))
            speeds["transformers Trainer"].append(_theirs(recipe, options, clock))
            print(f"round {number + 1}: {[round(s[-1]) for s in speeds.values()]}", flush=True)
    dtype = "bfloat16" if options.bf16 else "float32"
    clocked = ", of one processor" if options.cpu_time else ""
    print(f"| {dtype}{clocked} | tokens/s (median) | slowest | fastest |")
    print("|---|---:|---:|---:|")
    for name, found in speeds.items():
        print(
            f"| {name} | {statistics.median(found):,.0f} | {min(found):,.0f} | {max(found):,.0f} |"
        )
    ratios = [a / b for a, b in zip(*speeds.values(), strict=True)]
    print(f"ratio, median of the rounds: {statistics.median(ratios):.2f}")


def _recipe(folder: Path, options: argparse.Namespace) -> Recipe:
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    words = [f"word{n}" for n in range(2000)]
    with (folder / "text.jsonl").open("w") as file:
        for _ in range(400):
            file.write(json.dumps({"text": " ".join(draw.choice(words, 200))}) + "\n")
    recipe = {
        "name": "speed",
        "data": [{"path": "text.jsonl"}],
        "model": SHAPE,
        "block_size": BLOCK,
        "batch_size": BATCH,
        "max_steps": options.steps + WARM_UP,
        "logging_steps": 10,
        "eval_steps": 10_000,
        "save_steps": 10_000,
        "learning_rate": 1e-4,
        "bf16": options.bf16,
        "compile": options.compile,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return load_recipe(path)


def _ours(recipe: Recipe, clock: Callable[[], float]) -> float:
    reporter = Reporter(Console(file=io.StringIO()))
    training = start_training(recipe, prepare_corpus(recipe), reporter)
    assert recipe.max_steps is not None
    for _ in range(WARM_UP):
        training.take_step()
    start = clock()
    while training.step < recipe.max_steps:
        training.take_step()
    seconds = clock() - start
    return (recipe.max_steps - WARM_UP) * recipe.tokens_per_step / seconds


class _Rows(Dataset[dict[str, torch.Tensor]]):
    def __init__(self, recipe: Recipe, count: int) -> None:
        tokens = torch.from_numpy(prepare_corpus(recipe).sources[0].tokens.astype(np.int64))
        self._rows = tokens[: count * BLOCK].view(count, BLOCK)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


class _Clock(TrainerCallback):  # type: ignore[misc]
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.start = self.end = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == WARM_UP:
            self.start = self._clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.end = self._clock()


def _theirs(recipe: Recipe, options: argparse.Namespace, clock_of: Callable[[], float]) -> float:
    training = start_training(recipe, prepare_corpus(recipe), Reporter(Console(file=io.StringIO())))
    config = training.model.config
    config._attn_implementation = "sdpa"
    model = GPT2LMHeadModel(config)
    model.load_state_dict(training.model.state_dict())
    clock = _Clock(clock_of)
    assert recipe.max_steps is not None
    arguments = TrainingArguments(
        output_dir=str(recipe.run_dir / "theirs"),
        per_device_train_batch_size=BATCH,
        max_steps=recipe.max_steps,
        learning_rate=recipe.learning_rate,
        logging_steps=10,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=options.bf16,
        torch_compile=options.compile,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    rows = _Rows(recipe, count=BATCH * 20)
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[clock])
    with _silence():
        trainer.train()
    steps = recipe.max_steps - WARM_UP
    return steps * BATCH * BLOCK / (clock.end - clock.start)


@contextmanager
def _silence() -> Iterator[None]:
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()):
        yield


if __name__ == "__main__":
    main()
