"""A short, stable name for everything that decided a text: equal receipts mean equal texts.

Nothing is stored yet; `docs/decisions/0009-receipts.md` says what goes in and why.
"""

import dataclasses
import hashlib
import json
from typing import Any

DIGITS = 24


def receipt_of(**decided: Any) -> str:
    """The receipt for these facts. Order does not matter; every value counts."""
    text = json.dumps(decided, sort_keys=True, separators=(",", ":"), default=dataclasses.asdict)
    return f"rcpt_{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"
