// x @ weight.T with AVX-512's products of bf16 pairs. Rows are rounded to bf16; sums are fp32, in ascending k.
#pragma once
#include "rounding.h"

namespace PENSTOCK_ISA {

constexpr int kPairBlocks = 8;  // blocks of x that are multiplied before the next rows' turn
constexpr int64_t kPairBlockBytes = kPairDepth * kColumns * 2;

// sums (ROWS, kColumns) += the products of some blocks of kPairDepth steps of k.
template <int ROWS>
void multiply_pairs(const char* weights, const char* x, int64_t x_block, int64_t num_blocks, float* sums,
                    int64_t ahead) {
    vec s[ROWS][kPanelVectors];
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < kPanelVectors; ++j) s[r][j] = load(sums + r * kColumns + j * kLanes);
    for (int64_t b = 0; b < num_blocks; ++b, x += x_block)
        for (int pair = 0; pair < kPairDepth / 2; ++pair, weights += 4 * kColumns) {
            if (ahead > 0) fetch(weights + ahead, 4 * kColumns);
            vec w[kPanelVectors];
#pragma GCC unroll 3
            for (int j = 0; j < kPanelVectors; ++j) w[j] = load((const float*)weights + j * kLanes);
#pragma GCC unroll 8
            for (int r = 0; r < ROWS; ++r) {
                const vec both = all(((const float*)(x + r * kPairDepth * 2))[pair]);
#pragma GCC unroll 3
                for (int j = 0; j < kPanelVectors; ++j)
                    s[r][j] = _mm512_dpbf16_ps(s[r][j], (__m512bh)both, (__m512bh)w[j]);
            }
        }
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < kPanelVectors; ++j) store(sums + r * kColumns + j * kLanes, s[r][j]);
}

inline void pairs_item(void* context, int64_t item) {
    const LinearCall& call = *(const LinearCall*)context;
    const PanelRows range = find_rows(call, item);
    auto* sums = (float*)penstock::thread_scratch(size_t(range.rows) * kColumns * sizeof(float));
    clear(sums, range.rows);
    const char* weights = panel_data(call, range.panel);
    const int64_t x_row = kPairDepth * 2, x_block = call.pitch * x_row;
    const int64_t num_blocks = (call.linear->in_features + kPairDepth - 1) / kPairDepth;
    for (int64_t b = 0; b < num_blocks; b += kPairBlocks) {
        const int64_t count = num_blocks - b < kPairBlocks ? num_blocks - b : int64_t(kPairBlocks);
        const char* x = (const char*)call.x + b * x_block + range.first * x_row;
        const int64_t ahead = count * kPairBlockBytes;
        int64_t r = 0;
        for (; r + 8 <= range.rows; r += 8)
            multiply_pairs<8>(weights, x + r * x_row, x_block, count, sums + r * kColumns, r == 0 ? ahead : 0);
        for (; r + 2 <= range.rows; r += 2)
            multiply_pairs<2>(weights, x + r * x_row, x_block, count, sums + r * kColumns, r == 0 ? ahead : 0);
        if (r < range.rows)
            multiply_pairs<1>(weights, x + r * x_row, x_block, count, sums + r * kColumns, r == 0 ? ahead : 0);
        weights += count * kPairBlockBytes;
    }
    finish_rows(call, range, sums);
}

}  // namespace PENSTOCK_ISA
