"""`penstock jobs`: the jobs in this machine's database, whoever they belong to."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from penstock.cli.terminal import print_json, print_table, tell

if TYPE_CHECKING:
    from penstock.api.services import Lasting
    from penstock.jobs.job import Job

T = TypeVar("T")
app = typer.Typer(help="List, show and cancel jobs.", rich_markup_mode=None)
Id = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    jobs = _on_storage(lambda lasting: lasting.jobs.latest(limit))
    if as_json:
        print_json({"jobs": [_described(job) for job in jobs]})
    else:
        rows = [(j.id, j.owner, j.kind, j.state.value, _when(j.created_at)) for j in jobs]
        print_table(["id", "owner", "kind", "state", "created"], rows)


@app.command()
def show(job_id: Id, as_json: AsJson = False) -> None:
    """Show a job, what it was asked and what came of it."""
    described = _described(_on_storage(lambda lasting: lasting.jobs.of_anyone(job_id)))
    if as_json:
        print_json(described)
    else:
        print_table(
            ["", ""], [(name, "-" if v is None else str(v)) for name, v in described.items()]
        )


@app.command()
def cancel(job_id: Id) -> None:
    """Ask for a job's end. One that has ended stays as it is."""
    job = _on_storage(lambda lasting: lasting.jobs.cancel_anyones(job_id))
    tell(f"{job.id} is {'asked to end' if job.finished_at is None else job.state.value}.")


def _on_storage(act: "Callable[[Lasting], Awaitable[T]]") -> T:
    import asyncio

    from penstock.api.access import storage_of
    from penstock.api.building import lasting_of
    from penstock.settings import load_settings

    async def run() -> T:
        settings = load_settings()
        lasting = lasting_of(settings, storage_of(settings))
        await lasting.storage.open()
        try:
            return await act(lasting)
        finally:
            await lasting.storage.close()

    return asyncio.run(run())


def _described(job: "Job") -> dict[str, Any]:
    from dataclasses import asdict

    hidden = ("token", "num_events", "not_before")
    return {n: v for n, v in asdict(job).items() if n not in hidden} | {"state": job.state.value}


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
