"""The training recipe: what a run is made of. Each field says what it means; knows no tensors.

It is read from YAML by `recipe_file.py`; the loop and the data read from here.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Family = Literal["gpt2", "gpt_neo", "llama", "qwen2", "t5"]
Method = Literal["scratch", "full", "lora"]
DataFormat = Literal["auto", "text", "chat", "prompt_completion"]


def _says(meaning: str, default: Any = ..., **limits: Any) -> Any:
    return Field(default, description=meaning, **limits)


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelRecipe(Section):
    """The shape of a model that is trained from nothing."""

    family: Family = _says("architecture: gpt2, gpt_neo, llama, qwen2 or t5", "gpt2")
    vocab_size: Positive = _says("tokens to learn; 257 makes every byte a token", 4096)
    n_embd: Positive = _says("width", 256)
    n_layer: Positive = _says("layers (t5: of the encoder and of the decoder)", 5)
    n_head: Positive = _says("attention heads", 4)
    n_kv_head: Positive | None = _says("heads of keys and values (llama, qwen2); as n_head", None)
    n_inner: Positive | None = _says("width inside the feed-forward part; the family's usual", None)
    n_positions: Positive = _says("longest text in tokens", 512)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.n_embd % self.n_head:
            raise ValueError("model.n_embd must be a multiple of model.n_head")
        if self.n_head % (self.n_kv_head or self.n_head):
            raise ValueError("model.n_head must be a multiple of model.n_kv_head")
        return self


class LoraRecipe(Section):
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685)."""

    rank: Positive = _says("rank of the added matrices", 8)
    alpha: Above0 = _says("the addition is scaled by alpha / rank", 16.0)
    dropout: Fraction = _says("share of the adapter's inputs left out while training", 0.0)
    targets: tuple[str, ...] | None = _says(
        "layers to adapt, by the end of their name; the family's usual (c_attn; q_proj, v_proj; "
        "q, v), or [all-linear]",
        None,
    )


class DataSource(Section):
    """One source of texts and its share of the batches."""

    path: Path | None = _says("text, JSONL, CSV or Parquet file, folder, or prepared folder", None)
    dataset: str | None = _says("wikitext-2, wikitext-103, openwebtext or a hub id", None)
    subset: str | None = _says("the part of a hub data set", None)
    split: str = _says("the split of a hub data set", "train")
    format: DataFormat = _says("text, chat, prompt_completion; auto goes by the columns", "auto")
    text_key: str = _says("column of the text", "text")
    messages_key: str = _says("column of the conversation", "messages")
    prompt_key: str = _says("column of the prompt", "prompt")
    completion_key: str = _says("column of the answer, the only part that is learnt", "completion")
    encoding: str = _says("character encoding of text and CSV files", "utf-8")
    clean: bool = _says("turn books and magazines into plain English prose", False)
    bad_rows: Literal["stop", "skip"] = _says("what happens at a row that cannot be used", "stop")
    max_rows: Positive | None = _says("read no more rows than this", None)
    licence: str | None = _says("noted in the data report and in the model's lineage", None)
    weight: AtLeast0 = _says("share of the batches", 1.0)
    cooldown_weight: AtLeast0 | None = _says("share during the cool-down; as weight", None)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("a data source has either a path or a dataset")
        return self

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.path) if self.path is not None else str(self.dataset)


class Recipe(Section):
    """Everything that decides a training run, except the machine."""

    name: str = _says("what the run is called", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    output_dir: Path | None = _says("folder of the run; runs/NAME beside the recipe", None)
    data: Annotated[tuple[DataSource, ...], Field(min_length=1)] = _says("list of sources")
    validation: DataSource | None = _says("a held-out source of its own", None)
    method: Method | None = _says(
        "scratch, full or lora; full where there is an initial_model, else scratch", None
    )
    model: ModelRecipe = _says("shape of a model from scratch", ModelRecipe())
    lora: LoraRecipe = _says("the adapter, with method: lora", LoraRecipe())
    initial_model: str | None = _says("model folder or catalog id to go on from", None)
    tokenizer: Path | None = _says("folder of a tokenizer to use from scratch; else learnt", None)
    seed: NotNegative = _says("decides all randomness", 0)

    block_size: Positive = _says("tokens per row; longer examples are cut", 128)
    final_block_size: Positive | None = _says("longer rows for the last steps", None)
    final_block_steps: NotNegative = _says("how many steps have final_block_size", 0)
    shift_positions: bool = _says("let short rows begin at any position", False)
    batch_size: Positive = _says("rows per forward pass, over all processes", 8)
    gradient_accumulation_steps: Positive = _says("forward passes per step", 1)
    max_steps: Positive | None = _says("length of the run in steps; or epochs", None)
    epochs: Above0 | None = _says("length of the run in passes over the data; or max_steps", None)

    optimizer: Literal["adamw", "muon"] = _says("muon: Muon for hidden matrices", "adamw")
    learning_rate: Above0 = _says("of AdamW", 5e-5)
    muon_learning_rate: Above0 = _says("of Muon", 5e-3)
    weight_decay: AtLeast0 = _says("norms and biases do not decay", 0.01)
    adam_beta2: Annotated[float, Field(gt=0, lt=1)] = _says("AdamW's second decay rate", 0.95)
    max_grad_norm: Above0 = _says("longer gradients are shortened to this", 1.0)
    schedule: Literal["trapezoid", "cosine", "linear", "constant"] = _says(
        "how the learning rate goes after the warm-up", "trapezoid"
    )
    warmup_steps: NotNegative | None = _says("rise of the learning rate; or warmup_ratio", None)
    warmup_ratio: Fraction = _says("rise of the learning rate as a share of the run", 0.1)
    cooldown_steps: NotNegative | None = _says("fall of a trapezoid; a quarter of the run", None)
    dropout: Fraction = _says("share of activations left out while training", 0.0)

    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = _says("held out", 0.01)
    validation_batches: Positive = _says("how much of it is scored during the run", 16)
    early_stopping_patience: Positive | None = _says("validations without progress to stop", None)
    early_stopping_delta: AtLeast0 = _says("what counts as progress, in nats", 0.0)
    logging_steps: Positive = _says("steps between log lines", 10)
    eval_steps: Positive = _says("steps between validations and samples", 200)
    save_steps: Positive = _says("steps between checkpoints", 200)
    sample_prompts: tuple[str, ...] = _says("what the model continues", ("Once upon a time",))
    sample_tokens: Positive = _says("length of a sample", 100)
    trackers: tuple[Literal["wandb", "tensorboard", "trackio"], ...] = _says(
        "where the log goes too, besides log.jsonl", ()
    )
    project: str = _says("what trackers file the run under", "penstock")

    export: Literal["last", "best"] = _says("which checkpoint becomes the model", "last")
    export_dtype: Literal["float32", "bfloat16"] = _says("how its weights are stored", "float32")
    gradient_checkpointing: bool = _says("compute activations twice to save memory", False)
    fp16: bool = _says("known and refused: needs a GPU", False)
    bf16: bool = _says("multiply in bfloat16: faster on a CPU with AMX, slower without", False)
    compile: bool = _says("compile the loss with torch.compile; for packed text", False)
    threads: Positive | None = _says("CPU threads; all cores", None)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("set either max_steps or epochs, not both and not neither")
        if self.final_block_size and self.batch_size * self.block_size % self.final_block_size:
            raise ValueError(
                f"final_block_size={self.final_block_size} does not divide batch_size * block_size"
            )
        if self.fp16:
            raise ValueError(
                "fp16 needs a GPU and training runs on the CPU; set fp16: false, or bf16: true"
            )
        self._check_method()
        return self

    def _check_method(self) -> None:
        if self.method == "scratch" and self.initial_model is not None:
            raise ValueError("method: scratch starts from nothing; leave initial_model out")
        if self.method in ("full", "lora") and self.initial_model is None:
            raise ValueError(f"method: {self.method} needs an initial_model")
        if self.is_lora and self.optimizer == "muon":
            raise ValueError("muon is for whole matrices; set optimizer: adamw with lora")
        if self.lora != LoraRecipe() and not self.is_lora:
            raise ValueError("lora: is given, but the method is another; set method: lora")
        if self.tokenizer is not None and self.initial_model is not None:
            raise ValueError("the tokenizer comes with the initial_model; leave tokenizer out")
        if self.initial_model is not None:
            return
        for name in ("block_size", "final_block_size"):
            if (getattr(self, name) or 0) > self.model.n_positions:
                raise ValueError(
                    f"{name}={getattr(self, name)} is more than model.n_positions="
                    f"{self.model.n_positions}; the model has no position for the rest"
                )

    @property
    def is_lora(self) -> bool:
        return self.method == "lora"

    @property
    def run_dir(self) -> Path:
        """Where the run lives; set when the recipe is loaded."""
        assert self.output_dir is not None
        return self.output_dir

    @property
    def tokens_per_step(self) -> int:
        return self.rows_per_step * self.block_size

    @property
    def rows_per_step(self) -> int:
        return self.batch_size * self.gradient_accumulation_steps
