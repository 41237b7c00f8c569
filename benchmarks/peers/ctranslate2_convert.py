"""A model folder in CTranslate2's format, by its own converter.

Usage: python -m benchmarks.peers.ctranslate2_convert FOLDER TARGET WIDTH
"""

import sys

QUANTISATIONS = {"float32": "float32", "bfloat16": "bfloat16", "int8": "int8"}


def main() -> None:
    from ctranslate2.converters import TransformersConverter

    folder, target, width = sys.argv[1:]
    TransformersConverter(folder).convert(target, quantization=QUANTISATIONS[width])


main()
