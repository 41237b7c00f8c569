"""Who is next among those who wait: fair between tenants, in order of arrival within each.

Every tenant has an account of the tokens that were computed for it; the next is whoever has had
least. Plain Python: no tensors, no clock.
"""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waits(Protocol):
    """What the queue must know of a request."""

    @property
    def tenant(self) -> str: ...

    @property
    def num_to_compute(self) -> int:
        """The tokens that its admission starts on."""


W = TypeVar("W", bound=Waits)


class FairQueue(Generic[W]):
    """Requests that wait. Those put back, which were under way already, come before all others."""

    def __init__(self) -> None:
        self._put_back: deque[W] = deque()
        self._queues: dict[str, deque[W]] = {}  # in the order in which their tenants came
        self._num_had: Counter[str] = Counter()  # tokens, of all tenants with requests
        self._num_held: Counter[str] = Counter()  # requests, waiting or under way

    def __len__(self) -> int:
        return len(self._put_back) + sum(map(len, self._queues.values()))

    def __contains__(self, request: W) -> bool:
        return request in self._put_back or request in self._queues.get(request.tenant, ())

    def add(self, request: W) -> None:
        """A new request. A tenant who had none starts level with who has had least.

        So nobody saves up a claim by staying away.
        """
        tenant = request.tenant
        if not self._num_held[tenant]:
            self._num_had[tenant] = min((self._num_had[t] for t in +self._num_held), default=0)
        self._num_held[tenant] += 1
        self._queues.setdefault(tenant, deque()).append(request)

    def put_back(self, request: W) -> None:
        """A request that was under way waits again."""
        self._put_back.appendleft(request)

    def charge(self, tenant: str, num_tokens: int) -> None:
        """So many tokens are computed for a tenant."""
        self._num_had[tenant] += num_tokens

    def first(self) -> W:
        """Who is next."""
        return self._put_back[0] if self._put_back else self._queues[self._next_tenant()][0]

    def take(self, request: W) -> None:
        """The request waits no more."""
        if request in self._put_back:
            self._put_back.remove(request)
            return
        queue = self._queues[request.tenant]
        queue.remove(request)
        if not queue:
            del self._queues[request.tenant]

    def forget(self, request: W) -> None:
        """The request, which does not wait, is over."""
        tenant = request.tenant
        self._num_held[tenant] -= 1
        if not self._num_held[tenant]:
            del self._num_held[tenant], self._num_had[tenant]

    def in_order(self) -> Iterator[W]:
        """All who wait, in the order in which they would be taken if nobody else came."""
        yield from self._put_back
        num_had = self._num_had.copy()
        queues = {tenant: deque(queue) for tenant, queue in self._queues.items()}
        while queues:
            tenant = min(queues, key=num_had.__getitem__)
            request = queues[tenant].popleft()
            yield request
            num_had[tenant] += request.num_to_compute
            if not queues[tenant]:
                del queues[tenant]

    def _next_tenant(self) -> str:
        return min(self._queues, key=self._num_had.__getitem__)
