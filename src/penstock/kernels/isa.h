// What each instruction set's translation unit offers, and the calls whose items it runs.
#pragma once
#include <cstddef>
#include <cstdint>

#include "penstock_kernels.h"

namespace penstock {

constexpr int kPanelVectors = 3;  // a panel of weights is this many vectors of output columns wide
constexpr int kDepthBlock = 96;   // of the inner dimension that is multiplied before the next rows' turn
constexpr int kGroupDepth = 32;   // steps of k whose int8 codes share a scale in each column
static_assert(kDepthBlock % kGroupDepth == 0, "a block holds whole groups");

// One call of `linear`. Its items are (panel, row group) pairs, the groups of a panel next to each other.
struct LinearCall {
    const PenstockLinear* linear;
    const float* x;  // [k / kDepthBlock][row][k % kDepthBlock]: neighbours in time are neighbours in memory
    int64_t rows;
    int32_t activation;
    const float* residual;
    int64_t residual_stride;
    float* out;
    int64_t group_rows;
    int64_t num_groups;
};

// One call of `layer_norm` or `rms_norm`; the latter has no bias.
struct NormCall {
    const float* x;
    int64_t x_stride;
    int64_t rows;
    int64_t width;
    const float* weight;
    const float* bias;
    float epsilon;
    float* out;
    int64_t rows_per_item;
};

struct ArgmaxCall {
    const float* x;
    int64_t x_stride;
    int64_t width;
    int64_t* out;
};

// Rows of heads: element (token, head, i) lies at data[token * token_stride + head * head_stride + i].
struct Heads {
    const float* data;
    int64_t token_stride;
    int64_t head_stride;
};

// One call of `paged_attention`. Its items are (sequence, kv head, tile) triples in that order.
struct AttentionCall {
    Heads queries;
    PenstockCache cache;
    const PenstockBatch* batch;
    int32_t num_heads;
    int64_t window;
    float* out;
    const int64_t* first_item;  // (num_sequences + 1,)
};

constexpr int kTileRows = 16;  // (query, head of the group) rows of one attention item

}  // namespace penstock

struct PenstockIsa {
    const char* name;
    int lanes;
    void (*linear_item)(void* call, int64_t item);
    void (*layer_norm_item)(void* call, int64_t item);
    void (*rms_norm_item)(void* call, int64_t item);
    void (*attention_item)(void* call, int64_t item);
    void (*argmax_item)(void* call, int64_t item);
};

struct PenstockLinear {
    const PenstockIsa* isa;
    int32_t element;
    int64_t out_features;
    int64_t in_features;
    int64_t panel_bytes;
    // [panel][k][column] fp32, or [panel][k / 2][column][k % 2] bf16, or for each [panel][k / 32] the columns'
    // scales and [k % 32][column] int8; padded with 0
    void* panels;
    size_t panels_size;  // bytes
    float* bias;         // padded to whole panels; null if there is none
};
