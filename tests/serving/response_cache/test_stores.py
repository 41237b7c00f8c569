"""Where answers are kept: within their bytes, the latest the longest; on the real Redis too."""

import random
import uuid

from hypothesis import given
from hypothesis import strategies as st

from penstock.serving.response_cache.stores import ENTRY_BYTES, PREFIX, MemoryStore, RedisStore
from tests.scale.brokers import REDIS, connected


async def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    store = MemoryStore(3 * (ENTRY_BYTES + 10))
    for name in "abc":
        await store.put(name, b"x" * 10)
    await store.get("a")
    await store.put("d", b"x" * 10)

    assert [name for name in "abcd" if await store.get(name) is not None] == ["a", "c", "d"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2000)), max_size=60))
async def test_memory_stays_within_its_bytes_and_gives_back_what_was_put(
    puts: list[tuple[int, int]],
) -> None:
    store = MemoryStore(5000)
    last: dict[str, bytes] = {}
    for number, size in puts:
        last[str(number)] = random.Random(size).randbytes(size)
        await store.put(str(number), last[str(number)])

        assert store.num_bytes <= 5000

    kept = {name: await store.get(name) for name in last}
    assert all(answer in (None, last[name]) for name, answer in kept.items())
    sizes = [len(answer) + ENTRY_BYTES for answer in kept.values() if answer is not None]
    assert sum(sizes) == store.num_bytes


async def test_an_answer_that_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    store = MemoryStore(1000)
    await store.put("a", b"x")
    await store.put("b", b"x" * 1000)

    assert (await store.get("a"), await store.get("b")) == (b"x", None)


async def test_redis_gives_another_server_what_one_put_there_for_a_while() -> None:
    key = uuid.uuid4().hex
    with connected() as client:
        one, other = RedisStore(REDIS), RedisStore(REDIS)
        await one.put(key, b"answer\0")

        assert await other.get(key) == b"answer\0"
        assert 0 < client.ttl(PREFIX + key) <= 24 * 3600
        client.delete(PREFIX + key)
        await one.close()
        await other.close()


async def test_a_redis_that_is_away_is_done_without() -> None:
    store = RedisStore("redis://127.0.0.1:1/0")

    await store.put("a", b"x")

    assert await store.get("a") is None
    await store.close()
