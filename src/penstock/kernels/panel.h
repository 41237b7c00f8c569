// What every product does around its multiplications: which rows an item has, and what becomes of its sums.
#pragma once
#include "isa.h"
#include "thread_pool.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

using penstock::GatherCall;
using penstock::kPanelVectors;
using penstock::LinearCall;

constexpr int kColumns = kPanelVectors * kLanes;

struct PanelRows {
    int64_t panel, first, rows;
};

inline PanelRows find_rows(const LinearCall& call, int64_t item) {
    const int64_t first = item % call.num_groups * call.group_rows;
    const int64_t left = call.rows - first;
    return {item / call.num_groups, first, left < call.group_rows ? left : call.group_rows};
}

inline const char* panel_data(const LinearCall& call, int64_t panel) {
    return (const char*)call.linear->panels + panel * call.linear->panel_bytes;
}

inline void clear(float* sums, int64_t rows) {
    for (int64_t i = 0; i < rows * kColumns; i += kLanes) store(sums + i, zero());
}

// Ask memory for the weights that come next: nobody has read them yet, and the processor's own
// prefetching stops at each page.
inline void fetch(const char* from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

inline void finish_row(const LinearCall& call, int64_t row, int64_t column, const float* sums) {
    const PenstockLinear& linear = *call.linear;
    for (int j = 0; j < kColumns; j += kLanes) {
        const int64_t left = linear.out_features - column - j;
        if (left <= 0) return;
        const int count = left < kLanes ? int(left) : kLanes;
        vec y = load(sums + j);
        if (linear.bias != nullptr) y = add(y, load(linear.bias + column + j));
        y = activate(y, call.activation);
        if (call.residual != nullptr)
            y = add(y, load_first(call.residual + row * call.residual_stride + column + j, count));
        store_first(call.out + row * linear.out_features + column + j, y, count);
    }
}

// Sums are (rows, kColumns).
inline void finish_rows(const LinearCall& call, const PanelRows& range, const float* sums) {
    for (int64_t r = 0; r < range.rows; ++r)
        finish_row(call, range.first + r, range.panel * kColumns, sums + r * kColumns);
}

// Call `visit` with the first of each few rows of x that a gathering item lays out.
template <class Visit>
inline void for_gathered_rows(const GatherCall& call, int64_t item, Visit visit) {
    const int64_t begin = item * penstock::kGatherRows;
    for (int64_t row = begin; row < begin + penstock::kGatherRows && row < call.rows; ++row)
        visit(row, call.x + row * call.x_stride);
}

}  // namespace PENSTOCK_ISA
