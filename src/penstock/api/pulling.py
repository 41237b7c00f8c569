"""Fetching a model for a client that is told how far it is: the same in every dialect."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request

from penstock.api.disconnect import unless_disconnected
from penstock.api.services import Services
from penstock.serving.downloads import DownloadProgress, Following


@dataclass(frozen=True, slots=True)
class Pull:
    """A download under way, or one that had nothing to do. Whoever holds it must `close` it."""

    following: Following
    first: DownloadProgress | None

    async def progress(self) -> AsyncIterator[DownloadProgress]:
        """How far it is, until all is here. Raises what the download failed with."""
        progress = self.first
        while progress is not None:
            yield progress
            progress = await self.following.next()

    def close(self) -> None:
        """Leave. The download stops when all who asked for it have left."""
        self.following.close()


async def begin_pull(services: Services, name: str, request: Request) -> Pull:
    """Start fetching a model. Raises what keeps it from starting: no space, network, permission."""
    following = services.lifecycle.pull(name)
    try:
        return Pull(following, await unless_disconnected(request, following.next()))
    except BaseException:
        following.close()
        raise
