// x @ weight.T for one panel of output columns. Every sum runs over k in ascending order, whatever the rows.
#pragma once
#include <cstring>

#include "panel.h"

namespace PENSTOCK_ISA {

using penstock::kDepthBlock;

constexpr int64_t kWidenFromRows = 64;  // fewer rows widen bf16 weights each time they meet them

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

// One depth block for all rows of the item, widened first where enough rows share the work of it.
template <class Element>
void multiply_narrow(int64_t rows, const Element* weights, const float* x, int64_t depth, float* sums,
                     float* widened, const char* next, int64_t next_bytes) {
    if (rows < kWidenFromRows) return multiply_blocks(rows, weights, x, depth, sums, next, next_bytes);
    widen_weights(weights, depth, widened);
    multiply_blocks(rows, (const float*)widened, x, depth, sums, next, next_bytes);
}

template <class Element>
void widening_item(void* context, int64_t item) {
    const LinearCall& call = *(const LinearCall*)context;
    const PanelRows range = find_rows(call, item);
    const int64_t block_bytes = kDepthBlock * kColumns * int64_t(sizeof(Element));

    auto* widened = (float*)penstock::thread_scratch((kDepthBlock + range.rows) * kColumns * sizeof(float));
    float* sums = widened + kDepthBlock * kColumns;
    clear(sums, range.rows);
    const char* weights = panel_data(call, range.panel);
    for (int64_t k = 0; k < call.linear->in_features; k += kDepthBlock, weights += block_bytes) {
        const int64_t left = call.linear->in_features - k;
        const int64_t depth = left < kDepthBlock ? left : int64_t(kDepthBlock);
        const float* x = (const float*)call.x + k * call.pitch + range.first * kDepthBlock;
        const char* next = weights + block_bytes;
        if constexpr (sizeof(Element) == sizeof(float))
            multiply_blocks(range.rows, (const float*)weights, x, depth, sums, next, block_bytes);
        else
            multiply_narrow(range.rows, (const Element*)weights, x, depth, sums, widened, next, block_bytes);
    }
    finish_rows(call, range, sums);
}

inline void gather_item(void* context, int64_t item) {
    const auto& call = *(const GatherCall*)context;
    for_gathered_rows(call, item, [&](int64_t row, const float* x) {
        float* to = (float*)call.to + row * kDepthBlock;
        for (int64_t k = 0; k < call.in_features; k += kDepthBlock, to += call.pitch * kDepthBlock) {
            const int64_t left = call.in_features - k;
            std::memcpy(to, x + k, size_t(left < kDepthBlock ? left : int64_t(kDepthBlock)) * sizeof(float));
        }
    });
}

constexpr penstock::Product kFp32Product = {gather_item, widening_item<float>, kDepthBlock,
                                            kDepthBlock * int(sizeof(float)), 1, 1};
// Widens in registers; rows stay fp32.
constexpr penstock::Product kBf16Product = {gather_item, widening_item<uint16_t>, kDepthBlock,
                                            kDepthBlock * int(sizeof(float)), 1, 2};

}  // namespace PENSTOCK_ISA
