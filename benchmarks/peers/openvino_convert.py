"""A model folder as OpenVINO's graph: exported once by optimum-intel, then narrowed by NNCF.

Usage: python -m benchmarks.peers.openvino_convert FOLDER TARGET WIDTH
"""

import shutil
import sys
from pathlib import Path

GRAPH = "openvino_model.xml"
EXPORTED = "openvino-float32"  # beside every other width


def main() -> None:
    folder, target, width = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    exported = target.with_name(EXPORTED)
    if not exported.exists():
        _export(folder, exported)
    if target != exported:
        _narrow(exported, target, width)


def _export(folder: Path, target: Path) -> None:
    """The graph in fp32, with a cache of keys and values and without a tokenizer."""
    from optimum.exporters.openvino import main_export
    from optimum.intel import OVConfig

    main_export(
        model_name_or_path=str(folder),
        output=target,
        task="text-generation-with-past",
        ov_config=OVConfig(dtype="fp32"),
        convert_tokenizer=False,
        library_name="transformers",
    )


def _narrow(exported: Path, target: Path, width: str) -> None:
    """The same graph with weights in fp16 (computed as bf16 where possible) or narrower."""
    import nncf
    import openvino

    graph = openvino.Core().read_model(exported / GRAPH)
    if width == "int8":
        graph = nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_ASYM)
    if width == "int4":
        graph = nncf.compress_weights(
            graph, mode=nncf.CompressWeightsMode.INT4_ASYM, group_size=64, ratio=1.0
        )
    shutil.copytree(exported, target, ignore=shutil.ignore_patterns("openvino_model.*"))
    openvino.save_model(graph, target / GRAPH, compress_to_fp16=width == "bfloat16")


main()
