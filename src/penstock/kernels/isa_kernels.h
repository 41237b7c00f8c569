// Gathers one instruction set's kernels into its table. Included last by each isa_*.cpp.
#pragma once
#include "argmax.h"
#include "attention_item.h"
#include "linear.h"
#include "norms.h"

namespace PENSTOCK_ISA {
extern const PenstockIsa kernels;
const PenstockIsa kernels = {
    kIsaName,       kLanes,     linear_item, norm_item<layer_norm_row>, norm_item<rms_norm_row>,
    attention_item, argmax_item};
}  // namespace PENSTOCK_ISA
