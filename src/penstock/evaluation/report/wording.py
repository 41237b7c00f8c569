"""How a report writes numbers and what they are. Pure; knows no format."""

from penstock.evaluation.comparison import Change
from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.figures import Figure

BENCHMARK = (
    ("perplexity", "perplexity"),
    ("bleu", "BLEU"),
    ("rougel", "ROUGE-L"),
    ("ms_per_token", "ms per token"),
)
NONE = "–"


def number(value: float | None) -> str:
    """Four digits that count, and no more than are known."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3}f}"


def with_interval(figure: Figure | None) -> str:
    """The value, and where it lies at 95 %."""
    if figure is None or figure.value is None:
        return NONE
    if figure.low is None or figure.high is None:
        return number(figure.value)
    return f"{number(figure.value)} ({number(figure.low)} to {number(figure.high)})"


def title(figure: Figure) -> str:
    """A figure's name with its unit, once."""
    is_said = figure.unit.lower() in figure.label.lower()
    return figure.label if is_said else f"{figure.label}, {figure.unit}"


def signed(value: float) -> str:
    """A change, with its sign."""
    return f"{'+' if value > 0 else ''}{number(value)}"


def change_interval(change: Change) -> str:
    found = change.difference.interval
    return NONE if found is None else f"{signed(found.low)} to {signed(found.high)}"


def p_value(change: Change) -> str:
    found = change.difference.p_value
    if found is None:
        return NONE
    return "< 0.001" if found < 0.001 else f"{found:.3f}"


def provenance(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Where the figures of one evaluation come from."""
    settings = evaluation.settings
    stride = settings.get("stride")
    return [
        ("Model", evaluation.name),
        ("Weights", f"{evaluation.weights_digest[:12]}, {evaluation.dtype}, {evaluation.ops}"),
        ("Data", f"{evaluation.data}, SHA-256 {evaluation.data_digest[:12]}"),
        ("Rows", f"{evaluation.num_rows:,} used, {evaluation.num_bad_rows:,} bad"),
        ("Windows", "side by side" if stride is None else f"stride {stride} tokens"),
        (
            "Writing",
            f"{settings.get('strategy')}, at most {settings.get('max_new_tokens')} tokens, "
            f"seed {settings.get('seed')}",
        ),
        ("Made", f"{evaluation.created_at} by Penstock {evaluation.penstock_version}"),
        ("Took", f"{evaluation.seconds:.1f} s"),
    ]


def signatures(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What others must know to get the same figures."""
    return [(f.label, f.signature) for f in evaluation.figures if f.signature]


def problems(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Figures without a value, and why."""
    return [(f.label, f.problem) for f in evaluation.figures if f.problem]
