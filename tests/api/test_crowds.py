"""Many clients at once, of whom some leave, dawdle or stop reading: the others notice nothing.

`make stress` has them at their full number and tells the figures.
"""

import asyncio
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.api.crowds import (
    IS_STRESS,
    POOL,
    Answer,
    Held,
    ask,
    crowded,
    percentile,
    request_bytes,
    reset,
)
from tests.fakes import fake_text
from tests.figures import record

NUM_STREAMS = int(os.environ.get("PENSTOCK_STRESS_STREAMS", "20"))  # `make stress` has 200
NUM_TOKENS = 100
STORM_ROUNDS = 10 if IS_STRESS else 1
STOP_ROUNDS = 50 if IS_STRESS else 1
STARVED_ROUNDS = 20 if IS_STRESS else 1
REFUSED_SECONDS = 0.1
STALLED_SECONDS = 60  # by then the server has given up who does not read


def stream(number: int, num_tokens: int = NUM_TOKENS) -> dict[str, object]:
    return {"prompt": f"Story {number}", "max_new_tokens": num_tokens, "stream": True}


async def test_as_many_streams_as_may_be_complete_and_the_rest_hear_at_once(
    tmp_path: Path,
) -> None:
    limits = {"PENSTOCK_LIMITS__MAX_IN_FLIGHT": str(NUM_STREAMS)}
    with crowded(tmp_path, FAKE_STEP_SECONDS="0.02", **limits) as server:
        await asyncio.gather(*(ask(server.port, stream(n, 5)) for n in range(NUM_STREAMS)))
        await server.idle()
        before = await server.let_go(server.held)
        begun = asyncio.Semaphore(0)
        streams = [
            asyncio.create_task(ask(server.port, stream(n), begun)) for n in range(NUM_STREAMS)
        ]
        for _ in streams:
            await begun.acquire()
        refused = [await ask(server.port, stream(n)) for n in range(NUM_STREAMS // 4)]
        answers: list[Answer] = await asyncio.gather(*streams)
        await server.idle()
        after = await server.let_go(before)

    waits = [answer.header_seconds for answer in refused]
    figures = {
        "streams": len(answers),
        "complete": sum(answer.text == fake_text(NUM_TOKENS) for answer in answers),
        "refused": sum(answer.status == 503 for answer in refused),
        "refused, 99th percentile in ms": round(1000 * percentile(waits, 0.99), 1),
        **grown(before, after),
    }
    record("A1 streams at once", "fake engine, 20 ms a step", figures)
    assert figures["complete"] == NUM_STREAMS
    assert figures["refused"] == NUM_STREAMS // 4
    assert all("retry-after: " in answer.head.lower() for answer in refused)
    assert after.mib - before.mib <= 60
    assert not IS_STRESS or percentile(waits, 0.99) <= REFUSED_SECONDS


async def test_streams_of_the_built_in_model_at_once_are_what_each_is_alone(
    server_url: str,
) -> None:
    num, port = NUM_STREAMS // 4, int(server_url.rpartition(":")[2])
    bodies = [stream(n, 24) | {"strategy": "greedy"} for n in range(num)]
    alone = [(await ask(port, body)).text for body in bodies[:3]]
    await asyncio.gather(*(ask(port, body) for body in bodies))
    before = Held.by(os.getpid())

    answers = await asyncio.gather(*(ask(port, body) for body in bodies))

    assert [answer.text for answer in answers[:3]] == alone
    assert all(answer.text for answer in answers)
    after = await settled(before)
    record(
        "A1 streams at once",
        "built-in model",
        {"streams": num, "complete": len(answers), **grown(before, after)},
    )
    assert after.threads <= before.threads + POOL
    assert after.mib - before.mib <= 60


async def settled(before: Held) -> Held:
    """What this process holds once the server has closed its ends."""
    deadline = time.monotonic() + 30
    while (now := Held.by(os.getpid())).files > before.files + POOL:
        assert time.monotonic() < deadline, (before, now)
        await asyncio.sleep(0.05)
    return now


async def test_after_a_storm_of_resets_nothing_is_under_way(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance, waits = random.Random(seed), []
    with crowded(tmp_path, FAKE_STEP_SECONDS="0.01") as server:
        await storm(server.port, chance)
        await server.idle()
        before = await server.let_go(server.held)
        num_lines = len(server.log.read_text().splitlines())
        for _ in range(STORM_ROUNDS):
            await storm(server.port, chance)
            waits.append(await server.idle())
        after = await server.let_go(before)
        num_lines = len(server.log.read_text().splitlines()) - num_lines
        answer = await ask(server.port, stream(0, 5))
        assert server.gauge("engine_free_blocks") == server.gauge("engine_blocks")

    num = STORM_ROUNDS * 5 * NUM_STREAMS
    figures = {
        "connections": num,
        "lines in the log": num_lines,
        "seconds until nothing ran, at most": round(max(waits), 2),
        **grown(before, after),
    }
    record("B9 clients that leave", "resets at any byte", figures)
    assert answer.text == fake_text(5)
    assert num_lines <= num
    assert not IS_STRESS or max(waits) <= 1


async def storm(port: int, chance: random.Random) -> None:
    """Clients that leave at any byte of what they send, or of what they get."""

    async def leave(number: int, cut: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = request_bytes(stream(number, 500))
        writer.write(sent[:cut])
        if cut > len(sent):
            await reader.read(cut - len(sent))
        reset(writer)

    most = len(request_bytes(stream(0, 500))) + 400
    cuts = [chance.randrange(1, most) for _ in range(5 * NUM_STREAMS)]
    await asyncio.gather(*(leave(number, cut) for number, cut in enumerate(cuts)))


async def test_readers_that_are_slow_or_silent_hold_up_nobody(tmp_path: Path) -> None:
    """Half of them take a byte a second, half send nothing; beside as many who read at once."""
    num = NUM_STREAMS // 2
    longs = [stream(n, 200 + 2 * n) | {"logprobs": 5} for n in range(num)]  # no two end at once
    limits = {"PENSTOCK_LIMITS__MAX_IN_FLIGHT": str(num + 20)}
    with crowded(tmp_path, FAKE_STEP_SECONDS="0.05", **limits) as server:
        alone = await quick_answers(server.port)
        quick = [asyncio.create_task(ask(server.port, long)) for long in longs]
        beside_quick = await quick_answers(server.port)
        await asyncio.gather(*quick)
        await server.idle()
        before = server.held
        slow = [await slow_client(server.port) for _ in range(num)]
        silent = [await slow_client(server.port) for _ in range(num)]
        loop = asyncio.get_running_loop()
        for long, client in zip(longs, slow, strict=True):
            await loop.sock_sendall(client, request_bytes(long))
        reading = [asyncio.create_task(read_slowly(client)) for client in slow]
        while await asyncio.to_thread(server.gauge, "texts_under_way") < num:
            await asyncio.sleep(0.1)
        begun_at = time.monotonic()
        beside = await quick_answers(server.port)
        during = server.held
        if IS_STRESS:
            await server.idle(STALLED_SECONDS)
        stalled = time.monotonic() - begun_at
        for task in reading:
            task.cancel()
        for client in (*slow, *silent):
            client.close()
        await server.idle()
        await server.let_go(before)

    slower = percentile(beside, 0.99) / percentile(beside_quick, 0.99)
    figures = {
        "slow readers": num,
        "silent connections": num,
        "others, 99th percentile beside them": f"{percentile(beside, 0.99):.3f} s",
        "beside as many who read at once": f"{percentile(beside_quick, 0.99):.3f} s",
        "others, 99th percentile alone": f"{percentile(alone, 0.99):.3f} s",
        "seconds until the slow are given up": round(stalled, 1) if IS_STRESS else None,
        **grown(before, during),
    }
    record("B10 slow readers", "1 byte a second", figures)
    assert during.mib - before.mib <= 100
    assert not IS_STRESS or slower <= 1.2


async def test_a_server_that_is_told_to_stop_ends_every_stream_before_itself(
    tmp_path: Path,
) -> None:
    waits, complete = [], 0
    for _ in range(STOP_ROUNDS):
        with crowded(tmp_path, FAKE_STEP_SECONDS="0.02") as server:
            begun = asyncio.Semaphore(0)
            streams = [
                asyncio.create_task(ask(server.port, stream(n, 50), begun)) for n in range(20)
            ]
            for _ in streams:
                await begun.acquire()
            told_at = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            while await asyncio.to_thread(server.is_ready):
                await asyncio.sleep(0.01)
            waits.append(time.monotonic() - told_at)
            answers = await asyncio.gather(*streams)
            complete += sum(answer.text == fake_text(50) for answer in answers)
            assert await asyncio.to_thread(server.process.wait, 90) == 0

    figures = {
        "signals": STOP_ROUNDS,
        "streams": 20 * STOP_ROUNDS,
        "complete": complete,
        "seconds until /readyz said so, at most": round(max(waits), 2),
    }
    record("B12 told to stop", "with 20 streams", figures)
    assert complete == 20 * STOP_ROUNDS
    assert not IS_STRESS or max(waits) <= 1


async def test_with_few_files_to_open_a_server_answers_whom_it_can(tmp_path: Path) -> None:
    """A flood takes all there are, in a time zone half a day away; when it has gone all is well."""
    served = complete = 0
    with crowded(tmp_path, FAKE_STEP_SECONDS="0.005", TZ="Pacific/Kiritimati") as server:
        few = Held.by(server.process.pid).files + 20
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (few, few))
        for _ in range(STARVED_ROUNDS):
            flood = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(40)]
            await asyncio.sleep(0.05)
            for _, writer in flood:
                reset(writer)
            answer = await answered_again(server.port)
            served += 1
            complete += answer.text == fake_text(5)
        await server.idle()

    figures = {"floods": STARVED_ROUNDS, "answered afterwards": served, "complete": complete}
    record("B15 too few files", "40 connections, 20 files", figures)
    assert complete == STARVED_ROUNDS


async def test_without_memory_to_spare_a_server_lives_and_recovers(tmp_path: Path) -> None:
    """Large bodies find no room, and who sends them no answer or a refusal; nobody else suffers."""
    refused = complete = 0
    big = {"prompt": "word " * 300_000, "max_new_tokens": 5}
    with crowded(tmp_path, FAKE_STEP_SECONDS="0.005") as server:
        pid = server.process.pid
        for _ in range(STARVED_ROUNDS):
            with spared(pid, spare_bytes=4 * 2**20):
                asking = (ask(server.port, big) for _ in range(30))
                came = await asyncio.gather(*asking, return_exceptions=True)
            refused += sum(
                c.status in (400, 503)
                if isinstance(c, Answer)
                else isinstance(c, ConnectionError | EOFError)
                for c in came
            )
            complete += (await ask(server.port, stream(0, 5))).text == fake_text(5)
        await server.idle()

    figures = {"rounds": STARVED_ROUNDS, "refused": refused, "complete afterwards": complete}
    record("B15 too little memory", "30 bodies of 1.5 MB, 4 MiB to spare", figures)
    assert (refused, complete) == (30 * STARVED_ROUNDS, STARVED_ROUNDS)


@pytest.mark.skipif(
    shutil.which("setpriv") is None or os.geteuid() != 0,
    reason="only root can start a server as somebody else, and the limit does not bind root",
)
async def test_without_threads_to_start_a_server_lives_and_recovers(tmp_path: Path) -> None:
    """Whoever needs a thread that cannot be is refused and loses nothing; others are answered."""
    refused = complete = 0
    with crowded(tmp_path, started_by=as_somebody_else(), FAKE_STEP_SECONDS="0.005") as server:
        for _ in range(STARVED_ROUNDS):
            with no_more_threads(server.process.pid):
                texts = asyncio.gather(*(ask(server.port, stream(n, 5)) for n in range(20)))
                uploads = await asyncio.gather(*(upload(server.port) for _ in range(20)))
                answers = await texts
            assert {*uploads, *(answer.status for answer in answers)} <= {200, 503}
            assert all(a.text == fake_text(5) for a in answers if a.status == 200)
            refused += [*uploads, *(answer.status for answer in answers)].count(503)
            complete += await upload(server.port) == 200
            complete += (await ask(server.port, stream(0, 5))).text == fake_text(5)
        await server.idle()

    figures = {"rounds": STARVED_ROUNDS, "refused": refused, "complete afterwards": complete}
    record("B15 no threads", "20 uploads and 20 texts, no thread to start", figures)
    assert complete == 2 * STARVED_ROUNDS
    assert refused, "the server never wanted a thread that it could not have"


def as_somebody_else() -> tuple[str, ...]:
    """Starts a command as a user that nobody else is, and who may read what this one may."""
    user = 100_000 + os.getpid()
    caps = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *caps)


@contextlib.contextmanager
def no_more_threads(pid: int) -> Iterator[None]:
    """The process, which somebody else's command started, can start none."""
    (before,) = re.findall(r"Max processes\s+(\d+)", Path(f"/proc/{pid}/limits").read_text())

    def limit(count: str) -> None:
        command = (
            "prlimit",
            f"--pid={pid}",
            f"--nproc={count}:",
        )  # whose limits it is may change them
        subprocess.run([*as_somebody_else(), *command], check=True)

    limit("1")
    try:
        yield
    finally:
        limit(before)


async def upload(port: int) -> int:
    """The status that a file's upload is answered with."""
    lines = b'{"custom_id": "a"}\n' * 20_000
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        sent = {"file": ("lines.jsonl", lines)}
        return (await client.post("/v1/files", files=sent, data={"purpose": "batch"})).status_code


@contextlib.contextmanager
def spared(pid: int, *, spare_bytes: int) -> Iterator[None]:
    """The process can have no more than so much memory besides what it has."""
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_AS, (size + spare_bytes, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, unlimited)


async def answered_again(port: int) -> Answer:
    """What a client gets that comes again when it is turned away, as it may be in the flood."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await ask(port, stream(0, 5))
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)


async def quick_answers(port: int) -> list[float]:
    """How long short requests take, one after the other."""
    found = []
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for number in range(NUM_STREAMS // 2):
            started = time.monotonic()
            body = {"prompt": f"Quick {number}", "max_new_tokens": 5}
            answer = (await client.post("/generate", json=body)).json()
            found.append(time.monotonic() - started)
            assert answer["sequences"][0]["text"] == fake_text(5)
    return found


async def slow_client(port: int) -> socket.socket:
    """A connection that takes little at once: what is not read stays with the server."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # what waits to be sent is small
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return client


async def read_slowly(client: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(client, 1):
        await asyncio.sleep(1)


def grown(before: Held, after: Held) -> dict[str, object]:
    """What a process holds more than before."""
    return {
        "more files": after.files - before.files,
        "more threads": after.threads - before.threads,
        "more MiB": round(after.mib - before.mib, 1),
    }
