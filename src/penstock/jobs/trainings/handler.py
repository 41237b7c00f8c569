"""Does training runs: prepares a folder, has a process of its own work in it, ends the job.

Knows no tensors: `penstock.registry.tuning` is what the process runs. It ends with the server, also
with one that is killed, and the next attempt goes on from its last checkpoint.
"""

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError
from penstock.jobs.executor import Work
from penstock.jobs.job import Job, JobState
from penstock.jobs.queue import JobQueue
from penstock.jobs.trainings.folders import NEWS, Outcome, RunFolder, RunFolders
from penstock.model.tuned import TunedModels
from penstock.storage.database import Storage
from penstock.storage.files import FileStore

KIND = "training"  # asked with a recipe
FINE_TUNING = "fine_tuning"  # asked as OpenAI has it
PLACE = "training"  # that both share: one run at a time
COMMAND = (sys.executable, "-P", "-m", "penstock.registry.tuning")
LOOK_SECONDS = 0.2
STOP_SECONDS = 30.0  # to save what was done; a run that is killed goes on from its last checkpoint
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".md", ".py", ".parquet")
DATASETS = "datasets"  # in the data directory


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingHandler:
    """The handler of training runs. Their payload: `recipe`, `serve_as`, `force`."""

    storage: Storage
    queue: JobQueue
    files: FileStore
    folders: RunFolders
    nice: int
    threads: int

    async def run(self, work: Work) -> None:
        """Train, have the result served, and end the job."""
        folder = self.folders.of(work.claim.job.id)
        outcome = await asyncio.to_thread(folder.outcome)
        if outcome is None and not work.cancelled.is_set():
            try:
                await self._prepare(work.claim.job, folder)
            except PenstockError as error:
                outcome = Outcome(problem=problem_of(error))
            else:
                outcome = await self._carried_out(work, folder)
        await self._end(work, outcome)

    async def give_up(self, work: Work) -> None:
        """Its process, or the server, ended in the middle of each attempt."""
        folder = self.folders.of(work.claim.job.id)
        last = await asyncio.to_thread(folder.last_news)
        message = "The training process ended in the middle of each attempt."
        problem = {"message": f"{message} Its last words: {last[:300]}", "param": None}
        await self._end(work, Outcome(problem=problem | {"code": "training_failed"}))

    async def _prepare(self, job: Job, folder: RunFolder) -> None:
        """Put the data, and what is to be done with it, into the folder."""
        recipe = dict(job.payload["recipe"])
        sources = [
            await self._source(job.owner, folder, source, f"{number}")
            for number, source in enumerate(recipe["data"])
        ]
        recipe |= {"data": sources, "output_dir": str(folder.path)}
        if recipe.get("validation") is not None:
            held_out = await self._source(job.owner, folder, recipe["validation"], "validation")
            recipe["validation"] = held_out
        base = recipe.get("initial_model")
        tuned = None if base is None else TunedModels(self.folders.data_dir).find(base)
        if tuned is not None:
            recipe["initial_model"] = str(tuned.folder)
        recipe["threads"] = min(recipe.get("threads") or self.threads, self.threads)
        asked = {
            "recipe": recipe,
            "base": base if tuned is None else tuned.id,
            "serve_as": job.payload["serve_as"],
            "force": job.payload["force"],
            "data_dir": str(self.folders.data_dir.resolve()),
            "nice": self.nice,
        }
        await asyncio.to_thread(folder.ask, asked)

    async def _source(
        self, owner: str, folder: RunFolder, source: dict[str, Any], number: str
    ) -> dict[str, Any]:
        """The source as training reads it: with a path where it is a file of the server's."""
        source = dict(source)
        file_id = source.pop("file", None)
        if file_id is not None:
            file = await self.files.get(owner, file_id)
            name = number + suffix_of(file.filename)
            taking = asyncio.to_thread(folder.take_data, self.files.path(file), name)
            return source | {"path": str((await taking).resolve())}
        own = datasets_in(self.folders.data_dir).get(source["dataset"])
        if own is None:
            return source
        del source["dataset"]
        return source | {"path": str(own.resolve())}

    async def _carried_out(self, work: Work, folder: RunFolder) -> Outcome | None:
        """Have the process do it; no outcome if it was cancelled. Raises when it just died."""
        process = await asyncio.to_thread(_start, folder)
        told, seen = False, folder.path / "checkpoint"
        try:
            while process.poll() is None:
                if work.cancelled.is_set() and not told:
                    process.terminate()
                    told = True
                latest = await asyncio.to_thread(_latest_checkpoint, folder)
                if latest is not None and latest != seen:  # its attempts are counted anew
                    seen = latest
                    async with self.storage.writing() as connection:
                        await self.queue.get_on(connection, work.claim)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await _stop(process)
        outcome = await asyncio.to_thread(folder.outcome)
        if outcome is None and not work.cancelled.is_set():
            raise RuntimeError(f"The training process ended with {process.returncode}.")
        return outcome

    async def _end(self, work: Work, outcome: Outcome | None) -> None:
        state, error, result = JobState.CANCELLED, None, None
        if outcome is not None:
            is_well = outcome.problem is None
            state = JobState.SUCCEEDED if is_well else JobState.FAILED
            error = None if outcome.problem is None else str(outcome.problem["message"])
            result = {
                "model": outcome.model,
                "problem": outcome.problem,
                "tokens_seen": outcome.tokens_seen,
                "exported": outcome.exported,
            }
        async with self.storage.writing() as connection:
            await self.queue.end(connection, work.claim, state, result=result, error=error)


def problem_of(error: PenstockError) -> dict[str, Any]:
    """An error as an outcome keeps it."""
    return {"message": str(error).replace("\0", ""), "code": error.code, "param": error.param}


def suffix_of(filename: str) -> str:
    """By what a file's content is told; lines of JSON where its name says nothing."""
    suffix = Path(filename).suffix.lower()
    return suffix if suffix in SUFFIXES else ".jsonl"


def datasets_in(data_dir: Path) -> dict[str, Path]:
    """The data sets that an operator put into the data directory, by their names."""
    parent = data_dir / DATASETS
    found = sorted(parent.iterdir()) if parent.is_dir() else []
    return {path.name if path.is_dir() else path.stem: path for path in found}


def _start(folder: RunFolder) -> "subprocess.Popen[bytes]":
    with (folder.path / NEWS).open("ab") as news:
        return subprocess.Popen(  # noqa: S603  (our own module, by our own interpreter)
            [*COMMAND, str(folder.path.resolve())],
            stdin=subprocess.PIPE,  # closed with this process, which is how the other hears of it
            stdout=news,
            stderr=news,
            cwd=folder.path,
            start_new_session=True,
        )


async def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Have it save and end."""
    if process.poll() is None:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
    assert process.stdin is not None
    process.stdin.close()


def _latest_checkpoint(folder: RunFolder) -> Path | None:
    return max(folder.path.glob("checkpoint-*"), default=None)
