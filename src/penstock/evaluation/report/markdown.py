"""A report as Markdown: the benchmark table, all figures, and what changed."""

from collections.abc import Iterator, Sequence

from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.report.tables import Table, benchmark, changes
from penstock.evaluation.report.wording import (
    problems,
    provenance,
    signatures,
    with_interval,
)


def markdown(evaluations: Sequence[Evaluation]) -> str:
    """The whole report; the first evaluation is what the others are compared with."""
    return "\n\n".join(_sections(evaluations)) + "\n"


def _sections(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    yield "# Evaluation"
    yield _shown(benchmark(evaluations))
    yield (
        "Perplexity is per token; models with different tokens are compared per word or in bits "
        "per byte. Intervals are 95 %, by bootstrap over rows."
    )
    yield "## Figures"
    yield _figures(evaluations)
    before = evaluations[0]
    for after in evaluations[1:]:
        yield f"## From {before.name} to {after.name}"
        yield _shown(changes(before, after))
    for evaluation in evaluations:
        yield from _details(evaluation)


def _figures(evaluations: Sequence[Evaluation]) -> str:
    kinds = {figure.name: figure for e in evaluations for figure in e.figures}
    rows = [
        [kind.label, kind.unit, *(with_interval(e.figure(name)) for e in evaluations)]
        for name, kind in kinds.items()
    ]
    return _shown(Table(["figure", "unit", *(e.name for e in evaluations)], rows))


def _details(evaluation: Evaluation) -> Iterator[str]:
    yield f"## About {evaluation.name}"
    told = (*provenance(evaluation), *signatures(evaluation), *problems(evaluation))
    yield "\n".join(f"- {name}: {text}" for name, text in told)
    for sample in evaluation.samples:
        yield f"### Row {sample.row}"
        yield _quoted(sample.prompt)
        yield f"wrote\n\n{_quoted(sample.text)}"
        if sample.reference is not None:
            yield f"where the reference is\n\n{_quoted(sample.reference)}"


def _quoted(text: str) -> str:
    """Text as it is: indented, so that nothing in it is taken for Markdown."""
    return "\n".join(f"    {line}" for line in text.splitlines() or [""])


def _shown(table: Table) -> str:
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
