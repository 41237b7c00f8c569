// What each instruction set's translation unit offers, and the calls whose items it runs.
#pragma once
#include <cstddef>
#include <cstdint>

#include "penstock_kernels.h"

namespace penstock {

constexpr int kPanelVectors = 3;  // a panel of weights is this many vectors of output columns wide
constexpr int kDepthBlock = 96;   // of the inner dimension that is multiplied before the next rows' turn
constexpr int kPairDepth = 32;    // steps of k in a tile of bf16 weights
constexpr int kGroupDepth = 64;   // steps of k whose integer codes share a scale, in a row of x and in each column
constexpr int kStepDepth = 16;    // steps of k whose 4-bit codes share a step and a lowest value
constexpr int kGroupBlock = 4;    // groups that are multiplied before the next rows' turn
constexpr int kGatherRows = 16;   // of one item of `gather`: fewer are not worth telling another thread about

// One call that lays out rows of x as a product wants them, [k / depth][row][k % depth]: neighbours in time
// are neighbours in memory. Where x becomes codes, their scales follow: [k / depth][row] fp32.
struct GatherCall {
    const float* x;
    int64_t x_stride;
    int64_t rows;
    int64_t pitch;  // rows there is room for in each block of k
    int64_t in_features;
    void* to;
};

// One call of `linear`. Its items are (panel, row group) pairs, the groups of a panel next to each other.
struct LinearCall {
    const PenstockLinear* linear;
    const void* x;  // see GatherCall
    int64_t pitch;
    int64_t rows;
    int32_t activation;
    const float* residual;
    int64_t residual_stride;
    float* out;
    int64_t group_rows;
    int64_t num_groups;
};

// How an instruction set multiplies rows with weights of one element type.
struct Product {
    void (*gather_item)(void* gather_call, int64_t item);
    void (*item)(void* linear_call, int64_t item);
    int depth;         // steps of k in a block of x
    int block_bytes;   // of a row in such a block
    int row_tile;      // rows are computed so many at a time; memory is read, though not used, beyond the last
    int weight_depth;  // weights are filled up with zeros to a multiple of so many steps of k
};

// One call that rounds weights to codes. Its items are rows of outputs.
struct QuantiseCall {
    const float* weight;
    int64_t in_features;
    int64_t num_groups;
    void* codes;
    uint8_t* steps;
    int8_t* lows;
    uint16_t* scales;
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

// One call of `choose`. Its items are the choices.
struct ChooseCall {
    const float* logits;
    int64_t logits_stride;
    int64_t width;
    const PenstockChoice* choices;
    const int32_t* tokens;
    const int32_t* edited;
    const float* amounts;
    const double* uniforms;
    int64_t* token_ids;
    float* values;
    float* wholes;
    int32_t* statuses;
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
    penstock::Product fp32, bf16, codes;  // codes: int8 and int4
    void (*layer_norm_item)(void* call, int64_t item);
    void (*rms_norm_item)(void* call, int64_t item);
    void (*attention_item)(void* call, int64_t item);
    void (*argmax_item)(void* call, int64_t item);
    void (*quantise_int8_item)(void* call, int64_t item);
    void (*quantise_int4_item)(void* call, int64_t item);
    void (*choose_item)(void* call, int64_t item);
};

struct PenstockLinear {
    const PenstockIsa* isa;
    int32_t element;
    int64_t out_features;
    int64_t in_features;
    int64_t panel_bytes;
    // [panel][k][column] fp32, or [panel][k / 2][column][k % 2] bf16, or codes as codes_layout.h tells;
    // padded with 0
    void* panels;
    size_t panels_size;  // bytes
    float* bias;         // padded to whole panels; null if there is none
};
