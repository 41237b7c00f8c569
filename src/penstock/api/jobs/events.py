"""A job's events as a stream that can be taken up again where it broke off."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from penstock.api.jobs.presenting import shown_event, shown_job
from penstock.api.sse import Event, Framing, encode
from penstock.jobs.job import ENDED
from penstock.jobs.store import JobStore

POLL_SECONDS = 0.5  # the rows are asked: whoever does the job may be another process


def encode_numbered(event: Event) -> bytes:
    """One event with its number as the id that a browser sends when it comes back."""
    number = event.get("number")
    return encode(event) if number is None else f"id: {number}\n".encode() + encode(event)


FRAMING = Framing(encode=encode_numbered)


async def events_of(
    jobs: JobStore, owner: str, job_id: str, *, after: int
) -> AsyncIterator[Iterable[Event]]:
    """What happened after the event with this number, until the job's end, which has the job."""
    while True:
        job, news = await jobs.news(owner, job_id, after=after)
        events: list[dict[str, object]] = [shown_event(event) for event in news]
        if job.state in ENDED:
            if events:
                events[-1]["job"] = shown_job(job).model_dump()
            yield events
            return
        if events:
            after = news[-1].number
            yield events
        await asyncio.sleep(POLL_SECONDS)
