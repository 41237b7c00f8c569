"""`penstock evaluate`: from a file to a report, and what is said when it cannot be."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

ROWS = [
    {"text": "Once upon a time there was a little girl. She had a dog. They ran to the park."},
    {"prompt": "One day, the dog", "reference": "ran away"},
]


@pytest.fixture
def data(bare: Path) -> Path:
    path = bare / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_a_file_becomes_a_report_in_three_forms(penstock: Run, data: Path, bare: Path) -> None:
    status, printed, news = penstock(
        "evaluate", "--data", str(data), "--tasks", "perplexity,rouge", "--max-new-tokens", "8",
        "--out", "report",
    )  # fmt: skip

    assert (status, printed.splitlines()[2]) == (
        0, "| model | perplexity | BLEU | ROUGE-L | ms per token |",
    )  # fmt: skip
    assert "scoring texts, 0/2" in news and "report.html" in news
    report = json.loads((bare / "report" / "report.json").read_text())
    assert (report["model"], report["num_rows"]) == ("penstock-tiny", 2)
    assert (bare / "report" / "report.md").read_text() == printed.removesuffix("\n")

    status, printed, _ = penstock(
        "evaluate", "--data", str(data), "--tasks", "perplexity", "--against",
        "report/report.json", "--json",
    )  # fmt: skip
    before, after = json.loads(printed)["evaluations"]
    assert status == 0 and before["figures"][0] == after["figures"][0]


def test_rows_wait_for_each_other_as_long_as_it_takes(
    penstock: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.write_text("\n".join(json.dumps({"text": f"{n} dogs ran away."}) for n in range(40)))
    monkeypatch.setenv("PENSTOCK_LIMITS__MAX_WAIT_SECONDS", "0.001")  # of a server

    status, printed, news = penstock("evaluate", "--data", str(data), "--tasks", "perplexity")

    assert (status, "| penstock-tiny |" in printed) == (0, True), news


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", (), "holds nothing to evaluate on."),
        (b'{"text": 1}', (), "line 1: its text or prompt is no text."),
        (b"\xff", (), "is not UTF-8: byte 0, in line 1. Convert it"),
        (b'{"text": "a b c"}', ("--tasks", "blue"), "Use some of perplexity, bleu"),
        (b'{"text": "a b c"}', ("--stride", "512"), "stride=512 does not suit a context of 512"),
        (b'{"text": "a b c"}', ("--against", "rows.jsonl"), "is no report of an evaluation."),
        (b'{"text": "a"}', ("--tasks", "bleu"), "has nothing that bleu could be measured on."),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line_with_what_to_do(
    penstock: Run, data: Path, content: bytes, options: tuple[str, ...], message: str
) -> None:
    data.write_bytes(content)

    status, printed, news = penstock("evaluate", "--data", "rows.jsonl", *options)

    assert (status, printed) == (3, "")
    assert message in news.splitlines()[-1]


def test_bad_rows_are_left_out_and_told(penstock: Run, data: Path) -> None:
    data.write_text('{"text": "a little dog"}\n{\n')

    status, printed, news = penstock(
        "evaluate", "--data", "rows.jsonl", "--tasks", "perplexity", "--skip-bad-rows"
    )

    assert status == 0 and "Line 2 is left out: it is not valid JSON" in news
    assert "Rows: 1 used, 1 bad" in printed


def test_without_data_and_with_half_a_name_it_says_so(penstock: Run, data: Path) -> None:
    assert "Give a file with --data." in penstock("evaluate")[2]
    status, _, news = penstock("evaluate", "penstock-tiny+", "--data", str(data))
    assert status == 2 and "Write MODEL+ADAPTER" in news


def test_the_tasks_are_listed(penstock: Run) -> None:
    status, printed, _ = penstock("evaluate", "--list-tasks")

    assert status == 0 and "multiple_choice" in printed and "bits" not in printed
