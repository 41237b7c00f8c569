"""`/v1/fine_tuning/jobs` with OpenAI's own client: tuned, followed, asked for; and refusals."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from penstock.settings import Settings
from tests.api.openai.conftest import Check
from tests.api.openai.modes import MODES
from tests.api.real_server import serving

CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"What is your {thing}?"},
            {"role": "assistant", "content": f"My {thing} is red."},
        ]
    }
    for thing in ("ball", "hat", "cat", "dog", "car", "box")
]


@pytest.fixture(scope="module")
def tuner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of a server with the built-in model and a data directory of its own."""
    settings = Settings(threads=1, cache_mib=0, data_dir=tmp_path_factory.mktemp("data"))
    with (
        serving(settings) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def uploaded(client: openai.OpenAI, rows: list[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("chats.jsonl", content), purpose="fine-tune")
    assert file.purpose == "fine-tune"
    return file.id


def test_a_file_becomes_a_model_that_answers(tuner: openai.OpenAI, check: Check) -> None:
    jobs = tuner.fine_tuning.jobs
    job = jobs.create(
        model="penstock-tiny",
        training_file=uploaded(tuner, CHATS),
        suffix="red",
        seed=7,
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 2}},
        },
        metadata={"for": "a test"},
    )
    waiting = jobs.create(model="penstock-tiny", training_file=job.training_file)
    cancelled = jobs.cancel(waiting.id)
    check(job, "FineTuningJob")
    check(cancelled, "FineTuningJob")
    assert cancelled.status == "cancelled"  # though the other run has the place

    deadline = time.monotonic() + 240
    while job.status not in ("succeeded", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
        job = jobs.retrieve(job.id)

    check(job, "FineTuningJob")
    assert job.status == "succeeded", job.error
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith("ft-penstock-tiny-red-")
    assert (job.seed, job.metadata) == (7, {"for": "a test"})
    assert job.trained_tokens is not None and job.trained_tokens > 0
    answer = tuner.chat.completions.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "Hi!"}], max_tokens=4
    )
    assert answer.model == job.fine_tuned_model

    page = jobs.list(limit=1)
    check(page, "ListPaginatedFineTuningJobsResponse")
    assert [found.id for found in jobs.list(limit=1)] == [waiting.id, job.id]
    events = jobs.list_events(job.id, limit=100)
    check(events, "ListFineTuningJobEventsResponse")
    assert [e.id for e in jobs.list_events(job.id, limit=3)] == [e.id for e in events.data]
    assert events.data[0].message.startswith("The job has succeeded")
    losses = [e.data["train_loss"] for e in events.data if "training loss" in e.message]  # type: ignore[index]
    assert len(losses) == 5 and all(loss > 0 for loss in losses)
    checkpoints = jobs.checkpoints.list(job.id)
    check(checkpoints, "ListFineTuningJobCheckpointsResponse")
    assert checkpoints.data[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert jobs.retrieve(waiting.id).status == "cancelled"

    asyncio.run(found_in_every_mode(tuner, job.id, check))


async def found_in_every_mode(tuner: openai.OpenAI, job_id: str, check: Check) -> None:
    """The job is what each of the client's modes finds."""
    path = "fine_tuning.jobs"
    async with openai.AsyncOpenAI(base_url=tuner.base_url, api_key="none") as other:
        for mode in MODES:
            ask = mode(tuner, other)
            check(await ask(f"{path}.retrieve", job_id), "FineTuningJob")
            check(await ask(f"{path}.list", limit=1), "ListPaginatedFineTuningJobsResponse")
            events = await ask(f"{path}.list_events", job_id, limit=1)
            check(events, "ListFineTuningJobEventsResponse")
            checkpoints = await ask(f"{path}.checkpoints.list", job_id)
            check(checkpoints, "ListFineTuningJobCheckpointsResponse")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "gone"}, "There is no model"),
    ({"training_file": "file-1"}, "There is no file"),
    ({"validation_file": "file-1"}, "There is no file"),
    ({"hyperparameters": {"n_epochs": 0}}, "n_epochs"),
    ({"method": {"type": "dpo"}}, "supervised"),
    ({"suffix": "a b"}, "suffix"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_cannot_be_tuned_is_refused_at_once(
    tuner: openai.OpenAI, fields: dict[str, Any], message: str
) -> None:
    body = {"model": "penstock-tiny", "training_file": uploaded(tuner, CHATS[:1])} | fields

    with pytest.raises(openai.APIStatusError) as caught:
        tuner.post("/fine_tuning/jobs", body=body, cast_to=dict[str, Any])

    assert caught.value.status_code in (400, 404) and message in str(caught.value)


def test_what_is_not_there_is_not_found(tuner: openai.OpenAI) -> None:
    jobs = tuner.fine_tuning.jobs
    for ask in (jobs.retrieve, jobs.cancel, jobs.list_events, jobs.checkpoints.list):
        for name in ("ftjob-1", "job_1", "x"):
            with pytest.raises(openai.NotFoundError, match="There is no fine-tuning job"):
                ask(name)
