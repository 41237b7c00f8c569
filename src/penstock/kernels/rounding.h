// Rows of x become bf16, rounded to the nearest, ties to even.
#pragma once
#include <immintrin.h>

#include "panel.h"

namespace PENSTOCK_ISA {

using penstock::kPairDepth;

inline void round_bf16_item(void* context, int64_t item) {
    const auto& call = *(const GatherCall*)context;
    for_gathered_rows(call, item, [&](int64_t row, const float* x) {
        auto* to = (uint16_t*)call.to + row * kPairDepth;
        for (int64_t k = 0; k < call.in_features; k += kPairDepth, to += call.pitch * kPairDepth)
            for (int i = 0; i < kPairDepth; i += kLanes) {
                const int64_t left = call.in_features - k - i;
                const vec part =
                    left >= kLanes ? load(x + k + i) : left > 0 ? load_first(x + k + i, int(left)) : zero();
                _mm256_storeu_si256((__m256i*)(to + i), (__m256i)_mm512_cvtneps_pbh(part));
            }
    });
}

constexpr penstock::Product pairs_product(void (*item)(void*, int64_t), int row_tile) {
    return {round_bf16_item, item, kPairDepth, kPairDepth * 2, row_tile, kPairDepth};
}

}  // namespace PENSTOCK_ISA
