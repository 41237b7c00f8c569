"""Where a tuned model comes from: data, recipe, code, base, and what was measured. Plain JSON."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import penstock
from penstock.evaluation.comparison import Change
from penstock.evaluation.evaluation import Evaluation
from penstock.registry.parity import TOLERANCE, Parity
from penstock.registry.run_folder import RECIPE, Run, data_digests


def lineage_of(
    run: Run,
    *,
    base: str | None,
    weights_digest: str,
    parity: Parity,
    after: Evaluation,
    changes: Sequence[Change],
) -> dict[str, Any]:
    """What `GET /models` tells of a promoted version."""
    recipe = run.folder / RECIPE
    return {
        "run": run.name,
        "kind": run.kind,
        "base": base,
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "step": run.step,
        "recipe": dict(run.recipe),
        "recipe_digest": _digest(recipe) if recipe.is_file() else None,
        "data_digests": data_digests(run),
        "code": {"penstock": penstock.__version__, "digest": code_digest()},
        "weights_digest": weights_digest,
        "parity": {"tolerance": TOLERANCE, "num_logits": parity.num_logits, **_rounded(parity)},
        "evaluated_on": {"data": after.data, "digest": after.data_digest, "rows": after.num_rows},
        "metrics": {
            f.name: {"value": f.value, "low": f.low, "high": f.high, "unit": f.unit}
            for f in after.figures
            if f.value is not None
        },
        "changes": [_plain(change) for change in changes],
    }


@cache
def code_digest() -> str:
    """One SHA-256 over the package's own source, whether or not it is under version control."""
    package = Path(penstock.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _rounded(parity: Parity) -> Mapping[str, Any]:
    return {"largest_difference": {k: float(f"{v:.3g}") for k, v in parity.largest.items()}}


def _plain(change: Change) -> dict[str, Any]:
    return asdict(change)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
