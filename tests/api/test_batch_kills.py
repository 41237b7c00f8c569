"""A batch on a real server that is killed again and again: each line has exactly one result."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import openai
import pytest

from tests.api.openai.batching import ended, line, num_completed, prompt, started, written
from tests.server_process import ServerProcess, running_server
from tests.storage.databases import KINDS, fresh_database

NUM_LINES = int(os.environ.get("PENSTOCK_STRESS_LINES", "40"))  # `make stress` has a thousand
KILL_AFTER = (0.1, 0.3, 0.6)  # of the lines
PENSTOCK = (sys.executable, "-c", "from penstock.cli.main import main; main()")
ENVIRONMENT = {
    "PENSTOCK_LIMITS__LEASE_SECONDS": "2",
    "PENSTOCK_LIMITS__BATCH_LINES": "2",
    "PENSTOCK_THREADS": "1",
    "PENSTOCK_CACHE_MIB": "0",
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def server_in(folder: Path, url: str) -> contextlib.AbstractContextManager[ServerProcess]:
    environment = ENVIRONMENT | {"PENSTOCK_DATABASE_URL": url}
    return running_server(PENSTOCK, "--no-browser", folder=folder, environment=environment)


def client_of(server: ServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_survives_kills_of_the_server_with_one_result_for_each_line(
    kind: str, tmp_path: Path
) -> None:
    with fresh_database(kind, tmp_path) as url:
        check_through_kills(tmp_path, url)


def check_through_kills(folder: Path, url: str) -> None:
    lines = [line(f"line {n}", prompt(f"Number {n} was", max_tokens=24)) for n in range(NUM_LINES)]
    lines[7]["body"]["temperature"] = 9  # is refused
    batch = None
    completed = [0]
    for share in KILL_AFTER:
        with server_in(folder, url) as s:
            client = client_of(s)
            batch = started(client, lines) if batch is None else batch
            assert num_completed(client, batch) >= completed[-1]
            while num_completed(client, batch) < share * NUM_LINES:
                assert s.process.poll() is None
                time.sleep(0.02)
            completed.append(num_completed(client, batch))
            s.process.kill()
    assert batch is not None
    assert completed[-1] < NUM_LINES - 1, "the server was killed too late to mean anything"

    with server_in(folder, url) as s:
        client = client_of(s)
        alone = client.completions.create(**lines[NUM_LINES // 2]["body"])
        batch = ended(client, batch, seconds=900)
        answered = written(client, batch.output_file_id)
        refused = written(client, batch.error_file_id)

    print(json.dumps({"lines": NUM_LINES, "completed_at_kills": completed[1:]}))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {
        "total": NUM_LINES,
        "completed": NUM_LINES - 1,
        "failed": 1,
    }
    assert [entry["custom_id"] for entry in refused] == ["line 7"]
    assert [entry["custom_id"] for entry in answered] == [
        f"line {n}" for n in range(NUM_LINES) if n != 7
    ]
    by_id = {entry["custom_id"]: entry["response"]["body"] for entry in answered}
    text = by_id[f"line {NUM_LINES // 2}"]["choices"][0]["text"]
    assert text == alone.choices[0].text
