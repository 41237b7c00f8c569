"""The latest receipts of each owner, in memory, gone when the server stops.

Used on the event loop alone.
"""

from penstock.api.latest import MAX_CHARACTERS, MAX_ENTRIES, Latest
from penstock.api.owner import name_for_owner
from penstock.api.receipts.receipt import Receipt
from penstock.errors import ReceiptNotFound

LONGEST_SHOWN = 80


class ReceiptStore:
    """Keeps so many receipts of so many characters in all; the oldest go first."""

    def __init__(
        self, *, max_receipts: int = MAX_ENTRIES, max_characters: int = MAX_CHARACTERS
    ) -> None:
        self._latest = Latest[str](len, max_entries=max_receipts, max_characters=max_characters)

    def put(self, receipt: Receipt) -> None:
        """Keep a receipt, as JSON, and let the oldest go where there are too many."""
        self._latest.put(name_for_owner(receipt.receipt), receipt.model_dump_json())

    def get(self, name: str) -> Receipt:
        """The receipt. Raises `ReceiptNotFound`."""
        text = self._latest.get(name_for_owner(name))
        if text is None:
            raise ReceiptNotFound(
                f"There is no receipt {name[:LONGEST_SHOWN]!r} here.",
                f"The latest {self._latest.max_entries} are kept until the server stops; send the "
                "receipt itself as `document`, as GET /receipts gave it, for an older one.",
                param="receipt",
            )
        return Receipt.model_validate_json(text)
