"""How many requests may be under way at once. Decided before any work is done for a request.

Knows no models and no engines; used on the event loop alone.
"""

from penstock.errors import InvalidParameter, ServerBusy, ShuttingDown


class Admission:
    """Counts texts under way: a request for three counts three."""

    def __init__(self, *, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._num_in_flight = 0
        self._is_draining = False

    @property
    def max_in_flight(self) -> int:
        """How many places there are."""
        return self._max_in_flight

    @property
    def num_in_flight(self) -> int:
        """How many places are taken."""
        return self._num_in_flight

    @property
    def is_draining(self) -> bool:
        """No further request is taken."""
        return self._is_draining

    def drain(self) -> None:
        """Refuse every request from now on; those under way go on."""
        self._is_draining = True

    def enter(self, places: int) -> "Ticket":
        """Take places, or refuse at once. The ticket must be released."""
        if self._is_draining:
            raise ShuttingDown("The server is shutting down.", "Send the request again later.")
        if places > self._max_in_flight:
            raise InvalidParameter(
                f"The request asks for {places} texts at once.",
                f"Ask for {self._max_in_flight} or fewer.",
                param="num_return_sequences",
            )
        if self._num_in_flight + places > self._max_in_flight:
            raise ServerBusy(
                f"The server is at its limit of {self._max_in_flight} texts at once.",
                "Send the request again in a moment.",
            )
        self._num_in_flight += places
        return Ticket(self, places)

    def leave(self, places: int) -> None:
        """Give places back. Called by tickets."""
        self._num_in_flight -= places


class Ticket:
    """Places held in an `Admission` until released. Releasing twice is harmless."""

    def __init__(self, admission: Admission, places: int) -> None:
        self._admission = admission
        self._places = places

    def release(self) -> None:
        """Give the places back."""
        self._admission.leave(self._places)
        self._places = 0
