"""The real Redis, and queues on it that nobody else uses."""

import contextlib
import os
import uuid
from collections.abc import Iterator

import redis

from tests.conftest import missing

REDIS = os.environ.get("PENSTOCK_TEST_REDIS", "redis://127.0.0.1:6379/0")


def connected() -> "redis.Redis":
    """A client of the server, or the test is skipped."""
    client = redis.Redis.from_url(REDIS, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        client.close()
        missing("redis", f"Redis does not answer: {error}.")
    return client


@contextlib.contextmanager
def fresh_queue() -> Iterator[str]:
    """The name of an empty queue, gone after the block."""
    name = f"penstock_test_{uuid.uuid4().hex}"
    with connected() as client:
        yield name
        client.delete(name, f"_kombu.binding.{name}")
