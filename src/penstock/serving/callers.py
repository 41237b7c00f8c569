"""Whose request is being served, and how much it brings: known to all that is done for it.

A context variable and no argument, so that no route can forget to say. Knows no HTTP.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Protocol

BYTES_PER_TOKEN = 4  # of English text; the tokens of what is not tokenized yet can only be guessed
IPV6_SITE_BITS = 64  # what one subscriber is given: every address in it may be the same caller


class Taking(Protocol):
    """Tokens that were taken of somebody's limits for a request."""

    def settle(self, num_used: int) -> None:
        """It has ended and used so many of them."""


class Allowance(Protocol):
    """How much one request of somebody's may use."""

    async def take(self, num_tokens: int) -> Taking:
        """Take as many tokens as may be used, or raise why not."""

    def only_look(self) -> None:
        """The request is for no text, so it is none of those that may be sent in a day."""


class NothingTaken:
    """What is taken where nothing is limited."""

    def settle(self, num_used: int) -> None:
        """Nothing is given back."""


class Unlimited:
    """For whom nothing is counted."""

    async def take(self, num_tokens: int) -> Taking:
        """As many as there may be."""
        return NothingTaken()

    def only_look(self) -> None:
        """It makes no difference."""


UNLIMITED = Unlimited()


@dataclass(slots=True)
class Caller:
    """Who sent a request, as far as that is known, and how many bytes of it have come.

    `begin` is to be called when the engine takes something of it up. `reads_cache` and
    `writes_cache` say whether an earlier answer will do and whether this may be one; `was_cached`
    is set once that was looked for. `keeps_history` says whether what is generated is stored.
    """

    name: str = ""  # those of one name take turns with others, and share what is computed
    owner: str = ""  # whose things the request is about
    num_bytes: int = 0
    begin: Callable[[], None] = lambda: None
    reads_cache: bool = True
    writes_cache: bool = True
    was_cached: bool | None = None
    key_id: str = ""  # empty: not by an API key
    allowance: Allowance = UNLIMITED
    keeps_history: bool = True

    @property
    def num_tokens(self) -> int:
        """About how many tokens the request has, at most."""
        return -(-self.num_bytes // BYTES_PER_TOKEN)


CALLER: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Whose request is being served: nobody's, for a command on this machine."""
    return CALLER.get(None) or Caller()


def name_of_address(host: str) -> str:
    """The caller behind an address; the addresses of one IPv6 site are one caller."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    site = int(address) >> IPV6_SITE_BITS << IPV6_SITE_BITS
    return f"{IPv6Address(site)}/{IPV6_SITE_BITS}"
