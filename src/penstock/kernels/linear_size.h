// How many panels a laid out weight has, and which product is its own.
#pragma once
#include "isa.h"

namespace penstock {

inline int64_t panel_columns(const PenstockLinear& linear) { return int64_t(linear.isa->lanes) * kPanelVectors; }

inline int64_t num_panels(const PenstockLinear& linear) {
    return (linear.out_features + panel_columns(linear) - 1) / panel_columns(linear);
}

inline const Product& product_of(const PenstockLinear& linear) {
    if (linear.element == PENSTOCK_FP32) return linear.isa->fp32;
    return linear.element == PENSTOCK_BF16 ? linear.isa->bf16 : linear.isa->codes;
}

}  // namespace penstock
