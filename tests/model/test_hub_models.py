"""Every id of the catalog, from a folder laid out as the hub's cache has it, to a text."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch
import transformers

from penstock.model.catalog import CATALOG, find
from penstock.serving.launching import ProcessLauncher, RunningModel
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions
from penstock.serving.process_worker import ProcessWorker
from penstock.types import GenerationRequest, SequenceFinished
from tests.model.hub_models import PUBLISHED, lay_out, num_parameters, small

PROMPT = "Once upon a time, in a land far away,"
NUM_NEW = 12
FULL_SHAPES = tuple(filter(None, os.environ.get("PENSTOCK_FULL_SHAPES", "").split(",")))
OPTIONS = LoadingOptions(num_threads=2, cache_bytes=64 * 2**20)


def test_every_model_of_the_catalog_is_among_them() -> None:
    assert set(PUBLISHED) == {entry.id for entry in CATALOG if not entry.builtin}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_catalog_counts_the_parameters_of_the_published_configuration(name: str) -> None:
    config = PUBLISHED[name].config

    assert num_parameters(config) == find(name).num_parameters
    assert num_parameters(small(config)) < 12_000_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Hugging Face's libraries keep what they fetched."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_small_one_is_found_by_its_id_and_writes_what_transformers_writes(
    name: str, home: Path, shared_data: Path
) -> None:
    """The prompt is cut by the real tokenizer; the text comes out of the same folder."""
    snapshot = lay_out(name, shared_data=shared_data, home=home)
    source = LocalModels([], LoadingOptions(num_threads=1, cache_bytes=64 * 2**20))
    hosted = source.load(name)

    engine = hosted.kit.make_engine()
    engine.add(hosted.kit.prepare(greedy(name)))
    outputs = []
    while engine.has_work:
        outputs += engine.step()

    (written,) = [output for output in outputs if isinstance(output, SequenceFinished)]
    assert source.find(name).local
    assert list(written.token_ids) == written_by_transformers(snapshot)


def greedy(name: str) -> GenerationRequest:
    return GenerationRequest(
        request_id=name, prompt=PROMPT, model=name, strategy="greedy", max_new_tokens=NUM_NEW
    )


def written_by_transformers(snapshot: Path) -> list[int]:
    """The greedy continuation of the prompt, without what comes after its end."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(snapshot)
    config = transformers.AutoConfig.from_pretrained(snapshot)
    model = getattr(transformers, config.architectures[0]).from_pretrained(
        snapshot, dtype=torch.float32
    )
    token_ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    written = model.generate(
        token_ids, do_sample=False, max_new_tokens=NUM_NEW, pad_token_id=0, use_cache=True
    )
    start = 1 if config.is_encoder_decoder else token_ids.shape[1]
    ids: list[int] = written[0, start:].tolist()
    return ids


@pytest.fixture
async def lifecycle(home: Path) -> AsyncIterator[Lifecycle]:
    source = LocalModels([], OPTIONS)
    lifecycle = Lifecycle(source, ProcessLauncher(source))
    yield lifecycle
    await lifecycle.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FULL_SHAPES)  # none, but by `make stress`: they take gigabytes
async def test_one_of_full_shape_runs_in_a_worker_that_holds_no_more_than_was_said(
    name: str, home: Path, shared_data: Path, lifecycle: Lifecycle
) -> None:
    """Prints the figures; run it with -s to see them."""
    snapshot = await asyncio.to_thread(
        lay_out, name, shared_data=shared_data, home=home, is_full=True
    )
    expected = await asyncio.to_thread(written_by_transformers, snapshot)
    said = LocalModels([], OPTIONS).needed_bytes(name)

    started = time.monotonic()
    running = await lifecycle.running(name)
    loaded = time.monotonic()
    written = await write(running, name)
    done = time.monotonic()
    held = running.client.memory_bytes
    assert isinstance(running.client, ProcessWorker)
    await lifecycle.unload(name)

    print(  # the figures are what it is run for
        f"{name}: loaded in {loaded - started:.1f} s, {len(written)} tokens in "
        f"{done - loaded:.2f} s, holds {held / 1e9:.2f} GB, said {said / 1e9:.2f} GB"
    )
    assert written == expected
    assert held <= said


async def write(running: RunningModel, name: str) -> list[int]:
    stream = await running.client.submit(greedy(name))
    (ending,) = [output async for output in stream if isinstance(output, SequenceFinished)]
    stream.close()
    return list(ending.token_ids)
