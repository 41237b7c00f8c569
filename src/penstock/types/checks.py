"""The refusals that every value with limits shares: by name, by value, and with what to use."""

import math
from collections.abc import Sized

from penstock.errors import InvalidParameter


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside `low`…`high`, NaN included, by name, value and range."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidParameter(
            f"{name}={value} is out of range.", f"Use {low} to {high}.", param=name
        )


def check_count(name: str, entries: Sized, most: int) -> None:
    """Refuse more entries than `most`."""
    if len(entries) > most:
        raise InvalidParameter(
            f"{name} has {len(entries)} entries.", f"Use at most {most}.", param=name
        )


def check_length(name: str, text: str | tuple[int, ...], longest: int) -> None:
    """Refuse a text with more characters, or token ids, than `longest`."""
    if len(text) > longest:
        unit = "characters" if isinstance(text, str) else "token ids"
        raise InvalidParameter(
            f"{name} has {len(text)} {unit}.", f"Use at most {longest}.", param=name
        )
