"""Writes a report into a folder: `report.md`, `report.html`, `report.json`, one more per model."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from penstock.evaluation.evaluation import Evaluation, to_json
from penstock.evaluation.report.html import html
from penstock.evaluation.report.markdown import markdown


def write_report(evaluations: Sequence[Evaluation], folder: Path) -> None:
    """Write all forms. With several models each has a JSON file of its own beside `report.json`.

    `report.json` is the last one's: that which a next evaluation is held against.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(evaluations), encoding="utf-8")
    (folder / "report.html").write_text(html(evaluations), encoding="utf-8")
    write_json(evaluations[-1], folder / "report.json")
    for evaluation in evaluations[:-1]:
        name = re.sub(r"[^A-Za-z0-9._+-]+", "-", evaluation.name)
        write_json(evaluation, folder / f"report-{name}.json")


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write what `read_evaluation` reads."""
    text = json.dumps(to_json(evaluation), ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
