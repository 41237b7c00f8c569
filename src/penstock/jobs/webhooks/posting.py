"""Posts a body to a checked address: no redirects, no proxies, nothing read but the status."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

from penstock.jobs.webhooks.addresses import ForbiddenAddress, Target, address_of

TIMEOUT_SECONDS = 15.0
LONGEST_STATUS_LINE = 1024


class NotTaken(Exception):
    """The receiver could not be reached, or did not say that it took the message."""


async def post(
    target: Target, headers: Mapping[str, str], body: bytes, *, allow_private: bool
) -> None:
    """Post JSON and be told with 2xx that it arrived. Raises `NotTaken`."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            address = await address_of(target, allow_private=allow_private)
            status = await _posted(target, address, headers, body)
    except TimeoutError as error:
        raise NotTaken(f"no answer within {TIMEOUT_SECONDS:.0f} s") from error
    except ForbiddenAddress as error:
        raise NotTaken(str(error)) from error
    except (OSError, ValueError) as error:
        raise NotTaken(f"{type(error).__name__}: {error}") from error
    if not 200 <= status < 300:
        raise NotTaken(f"status {status}")


async def _posted(target: Target, address: str, headers: Mapping[str, str], body: bytes) -> int:
    is_secure = target.scheme == "https"
    reader, writer = await asyncio.open_connection(
        address,
        target.port,
        ssl=ssl.create_default_context() if is_secure else None,
        server_hostname=target.host if is_secure else None,
        limit=LONGEST_STATUS_LINE,
    )
    try:
        writer.write(_head(target, headers, len(body)) + body)
        await writer.drain()
        return _status(await reader.readline())
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _head(target: Target, headers: Mapping[str, str], num_bytes: int) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "Content-Type: application/json",
        f"Content-Length: {num_bytes}",
        "User-Agent: Penstock",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit():
        raise ValueError("the answer is not HTTP")
    return int(code)
