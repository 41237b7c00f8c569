"""What stands in the tables of a report, cell by cell; how a table looks is its format's matter."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.evaluation.comparison import compare
from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.report.wording import (
    BENCHMARK,
    change_interval,
    number,
    p_value,
    signed,
)


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and rows of as many cells."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def benchmark(evaluations: Sequence[Evaluation]) -> Table:
    """`model | perplexity | BLEU | ROUGE-L | ms per token`; perplexity is per token."""
    rows = [
        [e.name, *(number(f.value if (f := e.figure(key)) else None) for key, _ in BENCHMARK)]
        for e in evaluations
    ]
    return Table(["model", *(heading for _, heading in BENCHMARK)], rows)


def changes(before: Evaluation, after: Evaluation) -> Table:
    """Each figure before and after, how sure the change is, and which way it is."""
    rows = [
        [
            c.label,
            number(c.before),
            number(c.after),
            signed(c.difference.value),
            change_interval(c),
            p_value(c),
            c.verdict,
        ]
        for c in compare(before, after)
    ]
    return Table(["figure", "before", "after", "change", "95 % interval", "p", ""], rows)
