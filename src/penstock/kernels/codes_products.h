// The products of rows with a group of integer codes, in an instruction set's own vectors.
#pragma once
#include "codes.h"

namespace PENSTOCK_ISA {

// The sums of ROWS rows from `row` on += the products of one group.
template <int ROWS>
void multiply_group(const CodesGroup& group, int64_t row, float* sums) {
    const int8_t* codes = group.codes;
    const char* x = group.x + row * kRowBytes;
    const int64_t next_bytes = row == 0 ? group.next_bytes : 0;
    ints products[ROWS][kPanelVectors], offsets[kPanelVectors];
#pragma GCC unroll 3
    for (int j = 0; j < kPanelVectors; ++j) {
        offsets[j] = no_ints();
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) products[r][j] = no_ints();
    }
    for (int four = 0; four < kFours; ++four, codes += 4 * kColumns) {
        fetch(group.next + four * next_bytes / kFours, next_bytes / kFours);
        Fours weights[kPanelVectors];
#pragma GCC unroll 3
        for (int j = 0; j < kPanelVectors; ++j) {
            weights[j] = load_fours(codes + 4 * j * kLanes);
            if (kHasOffset) offsets[j] = add_offset(offsets[j], weights[j]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 3
            for (int j = 0; j < kPanelVectors; ++j)
                products[r][j] =
                    add_products(products[r][j], weights[j], x + r * kRowBytes + four * 4 * kCodeBytes);
    }
    for (int r = 0; r < ROWS; ++r) {
        const vec x_scale = all(group.x_scales[row + r]);
        for (int j = 0; j < kPanelVectors; ++j) {
            float* sum = sums + (row + r) * kColumns + j * kLanes;
            const ints exact = kHasOffset ? subtract(products[r][j], offsets[j]) : products[r][j];
            const vec scale = load(group.scales + j * kLanes);
            store(sum, multiply_add(mul(to_floats(exact), x_scale), scale, load(sum)));
        }
    }
}

inline void multiply_codes(const CodesGroup& group, int64_t rows, float* sums) {
    int64_t row = 0;
    for (; row + kMaxCodeRows <= rows; row += kMaxCodeRows) multiply_group<kMaxCodeRows>(group, row, sums);
    for (; row + 2 <= rows; row += 2) multiply_group<2>(group, row, sums);
    if (row < rows) multiply_group<1>(group, row, sums);
}

}  // namespace PENSTOCK_ISA
