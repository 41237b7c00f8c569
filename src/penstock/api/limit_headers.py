"""How limits stand, as headers: OpenAI's, and those of the IETF's draft. Pure.

Draft: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

import math
from collections.abc import Sequence

from penstock.accounts.limits.limits import Left, Unit

UNITS = (Unit.REQUESTS, Unit.TOKENS)
RATE_LIMIT_HEADERS = (
    "RateLimit",
    "RateLimit-Policy",
    *(
        f"x-ratelimit-{what}-{unit.value}"
        for what in ("limit", "remaining", "reset")
        for unit in UNITS
    ),
)


def limit_headers(standing: Sequence[Left]) -> dict[str, str]:
    """The headers of an answer: of each unit OpenAI's tell of the limit with the least left."""
    if not standing:
        return {}
    headers = {
        "ratelimit-policy": ", ".join(map(_policy, standing)),
        "ratelimit": ", ".join(map(_left, standing)),
    }
    for unit in UNITS:
        of_unit = [left for left in standing if left.window.unit is unit]
        if of_unit:
            tightest = min(of_unit, key=lambda left: (left.left, -left.reset_seconds))
            headers[f"x-ratelimit-limit-{unit.value}"] = str(tightest.most)
            headers[f"x-ratelimit-remaining-{unit.value}"] = str(tightest.left)
            headers[f"x-ratelimit-reset-{unit.value}"] = _duration(tightest.reset_seconds)
    return headers


def _name(left: Left) -> str:
    return f'"{left.whose}-{left.name.replace("_", "-")}"'


def _policy(left: Left) -> str:
    window = f";w={left.window.seconds}" if left.window.seconds else ""
    return f"{_name(left)};q={left.most}{window}"


def _left(left: Left) -> str:
    until = f";t={math.ceil(left.reset_seconds)}" if left.window.seconds else ""
    return f"{_name(left)};r={left.left}{until}"


def _duration(seconds: float) -> str:
    """As OpenAI writes one: 6m0s."""
    minutes, seconds = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h"] * bool(hours) + [f"{minutes}m"] * bool(hours or minutes)
    return "".join(parts) + f"{seconds}s"
