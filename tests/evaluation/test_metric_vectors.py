"""BLEU, chrF and ROUGE beside the values of their reference implementations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.evaluation.references import CorpusMetric, rouge

RAW = (
    ("smooth_method", "floor"),
    ("smooth_value", 0.01),
    ("tokenize", "none"),
    ("force", True),
    ("effective_order", True),
)  # what sacrebleu calls raw


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> Any:
    def read(name: str) -> Any:
        path = shared_data / "conformance" / "metrics" / f"{name}_vectors.json"
        return json.loads(path.read_text())

    return read


def corpus_score(metric: CorpusMetric, texts: list[str], references: list[list[str]]) -> float:
    """As evaluations do it: the sums of each text's statistics."""
    of_text = zip(*references, strict=True)
    rows = [metric.statistics(t, refs) for t, refs in zip(texts, of_text, strict=True)]
    return metric.score(np.asarray(rows, dtype=np.float64).sum(0))


def test_bleu_is_that_of_the_vectors(vectors: Any) -> None:
    cases = vectors("bleu")["corpus"]

    for case in cases:
        metric = CorpusMetric("bleu", tuple(case["args"].items()))
        found = corpus_score(metric, case["hyps"], case["refs"])
        assert found == pytest.approx(case["bleu"], abs=1e-6), case["args"]  # as they are printed
    assert len(cases) >= 6


def test_bleu_of_shorter_runs_and_of_raw_texts_is_that_of_the_vectors(vectors: Any) -> None:
    found = vectors("bleu")
    first = found["corpus"][0]
    for case in found["max_order"]:
        metric = CorpusMetric("bleu", (("max_ngram_order", case["order"]),))
        score = corpus_score(metric, first["hyps"], first["refs"])
        assert score == pytest.approx(case["bleu"], abs=0.01)
    raw = CorpusMetric("bleu", RAW)
    for case in found["raw"]:
        score = corpus_score(raw, case["hyps"], case["refs"])
        assert score == pytest.approx(case["bleu"])


def test_bleu_counts_what_the_vectors_count(vectors: Any) -> None:
    case = vectors("bleu")["statistics"]
    lengths = [len(case["hyp"].split()), len(case["ref"].split())]

    counted = CorpusMetric("bleu").statistics(case["hyp"], [case["ref"]])

    assert counted == [*lengths, *case["counts"], *case["totals"]]


def test_chrf_is_that_of_the_vectors(vectors: Any) -> None:
    groups = [vectors("chrf"), vectors("chrf")["whitespace_kept"]]
    num_cases = 0
    for group in groups:
        options = dict(group["args"])
        if "remove_whitespace" in options:
            options["whitespace"] = not options.pop("remove_whitespace")
        metric = CorpusMetric("chrf", tuple(options.items()))
        for case in group["cases"]:
            found = corpus_score(metric, case["hyps"], [case["refs"]])
            assert found == pytest.approx(case["chrf"], abs=1e-4), case
            num_cases += 1
    assert num_cases >= 8


def test_rouge_is_that_of_the_vectors(vectors: Any) -> None:
    found = vectors("rouge")
    num_cases = 0
    for place, pair in enumerate(found["pairs"]):
        scores = rouge(pair["prediction"], [pair["target"]])
        for name, score in scores.items():
            expected = 100 * found["expected_recall_precision_f1"][name][place][2]
            assert score == pytest.approx(expected, abs=1e-3)
            num_cases += 1
    for case in found["small"]:
        scores = rouge(case["prediction"], [case["target"]])
        for name in set(scores) & set(case):
            assert scores[name] == pytest.approx(100 * case[name][2], abs=1e-3)
            num_cases += 1
    assert num_cases >= 9


def test_the_nearest_of_several_references_counts() -> None:
    assert rouge("a b c", ["x y", "a b c"])["rougeL"] == pytest.approx(100)


def test_a_signature_names_version_and_number_of_references() -> None:
    signature = CorpusMetric("bleu").signature("2")

    assert "nrefs:2" in signature and "tok:13a" in signature and "version:" in signature
