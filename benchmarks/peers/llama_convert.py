"""A model folder as GGUF, written tensor by tensor from its safetensors file.

GPT-2 and Qwen2 only: what is measured. There is no tokenizer in it, since prompts are token ids.

Usage: python -m benchmarks.peers.llama_convert FOLDER TARGET WIDTH
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file

KINDS = {"float32": Kind.F32, "bfloat16": Kind.BF16, "int8": Kind.Q8_0, "int4": Kind.Q4_0}
FILE_NAME = "model.gguf"
TRANSPOSED = ("attn_qkv.weight", "attn_output.weight", "ffn_up.weight", "ffn_down.weight")

GPT2 = {
    "wte.": "token_embd.",
    "wpe.": "position_embd.",
    "ln_f.": "output_norm.",
    "h.": "blk.",
    "ln_1.": "attn_norm.",
    "attn.c_attn.": "attn_qkv.",
    "attn.c_proj.": "attn_output.",
    "ln_2.": "ffn_norm.",
    "mlp.c_fc.": "ffn_up.",
    "mlp.c_proj.": "ffn_down.",
}
QWEN2 = {
    "embed_tokens.": "token_embd.",
    "layers.": "blk.",
    "post_attention_layernorm.": "ffn_norm.",
    "input_layernorm.": "attn_norm.",
    "self_attn.q_proj.": "attn_q.",
    "self_attn.k_proj.": "attn_k.",
    "self_attn.v_proj.": "attn_v.",
    "self_attn.o_proj.": "attn_output.",
    "mlp.gate_proj.": "ffn_gate.",
    "mlp.up_proj.": "ffn_up.",
    "mlp.down_proj.": "ffn_down.",
}


def main() -> None:
    folder, target, width = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    target.mkdir(parents=True)
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(target / FILE_NAME, config["model_type"])
    _add_sizes(writer, config)
    for name, values in _tensors(folder, config["model_type"]):
        kind = _kind(name, values, KINDS[width])
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_sizes(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config["vocab_size"])
    if config["model_type"] == "gpt2":
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_feed_forward_length(4 * config["n_embd"])
        writer.add_block_count(config["n_layer"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    writer.add_rope_freq_base(float(theta))


def _tensors(folder: Path, family: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every tensor in fp32 under llama.cpp's name, with outputs as rows."""
    names = GPT2 if family == "gpt2" else QWEN2
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name == "lm_head.weight":  # tied
            continue
        name = name.removeprefix("transformer.").removeprefix("model.")  # noqa: PLW2901
        name = "output_norm.weight" if name == "norm.weight" else name  # noqa: PLW2901
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)  # noqa: PLW2901
        values = tensor.float().numpy()
        if family == "gpt2" and name.endswith(TRANSPOSED):
            values = np.ascontiguousarray(values.T)
        yield name, values


def _kind(name: str, values: np.ndarray[Any, Any], kind: Kind) -> Kind:
    """Matrices in the wanted kind; vectors and positions in fp32; in 4 bits the embedding in 8.

    The embedding is the output layer too, which llama.cpp's own quantiser keeps wider than 4 bits.
    """
    if values.ndim == 1 or name.startswith("position"):
        return Kind.F32
    return Kind.Q8_0 if kind is Kind.Q4_0 and name.startswith("token_embd") else kind


if __name__ == "__main__":
    main()
