"""What batching makes of an evaluation: the same rows one at a time and together, in turn.

Usage: python -m benchmarks.evaluation [FOLDER] [--rows N] [--rounds N] [--threads N] [--cpu-time]

Three stages of `penstock evaluate`, each with as many rows in flight as the engine takes and with
one, and beside them the loop that evaluation scripts are mostly made of: transformers' `generate`
and forward pass, a row at a time. Rounds take turns, the median counts. `--cpu-time`, with one
thread, measures the processor's time, which other programs on the machine hardly change.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from penstock.evaluation.choosing import choose_answers
from penstock.evaluation.examples import Example
from penstock.evaluation.in_process import InProcess
from penstock.evaluation.progress import Watcher
from penstock.evaluation.scoring import Scoring, score_texts
from penstock.evaluation.subject import Answered
from penstock.evaluation.writing import Writing, write_texts
from penstock.model.hub import builtin_folder
from penstock.serving.local_models import num_cores
from penstock.serving.models import LoadingOptions, LoadPlan, ServedModel
from penstock.types import GenerationRequest

NUM_NEW = 64
SENTENCES = (
    "Once upon a time there was a miller who had a mill by the river.",
    "The little girl opened the door and saw a big red ball on the grass.",
    "One day the king came by with three horses and wanted bread.",
)
CHOICES = (
    " and they were happy.",
    " because of the mathematics.",
    " but nobody came.",
    " at last.",
)


@dataclass(frozen=True, slots=True)
class OneAtATime:
    """A subject that is asked one thing after another."""

    whole: InProcess

    @property
    def model(self) -> ServedModel:
        return self.whole.model

    @property
    def adapter(self) -> str | None:
        return self.whole.adapter

    def peak_bytes(self) -> int | None:
        return self.whole.peak_bytes()

    def start_token_id(self) -> int | None:
        return self.whole.start_token_id()

    def end_token_id(self) -> int | None:
        return self.whole.end_token_id()

    def tokenize(self, text: str) -> tuple[int, ...]:
        return self.whole.tokenize(text)

    def ask(
        self, requests: Iterable[GenerationRequest], *, in_flight: int = 1
    ) -> Iterator[Answered]:
        return self.whole.ask(requests, in_flight=1)


def rows(count: int) -> list[Example]:
    """Rows that differ in their beginnings, so that none is computed for another."""
    return [
        Example(
            row=n,
            text=f"Story {n}. {SENTENCES[n % 3]} {SENTENCES[(n + 1) % 3]}",
            prompt=f"Story {n}. {SENTENCES[n % 3]}",
            choices=CHOICES,
            answer=0,
        )
        for n in range(1, count + 1)
    ]


def stages(subject: Any, given: Sequence[Example]) -> dict[str, Callable[[], object]]:
    """What is measured of a subject."""
    written = Writing(max_new_tokens=NUM_NEW)
    return {
        "writing": lambda: write_texts(subject, given, written, Watcher()),
        "scoring short texts": lambda: score_texts(subject, given, Scoring(), Watcher()),
        "multiple choice": lambda: choose_answers(subject, given, Watcher()),
    }


def transformers_stages(
    folder: Path, given: Sequence[Example], threads: int
) -> dict[str, Callable[[], object]]:
    """The same by transformers, a row at a time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(text: str) -> Any:
        return torch.tensor([[tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]])

    @torch.inference_mode()
    def write() -> None:
        for row in given:
            ids = encode(row.prompt)
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NUM_NEW,
                do_sample=False,
                pad_token_id=tokenizer.eos_token_id,
            )

    @torch.inference_mode()
    def score(texts: Sequence[str]) -> None:
        for text in texts:
            ids = encode(text)
            model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None]).sum().item()

    return {
        "writing": write,
        "scoring short texts": lambda: score([row.text for row in given]),
        "multiple choice": lambda: score([r.prompt + c for r in given for c in r.choices]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=builtin_folder())
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that is busy")
    given = parser.parse_args()
    clock = time.process_time if given.cpu_time else time.perf_counter
    from penstock.serving.local_engine import load_hosted_model

    options = LoadingOptions(num_threads=given.threads)
    plan = LoadPlan(model_id=given.folder.name, folder=given.folder, options=options)
    whole = InProcess(load_hosted_model(plan))
    examples = rows(given.rows)
    contenders = {
        "batched": stages(whole, examples),
        "one at a time": stages(OneAtATime(whole), examples),
        "transformers, one at a time": transformers_stages(given.folder, examples, given.threads),
    }
    print(f"{describe()}\n{given.folder.name}, {given.rows} rows, {given.threads} threads")
    print("| stage | batched, s | one at a time, s | × | transformers, s | × |")
    print("|---|---:|---:|---:|---:|---:|")
    in_all = dict.fromkeys(contenders, 0.0)
    for stage in contenders["batched"]:
        seconds = _medians({name: c[stage] for name, c in contenders.items()}, given.rounds, clock)
        print(_line(stage, *seconds.values()), flush=True)
        in_all = {name: in_all[name] + seconds[name] for name in in_all}
    print(_line("in all", *in_all.values()))


def _line(stage: str, batched: float, alone: float, theirs: float) -> str:
    return (
        f"| {stage} | {batched:.2f} | {alone:.2f} | {alone / batched:.1f} | {theirs:.2f} | "
        f"{theirs / batched:.1f} |"
    )


def _medians(
    work: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, run in work.items():
            began = clock()
            run()
            times[name].append(clock() - began)
    return {name: statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    main()
