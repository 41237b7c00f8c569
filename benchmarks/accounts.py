"""What asking who one is, counting against limits and storing add to a request.

Two servers with the built-in model run side by side: one asks nobody and stores no texts, the other
takes an API key, counts it against five limits of its user and three of its own, and keeps every
text. Requests go to them in turn, in pairs whose order changes, so that what else the machine does
falls on both. Both count usage.

Usage: python -m benchmarks.accounts [--pairs 300] [--rounds 6] [--databases URL URL]
"""

import argparse
import http.client
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

from benchmarks.models import BUILT_IN_ID
from benchmarks.server_process import ServerProcess

STREAMS = 16
NEW_TOKENS = 64
WARM_UP = 10
NAME, PASSWORD = "admin", "a brass difference engine"
MANY = {"requests_per_minute": 10**6, "tokens_per_minute": 10**9, "tokens_per_day": 10**9}
BARE = {"PENSTOCK_AUTH": "off", "PENSTOCK_HISTORY": "false", "PENSTOCK_CACHE_MIB": "0"}
WHOLE = {
    "PENSTOCK_AUTH": "required",
    "PENSTOCK_ADMIN_USERNAME": NAME,
    "PENSTOCK_ADMIN_PASSWORD": PASSWORD,
    "PENSTOCK_CACHE_MIB": "0",
    "PENSTOCK_LIMITS__MAX_STREAMS": "64",
    "PENSTOCK_LIMITS__REQUESTS_PER_DAY": str(10**6),
    **{f"PENSTOCK_LIMITS__{name.upper()}": str(most) for name, most in MANY.items()},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server and what a request to it carries."""

    server: ServerProcess
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTokens:
    """Seconds to the first token, in turn, and the processor seconds of the server for each."""

    seconds: Sequence[float]
    processor_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Tokens a second, and the processor seconds of the server and its worker."""

    speed: float
    processor_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accounts", description=__doc__)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument(
        "--databases", nargs=2, metavar="URL", help="one for each server, else files of SQLite's"
    )
    options = parser.parse_args()
    chosen = [{"PENSTOCK_DATABASE_URL": url} for url in options.databases or ()] or [{}, {}]
    with (
        ServerProcess(BUILT_IN_ID, BARE | chosen[0]) as bare,
        ServerProcess(BUILT_IN_ID, WHOLE | chosen[1]) as whole,
    ):
        for server in (bare, whole):
            server.wait_until_ready()
        targets = (Target(server=bare, headers={}), Target(server=whole, headers=_key(whole.port)))
        _in_turn(targets, WARM_UP)
        print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        _report_first_tokens(*_in_turn(targets, options.pairs))
        _report_throughput(_rounds(targets, options.rounds))


def _key(port: int) -> dict[str, str]:
    """The header of a new key, which has limits of its own."""
    form = f"grant_type=password&username={NAME}&password={PASSWORD.replace(' ', '+')}"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    token = json.loads(_post(port, "/token", form.encode(), kind))["access_token"]
    bearer = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    key = json.loads(_post(port, "/keys", b"{}", bearer))
    _post(port, f"/keys/{key['id']}/limits", json.dumps(MANY).encode(), bearer)
    return {"authorization": f"Bearer {key['key']}"}


def _post(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", path, body, dict(headers))
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        raise SystemExit(f"{path} answered {answer.status}: {read.decode()}")
    return read


def _in_turn(targets: Sequence[Target], pairs: int) -> list[FirstTokens]:
    before = [target.server.processor_seconds() for target in targets]
    seconds: list[list[float]] = [[] for _ in targets]
    for number in range(pairs):
        order = range(len(targets)) if number % 2 else range(len(targets) - 1, -1, -1)
        for place in order:
            seconds[place].append(_first_token(targets[place], number))
    return [
        FirstTokens(
            seconds=seconds[place],
            processor_seconds=(target.server.processor_seconds() - before[place]) / pairs,
        )
        for place, target in enumerate(targets)
    ]


def _first_token(target: Target, number: int) -> float:
    """Seconds until the first piece of text has come; the rest of the stream is read too."""
    body = _body(f"Once upon a time, in story {number},", 4)
    connection = http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=300)
    connection.connect()
    started = perf_counter()
    connection.request(
        "POST", "/v1/completions", body, {"content-type": "application/json", **target.headers}
    )
    answer = connection.getresponse()
    while b'"text"' not in (line := answer.readline()):
        if not line or answer.status != http.client.OK:
            raise SystemExit(f"no text came: {answer.status} {answer.read().decode()}")
    seconds = perf_counter() - started
    answer.read()
    connection.close()
    return seconds


def _rounds(targets: Sequence[Target], rounds: int) -> list[list[Round]]:
    """Many streams at once, for each target, round by round."""
    done: list[list[Round]] = [[] for _ in targets]
    for number in range(rounds):
        for place in (0, 1) if number % 2 else (1, 0):
            server = targets[place].server
            before = server.family_processor_seconds()
            speed = _speed(targets[place])
            spent = server.family_processor_seconds() - before
            done[place].append(Round(speed=speed, processor_seconds=spent))
    return done


def _speed(target: Target) -> float:
    headers = {"content-type": "application/json", **target.headers}

    def stream(number: int) -> None:
        body = _body(f"The tale of number {number} began", NEW_TOKENS)
        _post(target.server.port, "/v1/completions", body, headers)

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(STREAMS)]
    started = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return STREAMS * NEW_TOKENS / (perf_counter() - started)


def _body(prompt: str, num_tokens: int) -> bytes:
    fields = {"model": BUILT_IN_ID, "prompt": prompt, "max_tokens": num_tokens, "stream": True}
    return json.dumps(fields).encode()


def _report_first_tokens(bare: FirstTokens, whole: FirstTokens) -> None:
    print(f"first token, {len(bare.seconds)} pairs of requests, one at a time:")
    for name, target in (("without", bare), ("with", whole)):
        cuts = quantiles((1000 * s for s in target.seconds), n=20)
        print(
            f"  {name:8} median {median(target.seconds) * 1000:.2f} ms, p95 {cuts[18]:.2f} ms, "
            f"processor {1000 * target.processor_seconds:.2f} ms a request"
        )
    added = [1000 * (w - b) for b, w in zip(bare.seconds, whole.seconds, strict=True)]
    print(f"  added: median of the pairs' differences {median(added):.2f} ms")


def _report_throughput(rounds: Sequence[Sequence[Round]]) -> None:
    bare, whole = rounds
    speeds = [w.speed / b.speed for b, w in zip(bare, whole, strict=True)]
    spent = [w.processor_seconds / b.processor_seconds for b, w in zip(bare, whole, strict=True)]
    print(
        f"{STREAMS} streams of {NEW_TOKENS} tokens, {len(speeds)} rounds in turn, with / without:"
    )
    for name, ratios in (("tokens/s", speeds), ("processor time", spent)):
        each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"  {name}: median {median(ratios):.3f} ({each})")


if __name__ == "__main__":
    main()
