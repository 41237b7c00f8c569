// How panels of integer codes lie in memory. The same for every instruction set but for the number of columns.
//
// A panel is a row of blocks of up to kGroupBlock groups of k. A block holds, for its groups one after another:
// the columns' scales in bf16, filled up to whole cache lines; of int4 the columns' steps, then their lows, for
// each kStepDepth steps of k; and the codes, as four neighbours of k side by side in each column. A byte of
// int4 holds the codes of k (low bits) and k + 4.
#pragma once
#include "isa.h"

namespace penstock {

constexpr int kFours = kGroupDepth / 4;                 // rows of a group's codes, each four steps of k
constexpr int kStepsOfGroup = kGroupDepth / kStepDepth;

struct CodesLayout {
    int32_t element;
    int64_t columns;

    int64_t scale_bytes(int64_t num_groups) const { return (num_groups * columns * 2 + 63) / 64 * 64; }
    int64_t step_bytes() const { return element == PENSTOCK_INT4 ? 2 * kStepsOfGroup * columns : 0; }
    int64_t code_bytes() const { return kGroupDepth * columns / (element == PENSTOCK_INT4 ? 2 : 1); }
    int64_t block_bytes(int64_t num_groups) const {
        return scale_bytes(num_groups) + num_groups * (step_bytes() + code_bytes());
    }
    int64_t panel_bytes(int64_t num_groups) const {
        const int64_t whole = num_groups / kGroupBlock, rest = num_groups % kGroupBlock;
        const int64_t bytes = whole * block_bytes(kGroupBlock) + (rest > 0 ? block_bytes(rest) : 0);
        return (bytes + 63) / 64 * 64;
    }
};

}  // namespace penstock
