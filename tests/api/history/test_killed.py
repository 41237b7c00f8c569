"""A server that is killed at any moment leaves no half rows: texts, words and sums go together."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from tests.conftest import REPOSITORY

KILLS = int(os.environ.get("PENSTOCK_STRESS_ROUNDS", "1"))  # `make stress` has twenty
CLIENTS = 4


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.fake_server"],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "PENSTOCK_DATA_DIR": str(folder),
            "PENSTOCK_PORT": "0",
            "PENSTOCK_CACHE_MIB": "0",
            "FAKE_STEP_SECONDS": "0.001",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def ask_until_it_is_gone(url: str, answered: list[int]) -> None:
    body = json.dumps({"prompt": "a grey heron", "max_new_tokens": 5}).encode()
    headers = {"content-type": "application/json"}
    while True:
        request = urllib.request.Request(f"{url}/generate", body, headers)
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=30))
        except urllib.error.HTTPError:
            time.sleep(0.05)  # it still loads
            continue
        except (OSError, ValueError):
            return
        answered.append(answer["usage"]["completion_tokens"])


def test_after_every_kill_the_texts_their_words_and_the_sums_agree(tmp_path: Path) -> None:
    answered: list[int] = []
    for _ in range(KILLS):
        process, url = started(tmp_path)
        clients = [
            threading.Thread(target=ask_until_it_is_gone, args=(url, answered))
            for _ in range(CLIENTS)
        ]
        before = len(answered)
        for client in clients:
            client.start()
        while len(answered) < before + 40 and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for client in clients:
            client.join()

    (path,) = tmp_path.glob("*.db")
    with sqlite3.connect(path) as database:
        kept, tokens, prompts = database.execute(
            "SELECT count(*), sum(completion_tokens), sum(prompt_tokens) FROM history"
        ).fetchone()
        used = database.execute(
            "SELECT sum(num_requests), sum(completion_tokens), sum(prompt_tokens) FROM usage"
        ).fetchone()
        found = database.execute(
            "SELECT count(*) FROM history_search WHERE history_search MATCH 'heron'"
        ).fetchone()
        whole = database.execute(
            "SELECT count(*) FROM history WHERE text != '' AND receipt IS NOT NULL"
        ).fetchone()
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.execute("INSERT INTO history_search(history_search) VALUES ('integrity-check')")

    assert used == (kept, tokens, prompts)
    assert found == whole == (kept,)
    assert 0 < kept <= len(answered) + CLIENTS * KILLS
