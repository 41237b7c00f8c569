"""Named settings of a strategy, for those who would rather start from what is known to work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """Parameters that go well together, by name, each as a client sends it and no default.

    Whatever it does not name keeps the strategy's default.
    """

    id: str
    label: str
    description: str  # one sentence: what it is good for
    values: Mapping[str, Any]
