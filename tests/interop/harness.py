"""lm-evaluation-harness through the server beside its own `hf` model on the same weights."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none"}

import lm_eval
from lm_eval.tasks import TaskManager
from transformers import AutoTokenizer

MOST_APART = 1e-3
CONTEXT = 512


def compare(url: str, model: Path, tasks: Sequence[str], folder: Path) -> None:
    """Evaluate both ways. Fails where a metric or one answer's log-probability is further apart."""
    logging.disable(logging.WARNING)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    begins = tokenizer("x").input_ids[0] == tokenizer.bos_token_id  # as `hf` does by itself
    through_server = {
        "model": model.name, "base_url": f"{url}/v1/completions", "tokenizer": str(model),
        "tokenizer_backend": "huggingface", "tokenized_requests": True, "num_concurrent": 4,
        "max_length": CONTEXT, "batch_size": 4, "add_bos_token": begins,
    }  # fmt: skip
    by_hand = {"pretrained": str(model), "dtype": "float32", "max_length": CONTEXT}  # fmt: skip
    ours = evaluate("local-completions", through_server, tasks, manager)
    theirs = evaluate("hf", by_hand, tasks, manager)
    for task in tasks:
        apart = max(
            distance(*pair) for pair in zip(answers(ours, task), answers(theirs, task), strict=True)
        )
        metrics = {
            name: (value, theirs["results"][task][name])
            for name, value in ours["results"][task].items()
            if isinstance(value, float) and "stderr" not in name
        }
        print(f"{model.name} {task}: answers at most {apart:.6f} apart; {metrics}")
        assert apart <= MOST_APART, f"{task} is {apart} apart"
        assert all(abs(a - b) <= MOST_APART for a, b in metrics.values()), metrics


def evaluate(
    model: str, arguments: dict[str, Any], tasks: Sequence[str], manager: TaskManager
) -> dict[str, Any]:
    """One run of the harness, with every answer."""
    found: dict[str, Any] = lm_eval.simple_evaluate(
        model=model, model_args=arguments, tasks=list(tasks), task_manager=manager,
        log_samples=True, bootstrap_iters=0, device="cpu" if model == "hf" else None,
    )  # fmt: skip
    return found


def answers(results: dict[str, Any], task: str) -> list[list[float]]:
    """The log-probabilities of each document, in order."""
    samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
    return [[first(answer) for answer in sample["filtered_resps"]] for sample in samples]


def first(answer: Any) -> float:
    """A log-probability, beside which may stand whether it was the likeliest."""
    return float(answer[0] if isinstance(answer, list | tuple) else answer)


def distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The most that two lists of numbers are apart."""
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
