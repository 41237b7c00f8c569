"""`penstock jobs`: what there is, one of them, and its end, from the database alone."""

import asyncio
import json
from pathlib import Path

import pytest

from penstock.api.access import storage_of
from penstock.api.building import lasting_of
from penstock.cli.main import run
from penstock.jobs.generations import KIND
from penstock.jobs.store import NewJob
from penstock.settings import load_settings


@pytest.fixture
def job_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path))

    async def create() -> str:
        settings = load_settings()
        lasting = lasting_of(settings, storage_of(settings))
        await lasting.storage.open()
        new = NewJob(owner="ann", kind=KIND, payload={"endpoint": "/generate"})
        job = await lasting.jobs.create(new)
        await lasting.storage.close()
        return job.id

    return asyncio.run(create())


def test_jobs_are_listed_shown_and_cancelled(
    job_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "list"]) == 0
    listed = capsys.readouterr().out
    assert run(["jobs", "show", job_id, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert run(["jobs", "cancel", job_id]) == 0
    told = capsys.readouterr().err
    assert run(["jobs", "list", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)["jobs"]

    assert job_id in listed and "queued" in listed and "ann" in listed
    assert shown["payload"] == {"endpoint": "/generate"}
    assert told == f"{job_id} is cancelled.\n"
    assert [job["cancel_requested"] for job in after] == [True]


def test_a_job_that_does_not_exist_is_a_mistake_in_usage(
    job_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "show", "job_nothing"]) == 2
    assert "There is no job 'job_nothing'" in capsys.readouterr().err
