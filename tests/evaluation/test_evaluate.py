"""A whole evaluation: what comes out, what is told on the way, and how it is stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import EvaluationCancelled, EvaluationError
from penstock.evaluation.comparison import compare
from penstock.evaluation.evaluate import Plan, evaluate
from penstock.evaluation.evaluation import Evaluation, from_json, read_evaluation, to_json
from penstock.evaluation.examples import Example, Examples
from penstock.evaluation.in_process import InProcess
from penstock.evaluation.progress import Progress
from penstock.evaluation.report.files import write_report
from penstock.evaluation.report.html import html
from penstock.evaluation.report.markdown import markdown
from penstock.evaluation.tasks import TASKS, find_tasks
from penstock.evaluation.tasks.exact_match import matches
from penstock.evaluation.writing import Writing, with_prompt
from tests.evaluation.subjects import subject_from

ROWS = (
    Example(row=1, text=" ".join(f"word{n} and" for n in range(60))),
    Example(row=2, prompt="Once upon a time", references=("there was a <b>dog</b>",)),
    Example(row=3, prompt="One day, a", references=("girl went out", "boy")),
    Example(row=4, prompt="The sky is", choices=("blue", "mathematics"), answer=0,
            references=("blue",)),
)  # fmt: skip
EXAMPLES = Examples(name="<rows>.jsonl", digest="abc", rows=ROWS)
PLAN = Plan(tasks=tuple(TASKS), writing=Writing(max_new_tokens=12))


@pytest.fixture(scope="module")
def tiny() -> InProcess:
    return subject_from("penstock-tiny")


@pytest.fixture(scope="module")
def evaluation(tiny: InProcess) -> Evaluation:
    return evaluate(PLAN, tiny, EXAMPLES)


def test_every_task_has_a_figure_with_a_value(evaluation: Evaluation) -> None:
    without = [f.name for f in evaluation.figures if f.value is None]

    assert without == []
    assert {f.name for f in evaluation.figures} >= {
        "perplexity", "perplexity_per_word", "bits_per_byte", "bleu", "chrf", "rouge1", "rougel",
        "distinct_2", "repetition", "exact_match", "accuracy", "ms_per_token", "first_token_ms",
        "weights_mib",
    }  # fmt: skip
    accuracy = evaluation.figure("accuracy")
    assert accuracy is not None and accuracy.value == 100


def test_the_same_comes_out_again(tiny: InProcess, evaluation: Evaluation) -> None:
    again = evaluate(PLAN, tiny, EXAMPLES)

    timeless = [f for f in evaluation.figures if f.unit not in ("ms", "MiB")]
    assert timeless == [f for f in again.figures if f.unit not in ("ms", "MiB")]
    assert again.samples == evaluation.samples


def test_a_report_is_read_back_as_it_was(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report([evaluation], tmp_path)

    assert from_json(json.loads(json.dumps(to_json(evaluation)))) == evaluation
    assert read_evaluation(tmp_path / "report.json") == evaluation
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]


@pytest.mark.parametrize("content", ["{}", "[", '{"format": "penstock-evaluation-1"}'])
def test_what_is_no_report_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(content)

    with pytest.raises(EvaluationError, match=r"is no report of an evaluation"):
        read_evaluation(tmp_path / "report.json")


def test_reports_show_texts_as_texts(evaluation: Evaluation) -> None:
    page, text = html([evaluation]), markdown([evaluation])

    assert "<b>dog</b>" not in page and "&lt;b&gt;dog&lt;/b&gt;" in page
    assert "&lt;rows&gt;.jsonl" in page
    assert "    there was a <b>dog</b>" in text  # indented: no Markdown, no HTML


def test_the_benchmark_table_has_a_line_per_model(evaluation: Evaluation) -> None:
    other = replace(evaluation, model="other", adapter="lora")

    lines = markdown([evaluation, other]).splitlines()[2:6]

    assert lines[0] == "| model | perplexity | BLEU | ROUGE-L | ms per token |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| penstock-tiny", "| other+lora"]
    assert "–" not in lines[2]


def test_a_model_beside_itself_shows_no_difference(evaluation: Evaluation) -> None:
    changes = compare(evaluation, evaluation)

    assert len(changes) >= 10
    assert {change.verdict for change in changes} == {"no difference shown"}
    assert all(change.difference.value == 0 for change in changes)


def test_other_data_cannot_be_compared(evaluation: Evaluation) -> None:
    with pytest.raises(EvaluationError, match=r"other data.*Evaluate both on the same file"):
        compare(evaluation, replace(evaluation, data_digest="other"))


def test_better_and_worse_are_told_by_which_way_a_figure_goes(evaluation: Evaluation) -> None:
    perplexity = evaluation.figure("perplexity")
    assert perplexity is not None
    rows = tuple(range(30))
    before = replace(perplexity, rows=rows, statistics=tuple((100.0 + n, 50.0) for n in rows))
    after = replace(perplexity, rows=rows, statistics=tuple((90.0 + n, 50.0) for n in rows))

    def changed(one: object, two: object) -> list[str]:
        pair = (replace(evaluation, figures=(f,)) for f in (one, two))  # type: ignore[arg-type]
        return [change.verdict for change in compare(*pair)]

    assert changed(before, after) == ["better"]
    assert changed(after, before) == ["worse"]


def test_progress_tells_stage_rate_and_time_left(tiny: InProcess) -> None:
    told: list[Progress] = []

    evaluate(PLAN, tiny, EXAMPLES, watch=told.append)

    ends = [p for p in told if p.num_done == p.num_total]
    assert [p.stage for p in ends] == [
        "scoring texts", "writing answers", "choosing answers", "measuring time"
    ]  # fmt: skip
    assert all(p.num_tokens > 0 and p.tokens_per_second > 0 for p in ends)
    assert all(p.seconds_left == 0 for p in ends)
    assert told[0].num_done == 0 and told[0].seconds_left is None


def test_a_cancelled_evaluation_ends_at_the_next_answer(tiny: InProcess) -> None:
    told: list[Progress] = []

    with pytest.raises(EvaluationCancelled, match=r"while writing answers"):
        evaluate(
            PLAN, tiny, EXAMPLES, watch=told.append,
            is_cancelled=lambda: bool(told) and told[-1].stage == "writing answers",
        )  # fmt: skip
    assert [p.num_done for p in told if p.stage == "writing answers"] == [0]


def test_data_without_what_a_task_needs_is_refused(tiny: InProcess) -> None:
    rows = Examples(name="a.txt", digest="0", rows=(Example(row=1, text="short"),))

    with pytest.raises(EvaluationError, match=r"a.txt has nothing that bleu, rouge could"):
        evaluate(Plan(tasks=("bleu", "rouge")), tiny, rows)


def test_unknown_tasks_and_limits_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"'perplexity,blue' cannot be done.*chrf"):
        find_tasks(["perplexity", "blue"])
    with pytest.raises(EvaluationError, match=r"limit=0"):
        Plan(limit=0)


def test_a_text_without_a_prompt_is_cut_in_two() -> None:
    cut = with_prompt(ROWS[0])

    assert len(cut.prompt.split()) == 32 and cut.prompt.endswith("word15 and")
    assert cut.references[0].startswith("word16 and") and len(cut.references[0].split()) == 64
    assert with_prompt(Example(row=1, text="too short")).prompt == ""


@pytest.mark.parametrize(
    ("text", "matched"),
    [(" The  Dog!\nmore", True), ("dog", True), ("dogs", False), ("", False), ("a cat", True)],
)
def test_exact_match_knows_no_case_marks_or_articles(text: str, matched: bool) -> None:
    assert matches(text, ("a dog.", "Cat")) is matched
