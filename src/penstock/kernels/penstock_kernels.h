// The C interface of the native CPU kernels. Plain pointers and sizes; knows nothing of Python or torch.
//
// Every function that can fail answers a PenstockStatus; nothing is thrown. Sizes count elements.
// A row's result has the same bits alone, in any batch, at any position and on any number of threads.
#pragma once
#include <cstdint>

#define PENSTOCK_API extern "C" __attribute__((visibility("default")))

enum PenstockStatus : int32_t {
    PENSTOCK_OK = 0,
    PENSTOCK_BAD_BATCH = 1,  // a slot, block or length lies outside the cache or the batch
    PENSTOCK_OUT_OF_MEMORY = 2,
};

enum PenstockElement : int32_t { PENSTOCK_FP32 = 0, PENSTOCK_BF16 = 1, PENSTOCK_INT8 = 2 };

enum PenstockActivation : int32_t {
    PENSTOCK_IDENTITY = 0,
    PENSTOCK_GELU_NEW = 1,
    PENSTOCK_GELU = 2,
    PENSTOCK_RELU = 3,
    PENSTOCK_SILU = 4,
};

struct PenstockIsa;     // the kernels of one instruction set
struct PenstockLinear;  // a weight and bias laid out for one instruction set

// The packed tokens of many sequences; see ForwardBatch in ops/interface.py.
struct PenstockBatch {
    int64_t num_tokens;
    int64_t num_sequences;
    int64_t max_blocks;
    const int64_t* slots;
    const int32_t* query_starts;
    const int32_t* context_lengths;
    const int32_t* block_tables;
};

// One layer's keys and values, both laid out alike, in either element type.
struct PenstockCache {
    void* keys;
    void* values;
    int32_t element;
    int32_t num_kv_heads;
    int32_t head_size;
    int32_t block_size;
    int64_t num_blocks;
    int64_t block_stride;
    int64_t head_stride;
    int64_t slot_stride;
};

// The interface's version, so that a library from another build is refused rather than called.
PENSTOCK_API int32_t penstock_version();

// The kernels for "avx512", "avx2" or "generic"; for "best" the fastest this CPU has. Null if it has not.
PENSTOCK_API const PenstockIsa* penstock_find_isa(const char* name);
PENSTOCK_API const char* penstock_isa_name(const PenstockIsa* isa);

// How many threads share the work of each call, the caller included. For the whole process.
PENSTOCK_API void penstock_set_num_threads(int32_t num_threads);

// Lay out a contiguous weight (out_features, in_features) and an optional fp32 bias. Null if out of memory.
PENSTOCK_API PenstockLinear* penstock_linear_create(const PenstockIsa* isa, const void* weight,
                                                    int32_t element, int64_t out_features,
                                                    int64_t in_features, const float* bias);
// The same of contiguous codes (out_features, in_features) that groups of 32 inputs share a scale of, in
// bf16 (out_features, number of groups): a weight is its code times its group's scale.
PENSTOCK_API PenstockLinear* penstock_linear_create_int8(const PenstockIsa* isa, const int8_t* codes,
                                                         const uint16_t* scales, int64_t out_features,
                                                         int64_t in_features, const float* bias);
PENSTOCK_API void penstock_linear_destroy(PenstockLinear* linear);
PENSTOCK_API int64_t penstock_linear_num_bytes(const PenstockLinear* linear);

// out = activation(x @ weight.T + bias) + residual; out is contiguous, residual may be null.
PENSTOCK_API void penstock_linear(const PenstockLinear* linear, const float* x, int64_t x_stride,
                                  int64_t rows, int32_t activation, const float* residual,
                                  int64_t residual_stride, float* out);

PENSTOCK_API void penstock_layer_norm(const PenstockIsa* isa, const float* x, int64_t x_stride,
                                      int64_t rows, int64_t width, const float* weight,
                                      const float* bias, float epsilon, float* out);

PENSTOCK_API void penstock_rms_norm(const PenstockIsa* isa, const float* x, int64_t x_stride,
                                    int64_t rows, int64_t width, const float* weight, float epsilon,
                                    float* out);

// Write the new keys and values to their slots, then attend to the `window` latest tokens (1 or more);
// out is (num_tokens, num_heads * head_size). Strides lead from token to token and from head to head.
PENSTOCK_API int32_t penstock_paged_attention(
    const PenstockIsa* isa, const float* queries, int64_t query_stride, int64_t query_head_stride,
    const float* keys, int64_t key_stride, int64_t key_head_stride, const float* values,
    int64_t value_stride, int64_t value_head_stride, int32_t num_heads, const PenstockCache* cache,
    const PenstockBatch* batch, int64_t window, float* out);

// The first index of each row's greatest value; NaN counts as greatest.
PENSTOCK_API void penstock_argmax(const PenstockIsa* isa, const float* x, int64_t x_stride, int64_t rows,
                                  int64_t width, int64_t* out);
