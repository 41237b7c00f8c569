"""How much may be under way and waiting at once. Decided before any work is done for a request.

Knows no models and no engines; used on the event loop alone.
"""

from penstock.errors import InvalidParameter, ServerBusy, ShuttingDown
from penstock.serving.callers import caller

DEFAULT_MAX_WAITING_TOKENS = 32_768


class Admission:
    """Counts texts under way, a request for three counts three, and tokens not begun with yet.

    Tokens are guessed from the size of what was sent. A request that finds nobody waiting is let in
    whatever its size: whether it fits the model is for others to say.
    """

    def __init__(
        self, *, max_in_flight: int, max_waiting_tokens: int = DEFAULT_MAX_WAITING_TOKENS
    ) -> None:
        self._max_in_flight = max_in_flight
        self._max_waiting_tokens = max_waiting_tokens
        self._num_in_flight = 0
        self._num_waiting_tokens = 0
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
    def num_waiting_tokens(self) -> int:
        """About how many tokens wait to be read."""
        return self._num_waiting_tokens

    @property
    def is_draining(self) -> bool:
        """No further request is taken."""
        return self._is_draining

    def drain(self) -> None:
        """Refuse every request from now on; those under way go on."""
        self._is_draining = True

    def enter(self, places: int) -> "Ticket":
        """Take places, or refuse at once. The ticket must be released."""
        who = caller()
        num_tokens = who.num_tokens
        if places > self._max_in_flight:
            raise InvalidParameter(
                f"The request asks for {places} texts at once.",
                f"Ask for {self._max_in_flight} or fewer.",
                param="num_return_sequences",
            )
        self.check_open(places)
        waiting = self._num_waiting_tokens
        if waiting and waiting + num_tokens > self._max_waiting_tokens:
            raise ServerBusy(
                f"About {waiting} tokens of other requests wait to be read, and this one has about "
                f"{num_tokens}; the limit is {self._max_waiting_tokens}.",
                "Send the request again in a moment.",
            )
        self._num_in_flight += places
        self._num_waiting_tokens += num_tokens
        ticket = Ticket(self, places, num_tokens)
        who.begin = ticket.begin
        return ticket

    def check_open(self, places: int = 1) -> None:
        """Whether there are so many places now. Raises `ServerBusy`, or `ShuttingDown`."""
        if self._is_draining:
            raise ShuttingDown("The server is shutting down.", "Send the request again later.")
        if self._num_in_flight + places > self._max_in_flight:
            raise ServerBusy(
                f"The server is at its limit of {self._max_in_flight} texts at once.",
                "Send the request again in a moment.",
            )

    def begin(self, num_tokens: int) -> None:
        """Tokens wait no more. Called by tickets."""
        self._num_waiting_tokens -= num_tokens

    def leave(self, places: int) -> None:
        """Give places back. Called by tickets."""
        self._num_in_flight -= places


class Ticket:
    """Places held in an `Admission`, and tokens that wait. Doing either twice is harmless."""

    def __init__(self, admission: Admission, places: int, num_tokens: int) -> None:
        self._admission = admission
        self._places = places
        self._num_tokens = num_tokens

    def begin(self) -> None:
        """The request is being computed: it waits no more."""
        self._admission.begin(self._num_tokens)
        self._num_tokens = 0

    def release(self) -> None:
        """Give the places back."""
        self.begin()
        self._admission.leave(self._places)
        self._places = 0
