// x @ weight.T with AMX tiles, in bf16 and in integer codes.
#pragma once
#include "codes.h"
#include "rounding.h"
#include "tiles.h"

namespace PENSTOCK_ISA {

static_assert(kPanelVectors == 3 && kLanes == 16, "a panel is three tiles wide");

constexpr int64_t kWeightStride = 4 * kColumns;  // bytes from a row of a tile of weights to the next
constexpr int64_t kSumStride = 4 * kColumns;
constexpr int64_t kTileDepthBytes = 16 * kWeightStride;  // weights of a tile's depth, all columns

// ---- bf16: the sums stay in tiles

constexpr int64_t kTileBlocks = 8;  // blocks of x that are multiplied before the next rows' turn

// sums (16, kColumns) += the products of some blocks of kPairDepth steps of k. Weights so many bytes `ahead`
// are asked for meanwhile.
inline void multiply_tile(const char* weights, const char* x, int64_t x_block, int64_t num_blocks, float* sums,
                          int64_t ahead) {
    TILE_LOAD(0, sums, kSumStride);
    TILE_LOAD(1, sums + 16, kSumStride);
    TILE_LOAD(2, sums + 32, kSumStride);
    for (int64_t b = 0; b < num_blocks; ++b, x += x_block, weights += kTileDepthBytes) {
        if (ahead > 0) fetch(weights + ahead, kTileDepthBytes);
        TILE_LOAD(6, x, 64);
        TILE_LOAD(7, weights, kWeightStride);
        TILE_ADD_BF16(0, 6, 7);
        TILE_LOAD(7, weights + 64, kWeightStride);
        TILE_ADD_BF16(1, 6, 7);
        TILE_LOAD(7, weights + 128, kWeightStride);
        TILE_ADD_BF16(2, 6, 7);
    }
    TILE_STORE(0, sums, kSumStride);
    TILE_STORE(1, sums + 16, kSumStride);
    TILE_STORE(2, sums + 32, kSumStride);
}

// The same for 32 rows.
inline void multiply_two_tiles(const char* weights, const char* x, int64_t x_block, int64_t num_blocks,
                               float* sums, int64_t ahead) {
    float* more = sums + 16 * kColumns;
    TILE_LOAD(0, sums, kSumStride);
    TILE_LOAD(1, sums + 16, kSumStride);
    TILE_LOAD(2, sums + 32, kSumStride);
    TILE_LOAD(3, more, kSumStride);
    TILE_LOAD(4, more + 16, kSumStride);
    TILE_LOAD(5, more + 32, kSumStride);
    for (int64_t b = 0; b < num_blocks; ++b, x += x_block, weights += kTileDepthBytes) {
        if (ahead > 0) fetch(weights + ahead, kTileDepthBytes);
        TILE_LOAD(7, weights, kWeightStride);
        TILE_LOAD(6, x, 64);
        TILE_ADD_BF16(0, 6, 7);
        TILE_LOAD(6, x + 16 * 64, 64);
        TILE_ADD_BF16(3, 6, 7);
        TILE_LOAD(7, weights + 64, kWeightStride);
        TILE_ADD_BF16(4, 6, 7);
        TILE_LOAD(6, x, 64);
        TILE_ADD_BF16(1, 6, 7);
        TILE_LOAD(7, weights + 128, kWeightStride);
        TILE_ADD_BF16(2, 6, 7);
        TILE_LOAD(6, x + 16 * 64, 64);
        TILE_ADD_BF16(5, 6, 7);
    }
    TILE_STORE(0, sums, kSumStride);
    TILE_STORE(1, sums + 16, kSumStride);
    TILE_STORE(2, sums + 32, kSumStride);
    TILE_STORE(3, more, kSumStride);
    TILE_STORE(4, more + 16, kSumStride);
    TILE_STORE(5, more + 32, kSumStride);
}

inline int64_t whole_tiles(int64_t rows) { return (rows + 15) / 16 * 16; }

inline void tiles_item(void* context, int64_t item) {
    const LinearCall& call = *(const LinearCall*)context;
    const PanelRows range = find_rows(call, item);
    auto* sums = (float*)penstock::thread_scratch(size_t(whole_tiles(range.rows)) * kColumns * sizeof(float));
    clear(sums, whole_tiles(range.rows));
    const char* weights = panel_data(call, range.panel);
    const int64_t x_row = kPairDepth * 2, x_block = call.pitch * x_row;
    const int64_t num_blocks = (call.linear->in_features + kPairDepth - 1) / kPairDepth;
    const Tiles tiles(range.rows);
    for (int64_t b = 0; b < num_blocks; b += kTileBlocks) {
        const int64_t count = num_blocks - b < kTileBlocks ? num_blocks - b : int64_t(kTileBlocks);
        const char* x = (const char*)call.x + b * x_block + range.first * x_row;
        const int64_t ahead = count * kTileDepthBytes;
        int64_t r = 0;
        for (; r + 16 < range.rows; r += 32)
            multiply_two_tiles(weights, x + r * x_row, x_block, count, sums + r * kColumns, r == 0 ? ahead : 0);
        if (r < range.rows)
            multiply_tile(weights, x + r * x_row, x_block, count, sums + r * kColumns, r == 0 ? ahead : 0);
        weights += count * kTileDepthBytes;
    }
    finish_rows(call, range, sums);
}

// ---- Integer codes: the sums of each group leave the tiles to be scaled

// sums (rows, kColumns) += products (16, kColumns) int32, scaled.
inline void add_scaled(const int32_t* products, const uint16_t* scales, const float* x_scales, int64_t rows,
                       float* sums) {
    const vec scale[kPanelVectors] = {load(scales), load(scales + kLanes), load(scales + 2 * kLanes)};
    for (int64_t r = 0; r < rows; ++r, sums += kColumns, products += kColumns) {
        const vec x_scale = all(x_scales[r]);
#pragma GCC unroll 3
        for (int j = 0; j < kPanelVectors; ++j) {
            const vec product = _mm512_cvtepi32_ps(_mm512_load_si512(products + j * kLanes));
            store(sums + j * kLanes, multiply_add(mul(product, x_scale), scale[j], load(sums + j * kLanes)));
        }
    }
}

// Products (16, kColumns) int32 of sixteen rows, into one of two places and through tiles of its own, so that
// the tiles can work on the next while these are scaled.
inline void multiply_even(const char* x, const int8_t* codes, int32_t* products) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_LOAD(6, x, 64);
    TILE_LOAD(7, codes, kWeightStride);
    TILE_ADD_INT8(0, 6, 7);
    TILE_LOAD(7, codes + 64, kWeightStride);
    TILE_ADD_INT8(1, 6, 7);
    TILE_LOAD(7, codes + 128, kWeightStride);
    TILE_ADD_INT8(2, 6, 7);
    TILE_STORE(0, products, kSumStride);
    TILE_STORE(1, products + 16, kSumStride);
    TILE_STORE(2, products + 32, kSumStride);
}

inline void multiply_odd(const char* x, const int8_t* codes, int32_t* products) {
    TILE_ZERO(3);
    TILE_ZERO(4);
    TILE_ZERO(5);
    TILE_LOAD(6, x, 64);
    TILE_LOAD(7, codes, kWeightStride);
    TILE_ADD_INT8(3, 6, 7);
    TILE_LOAD(7, codes + 64, kWeightStride);
    TILE_ADD_INT8(4, 6, 7);
    TILE_LOAD(7, codes + 128, kWeightStride);
    TILE_ADD_INT8(5, 6, 7);
    TILE_STORE(3, products, kSumStride);
    TILE_STORE(4, products + 16, kSumStride);
    TILE_STORE(5, products + 32, kSumStride);
}

// Keeps the products of the last sixteen rows until the tiles have been given the next.
class TileProducts {
  public:
    inline void add(const CodesGroup& group, int64_t rows, float* sums) {
        fetch(group.next, group.next_bytes);
        for (int64_t row = 0; row < rows; row += 16) {
            int32_t* products = products_[is_odd_];
            const char* x = group.x + row * kRowBytes;
            if (is_odd_)
                multiply_odd(x, group.codes, products);
            else
                multiply_even(x, group.codes, products);
            is_odd_ = !is_odd_;
            finish();
            const int64_t count = rows - row < 16 ? rows - row : int64_t(16);
            waiting_ = {products, group.scales, group.x_scales + row, count, sums + row * kColumns};
        }
    }

    // Scale what is left.
    inline void finish() {
        if (waiting_.rows > 0)
            add_scaled(waiting_.products, waiting_.scales, waiting_.x_scales, waiting_.rows, waiting_.sums);
        waiting_.rows = 0;
    }

  private:
    struct Waiting {
        const int32_t* products;
        const uint16_t* scales;
        const float* x_scales;
        int64_t rows;
        float* sums;
    };

    alignas(64) int32_t products_[2][16 * kColumns];
    Waiting waiting_ = {nullptr, nullptr, nullptr, 0, nullptr};
    bool is_odd_ = false;
};

inline void codes_in_tiles_item(void* context, int64_t item) {
    const LinearCall& call = *(const LinearCall*)context;
    const PanelRows range = find_rows(call, item);
    const Tiles tiles(range.rows);
    Unpacked unpacked;
    TileProducts products;
    auto* sums = (float*)penstock::thread_scratch(size_t(range.rows) * kColumns * sizeof(float));
    clear(sums, range.rows);
    for_groups(call, range, unpacked, [&](const CodesGroup& group) { products.add(group, range.rows, sums); });
    products.finish();
    finish_rows(call, range, sums);
}

}  // namespace PENSTOCK_ISA
