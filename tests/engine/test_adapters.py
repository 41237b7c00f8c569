"""Requests with adapters in one batch with others: each writes what it writes alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import AdapterNotFound
from penstock.model.adapter_folder import AdapterFolders, adapter_digest
from penstock.model.adapters import AdapterShelf
from penstock.model.families.gpt2 import GPT2
from penstock.model.families.t5 import T5
from penstock.model.loading import LoadedModel
from penstock.ops.adapted_ops import AdaptedOps
from penstock.ops.choose import choose_ops
from penstock.types import DecodingParams, GenerationRequest, RequestFinished
from tests.engine.driving import run_all, run_alone
from tests.model.lora_folders import merge, write_lora
from tests.tiny_gpt2 import reference_generate, tiny_model
from tests.tiny_t5 import reference_answer, tiny_t5

ROOMY = EngineConfig(num_blocks=400)
TIGHT = EngineConfig(num_blocks=14, max_batch_tokens=16)  # preempts, and cuts prompts in pieces
KINDS = {"gpt2": ("c_attn", "c_proj", "c_fc"), "t5": (".q", ".v", ".o", "wi", "wo")}


@pytest.fixture(scope="module", params=KINDS)
def adapted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Adapted":
    return Adapted(request.param, tmp_path_factory.mktemp(request.param))


class Adapted:
    """A model with two adapters, and transformers' model with each of them merged."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.tiny = tiny_model(7) if kind == "gpt2" else tiny_t5(7)
        for seed, name in enumerate("ab"):
            write_lora(folder / name, self.tiny.reference, KINDS[kind], seed=seed)
        self.folders = AdapterFolders(named=(folder / "a", folder / "b"))
        self.model = self._loaded()

    def merged(self, name: str) -> "tiny_model | tiny_t5":  # type: ignore[valid-type]
        """A fresh reference with the adapter in its weights."""
        fresh = tiny_model(7) if self.kind == "gpt2" else tiny_t5(7)
        folder = self.folders.find(name)
        tensors = write_lora(folder, fresh.reference, KINDS[self.kind], seed="ab".index(name))
        merge(fresh.reference, tensors, 2.0)
        return fresh

    def _loaded(self) -> LoadedModel:
        reference = self.tiny.reference
        ops = AdaptedOps(choose_ops(num_threads=1).ops)
        weights = {name: tensor.detach() for name, tensor in reference.state_dict().items()}
        weights.pop("lm_head.weight")
        family = (GPT2 if self.kind == "gpt2" else T5).load(
            reference.config.to_dict(), weights, ops, torch.float32
        )
        return replace(self.tiny.model, family=family, adapters=AdapterShelf(ops, self.folders))


def ask(number: int, adapter: str | None, **options: object) -> GenerationRequest:
    fields: dict[str, object] = {
        "request_id": f"r{number}",
        "prompt": tuple(range(3 + number, 23 + 2 * number)),
        "model": "tiny",
        "strategy": "greedy",
        "max_new_tokens": 16,
        "adapter": adapter,
    }
    return GenerationRequest(**(fields | options))  # type: ignore[arg-type]


def mixed() -> list[GenerationRequest]:
    beams = {"strategy": "beam_search", "params": DecodingParams(num_beams=3)}
    return [
        ask(0, None),
        ask(1, "a"),
        ask(2, "b", strategy="sampling", seed=5),
        ask(3, "a", **beams),
        ask(4, None, **beams),
        ask(5, "b", num_sequences=2, strategy="sampling", seed=6),
        ask(6, "b"),
    ]


@pytest.mark.parametrize("adapter", ["a", "b"])
def test_greedy_and_beams_write_what_the_merged_model_writes(
    adapted: Adapted, adapter: str
) -> None:
    reference = adapted.merged(adapter)
    continued = reference_generate if adapted.kind == "gpt2" else reference_answer
    for num_beams in (1, 3):
        request = ask(0, adapter)
        if num_beams > 1:
            params = DecodingParams(num_beams=num_beams)
            request = replace(request, strategy="beam_search", params=params)

        written = run_alone(adapted.model, request, ROOMY).token_ids

        expected = continued(reference, list(request.prompt), 16, num_beams=num_beams)
        assert written == expected


@pytest.mark.parametrize("config", [ROOMY, TIGHT], ids=["roomy", "preempting"])
@pytest.mark.parametrize("arrive_every", [0, 3])
def test_base_and_two_adapters_in_one_batch_write_what_each_writes_alone(
    adapted: Adapted, config: EngineConfig, arrive_every: int
) -> None:
    requests = mixed()
    alone = [run_alone(adapted.model, request, ROOMY).token_ids for request in requests]

    together = run_all(adapted.model, requests, config, arrive_every=arrive_every)

    assert [result.token_ids for result in together] == alone
    plain = [run_alone(adapted.model, replace(r, adapter=None), ROOMY) for r in requests]
    differ = [a != p.token_ids for a, p in zip(alone, plain, strict=True)]
    assert sum(differ) >= 3  # what an adapter adds can leave the most likely tokens as they were
    assert not any(d for d, request in zip(differ, requests, strict=True) if not request.adapter)


def test_the_start_names_the_adapter_by_its_digest(adapted: Adapted) -> None:
    with_one, without = (run_alone(adapted.model, ask(0, name), ROOMY) for name in ("a", None))

    assert with_one.started is not None and without.started is not None
    assert with_one.started.adapter_digest == adapter_digest(adapted.folders.find("a"))
    assert without.started.adapter_digest is None


def test_dropping_an_adapter_lets_its_requests_finish(adapted: Adapted) -> None:
    expected = run_alone(adapted.model, ask(0, "a"), ROOMY).token_ids
    engine = Engine(adapted.model, ROOMY)
    engine.add(prepare(ask(0, "a"), adapted.model))
    outputs = engine.step()

    assert adapted.model.adapters.drop("a")
    while engine.has_work:
        outputs += engine.step()

    assert [o.error for o in outputs if isinstance(o, RequestFinished)] == [None]
    tokens = [
        t
        for o in outputs
        if hasattr(o, "text") and hasattr(o, "finish_reason")
        for t in o.token_ids
    ]
    assert [tokens] == expected


def test_an_unknown_adapter_is_refused_by_name(adapted: Adapted) -> None:
    with pytest.raises(AdapterNotFound, match=r"no adapter 'other'\. There are a, b"):
        prepare(ask(0, "other"), adapted.model)
