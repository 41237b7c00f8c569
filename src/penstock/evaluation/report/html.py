"""A report as one page that needs nothing else: tables, plots and samples, in light and dark."""

from collections.abc import Iterator, Sequence
from html import escape

from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.report.plots import NUM_COLOURS, histogram, interval_plot
from penstock.evaluation.report.tables import Table, benchmark, changes
from penstock.evaluation.report.wording import (
    problems,
    provenance,
    signatures,
    title,
    with_interval,
)

STYLE = """
:root { color-scheme: light dark; --page: #fbfaf7; --ink: #22262b; --soft: #646b73; --line: #d9d6cf;
  --c0: #1f6feb; --c1: #c2410c; --c2: #15803d; --c3: #9333ea; --c4: #b45309; --c5: #0e7490;
  --good: #15803d; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --ink: #e6e4df; --soft: #9aa2ab;
  --line: #343a41; --c0: #6ea8fe; --c1: #fb923c; --c2: #4ade80; --c3: #c084fc; --c4: #fbbf24;
  --c5: #22d3ee; --good: #4ade80; --bad: #f87171; } }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; } h3 { margin: 1.5rem 0 .3rem; }
p, dt, .unit, figcaption { color: var(--soft); } .wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 500; }
.better { color: var(--good); } .worse { color: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr));
  gap: 1rem 2rem; } figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } .name { text-anchor: end; }
.tick { text-anchor: middle; } .axis { stroke: var(--soft); } .grid { stroke: var(--line); }
.line { stroke-width: 3; stroke-linecap: round; } .outline { stroke-width: 2; fill: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dd { margin: 0;
  overflow-wrap: anywhere; } pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0;
  padding: .6rem .8rem; border-left: 3px solid var(--line); font: inherit; }
.key { font-weight: 600; margin-right: 1rem; }
"""


def html(evaluations: Sequence[Evaluation]) -> str:
    """The whole page; the first evaluation is what the others are compared with."""
    colours = "".join(
        f"circle.c{i} {{ fill: var(--c{i}); }} "
        f".line.c{i}, .outline.c{i} {{ stroke: var(--c{i}); }} "
        f".key.c{i} {{ color: var(--c{i}); }} "
        for i in range(NUM_COLOURS)
    )
    heading = escape(f"Evaluation of {', '.join(e.name for e in evaluations)}")
    body = "\n".join(_sections(evaluations))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{STYLE}{colours}</style>\n</head>\n<body>\n"
        f"<h1>{heading}</h1>\n{body}\n</body>\n</html>\n"
    )


def _sections(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    first = evaluations[0]
    yield f"<p>{escape(first.data)}, {first.num_rows:,} rows. Intervals are 95 %, by bootstrap.</p>"
    yield _shown(benchmark(evaluations))
    yield (
        "<p>Perplexity is per token. Models with different tokens are compared per word, or in "
        "bits per byte.</p>"
    )
    for after in evaluations[1:]:
        yield f"<h2>From {escape(first.name)} to {escape(after.name)}</h2>"
        yield _shown(changes(first, after))
    yield "<h2>Figures</h2>"
    yield _figures(evaluations)
    yield _plots(evaluations)
    for evaluation in evaluations:
        yield from _details(evaluation)


def _figures(evaluations: Sequence[Evaluation]) -> str:
    kinds = {figure.name: figure for e in evaluations for figure in e.figures}
    rows = [
        [title(kind), *(with_interval(e.figure(name)) for e in evaluations)]
        for name, kind in kinds.items()
    ]
    return _shown(Table(["figure", *(e.name for e in evaluations)], rows))


def _plots(evaluations: Sequence[Evaluation]) -> str:
    kinds = {figure.name: figure for e in evaluations for figure in e.figures}
    plots = [
        (title(kind), interval_plot(evaluations, name))
        for name, kind in kinds.items()
        if any((f := e.figure(name)) and f.low is not None for e in evaluations)
    ]
    plots.append(("How many texts are how hard to foretell, bits per byte", histogram(evaluations)))
    shown = (
        f"<figure><figcaption>{escape(caption)}</figcaption>{plot}</figure>"
        for caption, plot in plots
        if plot
    )
    keys = "".join(
        f'<span class="key c{i % NUM_COLOURS}">{escape(e.name)}</span>'
        for i, e in enumerate(evaluations)
    )
    return f'<h2>Plots</h2><p>{keys}</p><div class="plots">{"".join(shown)}</div>'


def _details(evaluation: Evaluation) -> Iterator[str]:
    yield f"<h2>About {escape(evaluation.name)}</h2>"
    told = (*provenance(evaluation), *signatures(evaluation), *problems(evaluation))
    entries = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in told)
    yield f"<dl>{''.join(entries)}</dl>"
    for sample in evaluation.samples:
        yield f"<h3>Row {sample.row}</h3><pre>{escape(sample.prompt)}</pre>"
        yield f"<p>wrote</p><pre>{escape(sample.text)}</pre>"
        if sample.reference is not None:
            yield f"<p>where the reference is</p><pre>{escape(sample.reference)}</pre>"


def _shown(table: Table) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in table.headings)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    shown = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{shown}</div>'


def _cell(text: str) -> str:
    kind = f' class="{text}"' if text in ("better", "worse") else ""
    return f"<td{kind}>{escape(text)}</td>"
