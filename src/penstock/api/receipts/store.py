"""The latest receipts, in memory, gone when the server stops. Used on the event loop alone."""

from collections import OrderedDict

from penstock.api.receipts.receipt import Receipt
from penstock.errors import ReceiptNotFound

MAX_RECEIPTS = 1000
MAX_CHARACTERS = 16 * 2**20
LONGEST_SHOWN = 80


class ReceiptStore:
    """Keeps so many receipts of so many characters in all; the oldest go first."""

    def __init__(
        self, *, max_receipts: int = MAX_RECEIPTS, max_characters: int = MAX_CHARACTERS
    ) -> None:
        self._max_receipts = max_receipts
        self._max_characters = max_characters
        self._kept: OrderedDict[str, str] = OrderedDict()  # as JSON, by name
        self._num_characters = 0

    def put(self, receipt: Receipt) -> None:
        """Keep a receipt, and let the oldest go where there are too many."""
        self._num_characters -= len(self._kept.pop(receipt.receipt, ""))
        text = receipt.model_dump_json()
        self._kept[receipt.receipt] = text
        self._num_characters += len(text)
        while len(self._kept) > self._max_receipts or self._num_characters > self._max_characters:
            _, oldest = self._kept.popitem(last=False)
            self._num_characters -= len(oldest)

    def get(self, name: str) -> Receipt:
        """The receipt. Raises `ReceiptNotFound`."""
        text = self._kept.get(name)
        if text is None:
            raise ReceiptNotFound(
                f"There is no receipt {name[:LONGEST_SHOWN]!r} here.",
                f"The latest {self._max_receipts} are kept until the server stops; send the "
                "receipt itself as `document`, as GET /receipts gave it, for an older one.",
                param="receipt",
            )
        return Receipt.model_validate_json(text)
