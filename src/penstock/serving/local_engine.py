"""Loads a model folder and makes engines for it. Importing this imports torch."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from penstock.decoding.watermark import WatermarkScheme, score_watermark
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import PreparedRequest, prepare
from penstock.model.adapter_folder import AdapterFolders
from penstock.model.catalog import NATIVE_FAMILIES
from penstock.model.drafts import with_draft
from penstock.model.folder import read_config, text_files, weight_files
from penstock.model.loading import AdapterPlaces, LoadedModel, load_model
from penstock.ops.choose import ChosenOps, choose_ops
from penstock.serving.adapter_info import AdapterInfo
from penstock.serving.memory import give_back_freed_memory
from penstock.serving.models import DraftPlan, HostedModel, LoadingOptions, LoadPlan, ServedModel
from penstock.text.chat import Message, RenderedChat, TextFormat, Tokenized, TokenizerInfo
from penstock.text.tool_calls import Tool
from penstock.types import GenerationRequest, WatermarkScore

DIGEST_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalEngineKit:
    """Runs a loaded model with the engine of this process."""

    model: LoadedModel
    config: EngineConfig

    def prepare(self, request: GenerationRequest) -> PreparedRequest:
        """Encode the request and settle its limits."""
        return prepare(self._with_key(request), self.model)

    def make_engine(self) -> Engine:
        """An engine with an empty cache."""
        return Engine(self.model, self.config)

    def tokenize(self, text: str, with_ends: bool, with_specials: bool) -> Tokenized:
        """The tokens of a text."""
        return self._texts.tokenize(text, with_ends=with_ends, with_specials=with_specials)

    def detokenize(self, token_ids: tuple[int, ...]) -> str:
        """The text of the ids."""
        return self._texts.detokenize(token_ids)

    def render_chat(
        self,
        messages: tuple[Message, ...],
        add_generation_prompt: bool,
        continue_last: bool,
        tools: tuple[Tool, ...],
    ) -> RenderedChat:
        """A conversation as the model is used to see it."""
        return self._texts.render_chat(
            messages,
            add_generation_prompt=add_generation_prompt,
            continue_last=continue_last,
            tools=tools,
        )

    def describe_tokenizer(self) -> TokenizerInfo:
        """What a client must know to tokenize as the model does."""
        return self._texts.describe()

    def detect_watermark(
        self, text: str, gamma: float, key: int | None, each_pair_once: bool
    ) -> WatermarkScore:
        """How many tokens of a text are green."""
        token_ids = self.model.tokenizer.encode_word(text)
        scheme = WatermarkScheme(gamma=gamma, key=self.config.watermark_key if key is None else key)
        return score_watermark(
            token_ids, self.model.vocab_size, scheme, each_pair_once=each_pair_once
        )

    def _with_key(self, request: GenerationRequest) -> GenerationRequest:
        """The request with the server's own key for its watermark; answers never tell it."""
        params = request.params
        if not params.watermark_delta or params.watermark_key is not None:
            return request
        return replace(request, params=replace(params, watermark_key=self.config.watermark_key))

    def load_adapter(self, name: str) -> None:
        """Have an adapter ready."""
        self.model.adapters.get(name)

    def unload_adapter(self, name: str) -> None:
        """Keep an adapter no longer."""
        self.model.adapters.drop(name)

    def loaded_adapters(self) -> tuple[AdapterInfo, ...]:
        """The adapters that are ready."""
        return tuple(
            AdapterInfo(name=adapter.name, digest=adapter.digest, num_bytes=adapter.num_bytes)
            for adapter in self.model.adapters.loaded()
        )

    @property
    def _texts(self) -> TextFormat:
        return TextFormat(self.model.tokenizer, self.model.chat_template, self.model.vocab_size)


def load_hosted_model(plan: LoadPlan) -> HostedModel:
    """Load the model in the plan's folder to be served under its id."""
    options = plan.options
    torch.set_num_threads(options.num_threads)
    chosen = _ops_for(plan.folder, options.num_threads)
    folders = AdapterFolders(data_dir=options.data_dir, named=options.adapter_folders)
    loaded = load_model(
        plan.folder,
        model_id=plan.model_id,
        ops=chosen.ops,
        dtype=options.dtype,
        adapters=AdapterPlaces(folders=folders, max_bytes=options.adapter_bytes),
    )
    if plan.draft is not None:
        loaded = with_draft(loaded, _load_draft(plan.draft, options))
    give_back_freed_memory()
    config = EngineConfig(
        max_batch_tokens=options.max_batch_tokens,
        max_sequences=options.max_sequences,
        cache_bytes=options.cache_bytes,
        prefix_cache=options.prefix_cache,
        watermark_key=options.watermark_key,
        max_wait_seconds=options.max_wait_seconds,
    )
    served = ServedModel(
        id=plan.model_id,
        context_length=loaded.context_length,
        hidden_size=loaded.hidden_size,
        num_parameters=loaded.num_parameters,
        dtype=loaded.dtype,
        num_bytes=loaded.num_bytes,
        weights_digest=digest_of(weight_files(plan.folder)),
        config_digest=digest_of(text_files(plan.folder)),
        ops=chosen.name,
        continues_prompt=loaded.decoder_start_token_id is None,
        draft=None if plan.draft is None else plan.draft.model_id,
    )
    return HostedModel(served, LocalEngineKit(loaded, config))


def _ops_for(folder: Path, num_threads: int) -> ChosenOps:
    return choose_ops(prefer="auto" if _is_native(folder) else "torch", num_threads=num_threads)


def _load_draft(plan: DraftPlan, options: LoadingOptions) -> LoadedModel:
    chosen = _ops_for(plan.folder, options.num_threads)
    return load_model(plan.folder, model_id=plan.model_id, ops=chosen.ops, dtype=options.dtype)


def _is_native(folder: Path) -> bool:
    """Whether our kernels compute the model: beside them torch would be left with one thread."""
    return read_config(folder)["model_type"] in NATIVE_FAMILIES


def digest_of(files: Iterable[Path]) -> str:
    """One SHA-256 over files in order."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(DIGEST_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
