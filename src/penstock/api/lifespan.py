"""What runs as long as the application does, and the order in which it begins and ends."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from penstock.accounts.accounts import Accounts
from penstock.api.services import Services
from penstock.errors import StorageUnavailable
from penstock.jobs.dispatch import Dispatch
from penstock.jobs.executor import Executor

logger = logging.getLogger(__name__)

TIDY_SECONDS = 3600
NOTING_SECONDS = 30


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loading models starts with it; with it ends all that was begun."""
    services: Services = app.state.services
    executor: Executor = app.state.executor
    dispatch: Dispatch = app.state.dispatch
    deliveries = services.lasting.deliveries
    services.lifecycle.preload(services.preload)
    await services.lasting.storage.open()
    services.records.ledger.start()
    dispatch.start()
    deliveries.start()
    tidying = asyncio.gather(
        _tidy_hourly(services),
        _note_uses(services.accounts),
        return_exceptions=True,
    )
    try:
        yield
    finally:
        tidying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tidying
        await dispatch.stop()
        await executor.stop()
        await deliveries.stop()
        with contextlib.suppress(StorageUnavailable):
            await services.accounts.authentication.note_uses()
        services.accounts.passwords.close()
        await services.lifecycle.close()
        await services.router.close()
        await services.records.ledger.close()
        await services.records.limiter.counts.close()
        await services.lasting.storage.close()
        if services.telemetry is not None:
            await asyncio.to_thread(services.telemetry.close)


async def _tidy_hourly(services: Services) -> None:
    while True:
        try:
            await services.lasting.files.tidy()
            await services.lasting.jobs.tidy()
            await services.accounts.stores.tidy()
            await services.records.history.tidy()
        except StorageUnavailable as error:
            logger.warning("What is of no use any more stays for now. %s", error)
        await asyncio.sleep(TIDY_SECONDS)


async def _note_uses(accounts: Accounts) -> None:
    """Beside the requests, so that none waits for it."""
    while True:
        await asyncio.sleep(NOTING_SECONDS)
        with contextlib.suppress(StorageUnavailable):  # the next time tells
            await accounts.authentication.note_uses()
