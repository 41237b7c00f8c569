"""The server's own key for watermarks: used, and told to nobody."""

import pytest

from penstock.api.building import loading_options
from penstock.engine.config import EngineConfig
from penstock.serving.local_engine import LocalEngineKit
from penstock.settings import Settings
from penstock.types import DecodingParams, GenerationRequest
from tests.tiny_gpt2 import tiny_model

MODEL = tiny_model().model
TEXT = "the miller had three sons"


def request(**params: float) -> GenerationRequest:
    return GenerationRequest(
        request_id="r", prompt="a", model="tiny", params=DecodingParams(**params)
    )


def test_the_servers_key_is_for_requests_that_bring_none() -> None:
    kit = LocalEngineKit(MODEL, EngineConfig(watermark_key=7))
    own = kit.prepare(request(watermark_delta=2.0, watermark_key=8))

    assert kit.prepare(request(watermark_delta=2.0)).request.params.watermark_key == 7
    assert own.request.params.watermark_key == 8
    assert kit.prepare(request()).request.params.watermark_key is None


@pytest.mark.parametrize("each_pair_once", [False, True])
def test_the_servers_key_is_what_is_looked_for(each_pair_once: bool) -> None:
    kit = LocalEngineKit(MODEL, EngineConfig(watermark_key=7))
    keyless = LocalEngineKit(MODEL, EngineConfig())

    found = kit.detect_watermark(TEXT, 0.25, None, each_pair_once)

    assert found == keyless.detect_watermark(TEXT, 0.25, 7, each_pair_once)
    assert found != keyless.detect_watermark(TEXT, 0.25, None, each_pair_once)


def test_a_secret_becomes_a_key_that_is_not_shown() -> None:
    options = loading_options(Settings(watermark_key="a long secret", threads=1))
    other = loading_options(Settings(watermark_key="another secret", threads=1))

    assert options.watermark_key != other.watermark_key
    assert 1 <= (options.watermark_key or 0) < 2**53
    assert str(options.watermark_key) not in repr(options)
    assert "a long secret" not in repr(Settings(watermark_key="a long secret", threads=1))
    assert loading_options(Settings(threads=1)).watermark_key is None
