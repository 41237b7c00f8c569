// Gathers one instruction set's kernels into its table. Included last by the isa_*.cpp that have a whole one.
#pragma once
#include "argmax.h"
#include "attention_item.h"
#include "choices.h"
#include "codes_products.h"
#include "linear.h"
#include "norms.h"
#include "quantise.h"

namespace PENSTOCK_ISA {
extern const PenstockIsa kernels;
const PenstockIsa kernels = {kIsaName,
                             kLanes,
                             kFp32Product,
                             kBf16Product,
                             codes_product(codes_item<multiply_codes>, 1),
                             norm_item<layer_norm_row>,
                             norm_item<rms_norm_row>,
                             attention_item,
                             argmax_item,
                             quantise_int8_item,
                             quantise_int4_item,
                             choose_item};
}  // namespace PENSTOCK_ISA
