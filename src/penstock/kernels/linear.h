// x @ weight.T for one panel of output columns. Every sum runs over k in ascending order, whatever the rows.
#pragma once
#include "isa.h"
#include "thread_pool.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

using penstock::kDepthBlock;
using penstock::kGroupDepth;
using penstock::kPanelVectors;
using penstock::LinearCall;

constexpr int kColumns = kPanelVectors * kLanes;
constexpr int64_t kWidenFromRows = 64;  // fewer rows widen bf16 and int8 weights each time they meet them

// The weights of the next depth block, to be asked of memory while this one is multiplied: nobody has
// read them yet, and the processor's own prefetching stops at each page.
struct Ahead {
    const char* next;
    int lines;  // for every eight steps of k

    inline void fetch() {
        for (int i = 0; i < lines; ++i) __builtin_prefetch(next + 64 * i, 0, 2);
        next += 64 * lines;
    }
};

template <int ROWS>
struct Sums {
    vec at[ROWS][kPanelVectors];

    inline explicit Sums(const float* from) {
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 3
            for (int j = 0; j < kPanelVectors; ++j) at[r][j] = load(from + r * kColumns + j * kLanes);
    }

    inline void add_products(const vec* weights, const float* x) {
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
            const vec activation = all(x[r * kDepthBlock]);
#pragma GCC unroll 3
            for (int j = 0; j < kPanelVectors; ++j) at[r][j] = multiply_add(activation, weights[j], at[r][j]);
        }
    }

    inline void save(float* to) const {
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 3
            for (int j = 0; j < kPanelVectors; ++j) store(to + r * kColumns + j * kLanes, at[r][j]);
    }
};

// sums (ROWS, kColumns) += x (ROWS, depth) times weights (depth, kColumns). Rows of x are kDepthBlock apart.
template <int ROWS>
void multiply(const float* weights, const float* x, int64_t depth, float* sums, Ahead ahead) {
    Sums<ROWS> s(sums);
    const auto step = [&](int64_t k) {
        const float* w = weights + k * kColumns;
        const vec row[kPanelVectors] = {load(w), load(w + kLanes), load(w + 2 * kLanes)};
        s.add_products(row, x + k);
    };
    int64_t k = 0;
    for (; k + 8 <= depth; k += 8) {
        ahead.fetch();
        for (int i = 0; i < 8; ++i) step(k + i);
    }
    for (; k < depth; ++k) step(k);
    s.save(sums);
}

// The same with bf16 weights in pairs of k; only the last block of a row may have an odd depth.
template <int ROWS>
void multiply(const uint16_t* weights, const float* x, int64_t depth, float* sums, Ahead ahead) {
    Sums<ROWS> s(sums);
    const auto step = [&](int64_t k, bool both) {
        const float* w = (const float*)(weights + k * kColumns);
        const vec pairs[kPanelVectors] = {load(w), load(w + kLanes), load(w + 2 * kLanes)};
        const vec even[kPanelVectors] = {lower_bf16(pairs[0]), lower_bf16(pairs[1]), lower_bf16(pairs[2])};
        s.add_products(even, x + k);
        if (!both) return;
        const vec odd[kPanelVectors] = {upper_bf16(pairs[0]), upper_bf16(pairs[1]), upper_bf16(pairs[2])};
        s.add_products(odd, x + k + 1);
    };
    int64_t k = 0;
    for (; k + 8 <= depth; k += 8) {
        ahead.fetch();
        for (int i = 0; i < 8; i += 2) step(k + i, true);
    }
    for (; k + 2 <= depth; k += 2) step(k, true);
    if (k < depth) step(k, false);
    s.save(sums);
}

// The same with int8 codes. In memory each group of them follows its columns' scales; see `pack_int8_panel`.
constexpr int kGroupBytes = (2 + kGroupDepth) * kColumns;

template <int ROWS>
void multiply(const int8_t* groups, const float* x, int64_t depth, float* sums, Ahead ahead) {
    Sums<ROWS> s(sums);
    for (int64_t g = 0; g < depth; g += kGroupDepth, groups += kGroupBytes) {
        const auto* from = (const uint16_t*)groups;
        const vec scales[kPanelVectors] = {load(from), load(from + kLanes), load(from + 2 * kLanes)};
        const int8_t* codes = groups + 2 * kColumns;
        const auto step = [&](int64_t k) {
            const int8_t* c = codes + k * kColumns;
            const vec row[kPanelVectors] = {mul(load(c), scales[0]), mul(load(c + kLanes), scales[1]),
                                            mul(load(c + 2 * kLanes), scales[2])};
            s.add_products(row, x + g + k);
        };
        const int64_t left = depth - g < kGroupDepth ? depth - g : int64_t(kGroupDepth);
        int64_t k = 0;
        for (; k + 8 <= left; k += 8) {
            ahead.fetch();
            for (int i = 0; i < 8; ++i) step(k + i);
        }
        for (; k < left; ++k) step(k);
    }
    s.save(sums);
}

template <class Element>
void multiply_rows(int rows, const Element* weights, const float* x, int64_t depth, float* sums, Ahead ahead) {
    switch (rows) {
        case 1: return multiply<1>(weights, x, depth, sums, ahead);
        case 2: return multiply<2>(weights, x, depth, sums, ahead);
        case 3: return multiply<3>(weights, x, depth, sums, ahead);
        case 4: return multiply<4>(weights, x, depth, sums, ahead);
    }
    if constexpr (kMaxRows == 8) {
        switch (rows) {
            case 5: return multiply<5>(weights, x, depth, sums, ahead);
            case 6: return multiply<6>(weights, x, depth, sums, ahead);
            case 7: return multiply<7>(weights, x, depth, sums, ahead);
            case 8: return multiply<8>(weights, x, depth, sums, ahead);
        }
    }
}

// All rows of the item, block by block and as evenly as can be: few sums do not keep the multipliers busy.
template <class Element>
void multiply_blocks(int64_t rows, const Element* weights, const float* x, int64_t depth, float* sums,
                     const char* next_weights, int64_t next_bytes) {
    const int64_t num_blocks = (rows + kMaxRows - 1) / kMaxRows;
    const int64_t lines = (next_bytes / 64 * 8 / kDepthBlock + num_blocks - 1) / num_blocks;
    for (int64_t b = 0; b < num_blocks; ++b) {
        const int64_t begin = rows * b / num_blocks, end = rows * (b + 1) / num_blocks;
        const Ahead ahead{next_weights + b * lines * 8 * kDepthBlock, int(lines)};
        multiply_rows(int(end - begin), weights, x + begin * kDepthBlock, depth, sums + begin * kColumns, ahead);
    }
}

// Widen `depth` steps of bf16 weights, so that many rows share the work of it.
inline void widen_weights(const uint16_t* weights, int64_t depth, float* to) {
    for (int64_t k = 0; k < depth; k += 2)
        for (int j = 0; j < kPanelVectors; ++j) {
            const vec pairs = load((const float*)(weights + k * kColumns) + j * kLanes);
            store(to + k * kColumns + j * kLanes, lower_bf16(pairs));
            store(to + (k + 1) * kColumns + j * kLanes, upper_bf16(pairs));
        }
}

// Make fp32 of `depth` steps of int8 weights, each as `multiply` has it.
inline void widen_weights(const int8_t* groups, int64_t depth, float* to) {
    for (int64_t g = 0; g < depth; g += kGroupDepth, groups += kGroupBytes)
        for (int64_t k = 0; k < kGroupDepth && g + k < depth; ++k)
            for (int j = 0; j < kColumns; j += kLanes) {
                const vec scale = load((const uint16_t*)groups + j);
                const int8_t* codes = groups + 2 * kColumns + k * kColumns + j;
                store(to + (g + k) * kColumns + j, mul(load(codes), scale));
            }
}

// One depth block for all rows of the item, widened first where enough rows share the work of it.
template <class Element>
void multiply_narrow(int64_t rows, const Element* weights, const float* x, int64_t depth, float* sums,
                     float* widened, const char* next, int64_t next_bytes) {
    if (rows < kWidenFromRows) return multiply_blocks(rows, weights, x, depth, sums, next, next_bytes);
    widen_weights(weights, depth, widened);
    multiply_blocks(rows, (const float*)widened, x, depth, sums, next, next_bytes);
}

inline int64_t bytes_of_block(int32_t element) {
    if (element == PENSTOCK_INT8) return kDepthBlock / kGroupDepth * kGroupBytes;
    return kDepthBlock * kColumns * (element == PENSTOCK_BF16 ? 2 : 4);
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

inline void linear_item(void* context, int64_t item) {
    const LinearCall& call = *(const LinearCall*)context;
    const PenstockLinear& linear = *call.linear;
    const int64_t panel = item / call.num_groups;
    const int64_t first_row = item % call.num_groups * call.group_rows;
    const int64_t rows = call.rows - first_row < call.group_rows ? call.rows - first_row : call.group_rows;
    const int64_t block_bytes = bytes_of_block(linear.element);

    auto* widened = (float*)penstock::thread_scratch((kDepthBlock + rows) * kColumns * sizeof(float));
    float* sums = widened + kDepthBlock * kColumns;
    for (int64_t i = 0; i < rows * kColumns; i += kLanes) store(sums + i, zero());

    const char* weights = (const char*)linear.panels + panel * linear.panel_bytes;
    for (int64_t k = 0; k < linear.in_features; k += kDepthBlock, weights += block_bytes) {
        const int64_t left = linear.in_features - k;
        const int64_t depth = left < kDepthBlock ? left : int64_t(kDepthBlock);
        const float* x = call.x + k * call.rows + first_row * kDepthBlock;
        const char* next = weights + block_bytes;
        if (linear.element == PENSTOCK_FP32)
            multiply_blocks(rows, (const float*)weights, x, depth, sums, next, block_bytes);
        else if (linear.element == PENSTOCK_BF16)
            multiply_narrow(rows, (const uint16_t*)weights, x, depth, sums, widened, next, block_bytes);
        else
            multiply_narrow(rows, (const int8_t*)weights, x, depth, sums, widened, next, block_bytes);
    }
    for (int64_t r = 0; r < rows; ++r)
        finish_row(call, first_row + r, panel * kColumns, sums + r * kColumns);
}

}  // namespace PENSTOCK_ISA
