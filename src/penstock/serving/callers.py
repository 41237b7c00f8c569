"""Whose request is being served, and how much it brings: known to all that is done for it.

A context variable and no argument, so that no route can forget to say. Knows no HTTP.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

BYTES_PER_TOKEN = 4  # of English text; the tokens of what is not tokenized yet can only be guessed
IPV6_SITE_BITS = 64  # what one subscriber is given: every address in it may be the same caller


@dataclass(slots=True)
class Caller:
    """Who sent a request, as far as that is known, and how many bytes of it have come.

    `begin` is to be called when the engine takes something of it up.
    """

    name: str = ""
    num_bytes: int = 0
    begin: Callable[[], None] = lambda: None

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
