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
    PENSTOCK_NO_SCORES = 3,  // a row's greatest score is infinite or no number
};

enum PenstockElement : int32_t { PENSTOCK_FP32 = 0, PENSTOCK_BF16 = 1, PENSTOCK_INT8 = 2, PENSTOCK_INT4 = 3 };

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

// What is wanted of a row of logits; see decoding/strategies/interface.py.
enum PenstockChoiceKind : int32_t {
    PENSTOCK_ARGMAX = 0,
    PENSTOCK_DRAW = 1,
    PENSTOCK_TOP = 2,    // of log-probabilities, which are then edited
    PENSTOCK_PROBE = 3,  // of log-probabilities of edited logits
};

// One choice: what changes its row's scores, in this order, then the filters of a draw. Numbers at which a
// step changes nothing are 0, or 1 for penalties that are factors, temperature, top_p and typical_p.
struct PenstockChoice {
    int64_t row;
    int64_t first_token, num_tokens, num_generated;     // what the row continues; the last were generated
    int64_t first_edit, num_biases, num_forbidden;      // amounts that are added, then tokens that are forbidden
    int64_t first_uniform, first_answer, num_answers;   // one number in [0, 1) for each answer of a draw
    double frequency_penalty, presence_penalty;
    float prompt_penalty, repetition_penalty;
    float temperature, top_p, min_p, typical_p;
    int32_t ngram_size, prompt_ngram_size, top_k, kind;
};

// The interface's version, so that a library from another build is refused rather than called.
PENSTOCK_API int32_t penstock_version();

// The kernels for "amx", "avx512_bf16", "avx512_vnni", "avx512" or "avx2", for "neon_dotprod" or "neon", or for
// "generic"; for "best" the first of these that this CPU has. Null if it has not.
PENSTOCK_API const PenstockIsa* penstock_find_isa(const char* name);
PENSTOCK_API const char* penstock_isa_name(const PenstockIsa* isa);

// How many threads share the work of each call, the caller included. For the whole process.
PENSTOCK_API void penstock_set_num_threads(int32_t num_threads);

// Lay out a contiguous weight (out_features, in_features) and an optional fp32 bias. Null if out of memory.
PENSTOCK_API PenstockLinear* penstock_linear_create(const PenstockIsa* isa, const void* weight,
                                                    int32_t element, int64_t out_features,
                                                    int64_t in_features, const float* bias);
// The same of int8 codes (out_features, in_features), contiguous: a weight is its code times its group's
// scale. Groups are of 64 inputs; their scales are bf16 (out_features, number of groups). The product rounds
// each row of x in the same groups to codes and a scale of its own.
PENSTOCK_API PenstockLinear* penstock_linear_create_int8(const PenstockIsa* isa, const int8_t* codes,
                                                         const uint16_t* scales, int64_t out_features,
                                                         int64_t in_features, const float* bias);
// The same of 4-bit codes: the int8 code is low + step * code, with a step (1 to 16) and a low for each 16
// inputs. Inputs are padded to whole groups of 64: codes (out_features, padded / 2), the first in the low
// bits; steps and lows (out_features, padded / 16).
PENSTOCK_API PenstockLinear* penstock_linear_create_int4(const PenstockIsa* isa, const uint8_t* codes,
                                                         const uint8_t* steps, const int8_t* lows,
                                                         const uint16_t* scales, int64_t out_features,
                                                         int64_t in_features, const float* bias);
// Round a contiguous weight (out_features, in_features) to what the two functions above lay out.
PENSTOCK_API void penstock_quantise_int8(const PenstockIsa* isa, const float* weight, int64_t out_features,
                                         int64_t in_features, int8_t* codes, uint16_t* scales);
PENSTOCK_API void penstock_quantise_int4(const PenstockIsa* isa, const float* weight, int64_t out_features,
                                         int64_t in_features, uint8_t* codes, uint8_t* steps, int8_t* lows,
                                         uint16_t* scales);
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

// Answer each choice from logits (rows, width): token ids and, but for argmax and draws, their values, best
// first; `wholes` takes the logarithm of the sum of the exponentials. A choice whose status is not PENSTOCK_OK
// has no answer. A draw inverts the cumulative distribution in the vocabulary's order.
PENSTOCK_API void penstock_choose(const PenstockIsa* isa, const float* logits, int64_t logits_stride, int64_t width,
                                  const PenstockChoice* choices, int64_t num_choices, const int32_t* tokens,
                                  const int32_t* edited, const float* amounts, const double* uniforms,
                                  int64_t* token_ids, float* values, float* wholes, int32_t* statuses);
