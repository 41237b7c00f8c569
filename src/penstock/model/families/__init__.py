"""Every model family, by the `model_type` its checkpoints declare."""

from penstock.model.families.gpt2 import GPT2
from penstock.model.families.gpt_neo import GPTNeo
from penstock.model.families.interface import Family
from penstock.model.families.llama import Llama
from penstock.model.families.t5 import T5

FAMILIES: dict[str, type[Family]] = {
    "gpt2": GPT2,
    "gpt_neo": GPTNeo,
    "llama": Llama,
    "mistral": Llama,
    "mt5": T5,
    "qwen2": Llama,
    "t5": T5,
}
