"""The number formats that weights are kept in, told without torch."""

from collections.abc import Mapping
from typing import Literal

Dtype = Literal["float32", "bfloat16", "int8", "int4"]

QUANTISED: frozenset[Dtype] = frozenset({"int8", "int4"})
# Of an element of a matrix; for the quantised with its share of what tells its group's values.
BITS: Mapping[Dtype, float] = {"float32": 32, "bfloat16": 16, "int8": 8.25, "int4": 5.25}

HEAD_DTYPES: Mapping[Dtype, Dtype] = {"int4": "int8"}  # of the output projection, where it differs


def packed_bytes(num_elements: int, dtype: Dtype) -> int:
    """About what a matrix of so many elements takes."""
    return round(num_elements * BITS[dtype] / 8)
