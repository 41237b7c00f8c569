"""Where a webhook may be sent. A name is resolved once; what was checked is connected to."""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from penstock.errors import InvalidParameter

PORTS = {"http": 80, "https": 443}
LONGEST_URL = 2000
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Of these, 6to4 and Teredo carry an IPv4 address of somebody else's choice inside.
TRANSLATED = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))


class ForbiddenAddress(Exception):
    """The name leads to where a webhook may not go, or nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL in parts, checked as far as that goes without resolving the name."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As it stands in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, *, allow_private: bool) -> Target:
    """Where a URL leads. Raises `InvalidParameter`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _refusal(url, "cannot be read", "Use https://host/path.") from error
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    if parts.scheme not in PORTS or not host or not is_plain or "\\" in url:
        raise _refusal(url, "is no http or https URL", "Use https://host/path in plain ASCII.")
    if "@" in parts.netloc or parts.fragment:
        raise _refusal(url, "has a user or a fragment", "Leave these out.")
    port = PORTS[parts.scheme] if port is None else port
    if port not in PORTS.values() and not allow_private:
        raise _refusal(url, f"has port {port}", "Use the scheme's own port, 80 or 443.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(scheme=parts.scheme, host=host, port=port, path=path)
    if not allow_private and _is_forbidden_literal(host):
        raise _refusal(url, "leads into a private network", "Use a public address.")
    return target


async def address_of(target: Target, *, allow_private: bool) -> str:
    """The address to connect to. Raises `ForbiddenAddress`.

    A name of which any address is private is refused: it might be another the next time.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ForbiddenAddress(f"{target.host} has no address") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise ForbiddenAddress(f"{target.host} leads into a private network")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an address belongs to the internet at large, whatever form it comes in."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address not in GLOBAL_UNICAST or any(address in network for network in TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_forbidden_literal(host: str) -> bool:
    """An address that is written out; names are judged by what they resolve to."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not is_public(host)
    except ValueError:
        return False


def _refusal(url: str, problem: str, hint: str) -> InvalidParameter:
    return InvalidParameter(f"webhook.url={url[:60]!a} {problem}.", hint, param="webhook.url")
