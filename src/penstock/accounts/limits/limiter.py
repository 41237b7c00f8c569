"""Says whether somebody's request may go on, takes its share of their limits, and gives back.

Tokens are taken before they are written, as many as the request may come to; what it did not use
is given back when it ends. Why it is so: `docs/decisions/0049-limits-are-taken-before.md`.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.accounts.limits.counting import Count, Counts, Share
from penstock.accounts.limits.limits import DAY, WINDOWS, Left, Limits, Unit
from penstock.accounts.limits.store import Changes, LimitStore
from penstock.accounts.principal import Principal
from penstock.errors import LimitReached, RequestOverLimit

STREAM_RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Held:
    """A limit of somebody's that is counted."""

    whose: str
    subject: str
    name: str
    most: int


class Limiter:
    """The limits of everybody who has an account. Those of users, by default, and none of keys."""

    def __init__(self, store: LimitStore, counts: Counts, defaults: Limits) -> None:
        self.store = store
        self.counts = counts
        self.defaults = defaults

    def allowance(self, principal: Principal) -> "Allowance | None":
        """What one request of theirs may take; none: without an account nothing is limited."""
        return Allowance(self, principal) if principal.is_signed_in else None

    async def limits(self, subject: str) -> Limits:
        """Those of `user:ID` or `key:ID`."""
        (changes,) = await self.store.of([subject])
        return self._limits(subject, changes)

    async def standing(self, principal: Principal) -> Sequence[Left]:
        """How all limits of theirs stand."""
        held = await self.held(principal)
        count = await self.counts.read([_share(one, 0, "") for one in held])
        return _lefts(held, count)

    async def held(self, principal: Principal) -> Sequence[_Held]:
        """The limits that hold for them: those of the account and, by a key, of the key."""
        subjects = {"account": user_subject(principal.owner)}
        if principal.key_id is not None:
            subjects["key"] = key_subject(principal.key_id)
        found = await self.store.of(list(subjects.values()))
        held: list[_Held] = []
        for (whose, subject), changes in zip(subjects.items(), found, strict=True):
            limits = self._limits(subject, changes)
            for name in WINDOWS:
                if (most := getattr(limits, name)) is not None:
                    held.append(_Held(whose, subject, name, most))
        return held

    def _limits(self, subject: str, changes: Changes) -> Limits:
        base = Limits() if subject.startswith("key:") else self.defaults
        return base.set_to(changes)


class Allowance:
    """What one request of somebody may take. What it has the engine do several times is counted
    once as a request, and each time in tokens.
    """

    def __init__(self, limiter: Limiter, principal: Principal) -> None:
        self._limiter = limiter
        self._principal = principal
        self._lease = uuid.uuid4().hex
        self._num_open = 0
        self._is_counted = False
        self._only_looks = False
        self.standing: Sequence[Left] = ()

    async def take(self, num_tokens: int) -> "Taking":
        """Take as many tokens as may be used. Raises `LimitReached` or `RequestOverLimit`."""
        held = await self._limiter.held(self._principal)
        amounts: Mapping[Unit, int] = {
            Unit.REQUESTS: 0 if self._is_counted else 1,
            Unit.TOKENS: num_tokens,
            Unit.STREAMS: 0 if self._num_open else 1,
        }
        shares = [
            _share(one, 0 if self._spares(one) else amounts[WINDOWS[one.name].unit], self._lease)
            for one in held
        ]
        self._num_open += 1  # before anything waits: what comes meanwhile shares the place
        was_counted, self._is_counted = self._is_counted, True
        try:
            count = await self._limiter.counts.take(shares)
            self.standing = _lefts(held, count)
            if count.refused is not None:
                raise _refusal(self.standing[count.refused], shares[count.refused].amount)
        except BaseException:
            self._num_open -= 1
            self._is_counted = was_counted
            raise
        self.standing = _lefts(held, count, shares)
        return Taking(self, shares, count, num_tokens)

    def only_look(self) -> None:
        """No text is asked for: it takes tokens, and of the requests of a minute, not of a day."""
        self._only_looks = True

    def _spares(self, held: _Held) -> bool:
        window = WINDOWS[held.name]
        return self._only_looks and window.unit is Unit.REQUESTS and window.seconds == DAY

    def give_back(self, taking: "Taking", num_used: int) -> None:
        """A part of the request has ended. Called by takings."""
        counts = self._limiter.counts
        self._num_open -= 1
        difference = num_used - taking.num_tokens
        for share in taking.shares:
            if difference and _is_tokens(share):
                counts.correct(share, taking.count.index(share), difference)
            if not share.seconds and self._num_open == 0:
                counts.leave(share)


@dataclass(slots=True)
class Taking:
    """What was taken for a part of a request. Settling it twice is harmless."""

    allowance: Allowance
    shares: Sequence[Share]
    count: Count
    num_tokens: int
    is_settled: bool = field(default=False)

    def settle(self, num_used: int) -> None:
        """It has ended and used so many tokens."""
        if not self.is_settled:
            self.is_settled = True
            self.allowance.give_back(self, num_used)


def user_subject(user_id: str) -> str:
    """The name under which a user's limits are kept."""
    return f"user:{user_id}"


def key_subject(key_id: str) -> str:
    """The name under which a key's limits are kept."""
    return f"key:{key_id}"


def _is_tokens(share: Share) -> bool:
    return WINDOWS[share.name.rpartition(" ")[2]].unit is Unit.TOKENS


def _share(held: _Held, amount: int, lease: str) -> Share:
    return Share(
        name=f"{held.subject} {held.name}",
        seconds=WINDOWS[held.name].seconds,
        most=held.most,
        amount=amount,
        lease=lease,
    )


def _lefts(held: Sequence[_Held], count: Count, taken: Sequence[Share] = ()) -> Sequence[Left]:
    amounts = [share.amount for share in taken] or [0] * len(held)
    return [
        Left(whose=one.whose, name=one.name, most=one.most, used=used + amount, now=count.now)
        for one, used, amount in zip(held, count.used, amounts, strict=True)
    ]


def _refusal(left: Left, amount: int) -> LimitReached | RequestOverLimit:
    unit = left.window.unit
    if unit is Unit.TOKENS and amount > left.most > 0:
        return RequestOverLimit(
            f"Your {left.whose} may use {left.most:,} tokens {left.window.words}, and this request "
            f"may come to {amount:,}.",
            "Ask for fewer tokens, or an administrator for more.",
        )
    if unit is Unit.STREAMS:
        return LimitReached(
            left.words,
            "Wait for one of them to end.",
            unit=unit,
            retry_after_seconds=STREAM_RETRY_SECONDS,
        )
    may = f" This request may come to {amount:,}." if unit is Unit.TOKENS and left.left else ""
    return LimitReached(
        left.words + may,
        "Wait until then, or ask for fewer." if may else "Wait until then.",
        unit=unit,
        retry_after_seconds=max(1, int(left.reset_seconds) + 1),
    )
