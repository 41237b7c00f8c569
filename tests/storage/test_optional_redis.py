"""A Redis that is away is asked once, then left alone for a while, then asked again."""

import pytest
from redis.exceptions import ConnectionError as NoConnection

from penstock.storage.optional_redis import REST_SECONDS, OptionalRedis, RedisAway
from tests.scale.brokers import REDIS, connected


async def test_what_does_not_answer_is_left_alone_for_a_while_and_asked_again() -> None:
    now = [0.0]
    redis = OptionalRedis("redis://127.0.0.1:1/0", setting="cache_url", clock=lambda: now[0])
    asked = []

    async def answer(_: object) -> str:
        asked.append(now[0])
        if now[0] == 0:
            raise NoConnection("refused")
        return "here"

    for _ in range(3):
        with pytest.raises(RedisAway):
            await redis.ask(answer)
    assert asked == [0.0]
    assert redis.is_resting
    now[0] = REST_SECONDS
    assert await redis.ask(answer) == "here"
    assert not redis.is_resting
    await redis.close()


async def test_where_nothing_listens_it_is_away() -> None:
    redis = OptionalRedis("redis://127.0.0.1:1/0", setting="cache_url")

    with pytest.raises(RedisAway):
        await redis.ask(lambda client: client.ping())
    await redis.close()


async def test_it_can_be_closed_and_asked_again() -> None:
    with connected():
        redis = OptionalRedis(REDIS, setting="cache_url")
        for _ in range(2):
            assert await redis.ask(lambda client: client.ping())
            await redis.close()
