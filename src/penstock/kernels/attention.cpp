// Checking a batch, storing its new keys and values, and splitting its attention into items.
#include <cstdlib>
#include <cstring>

#include "isa.h"
#include "thread_pool.h"

namespace {

constexpr int64_t kElementsPerItem = 8192;  // fewer are not worth telling another thread about

bool holds_its_tokens(const PenstockBatch& batch) {
    if (batch.num_sequences < 1 || batch.query_starts[0] != 0) return false;
    for (int64_t i = 0; i < batch.num_sequences; ++i)
        if (batch.query_starts[i + 1] < batch.query_starts[i]) return false;
    return batch.query_starts[batch.num_sequences] == batch.num_tokens;
}

bool slots_exist(const PenstockBatch& batch, const PenstockCache& cache) {
    const int64_t num_slots = cache.num_blocks * cache.block_size;
    for (int64_t i = 0; i < batch.num_tokens; ++i)
        if (batch.slots[i] < 0 || batch.slots[i] >= num_slots) return false;
    return true;
}

bool blocks_exist(const PenstockBatch& batch, const PenstockCache& cache) {
    for (int64_t i = 0; i < batch.num_sequences; ++i) {
        const int64_t num_queries = batch.query_starts[i + 1] - batch.query_starts[i];
        const int64_t length = batch.context_lengths[i];
        const int64_t num_blocks = (length + cache.block_size - 1) / cache.block_size;
        if (length < num_queries || num_blocks > batch.max_blocks) return false;
        const int32_t* blocks = batch.block_tables + i * batch.max_blocks;
        for (int64_t b = 0; b < num_blocks; ++b)
            if (blocks[b] < 0 || blocks[b] >= cache.num_blocks) return false;
    }
    return true;
}

struct WriteCall {
    penstock::Heads keys;
    penstock::Heads values;
    const PenstockCache* cache;
    const PenstockBatch* batch;
    int64_t tokens_per_item;
};

// Round to nearest, ties to even, as torch does; NaN stays NaN.
uint16_t to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (x != x) return uint16_t(bits >> 16 | 0x40);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void write_head(const float* from, void* cache_data, int64_t offset, const PenstockCache& cache) {
    if (cache.element == PENSTOCK_BF16) {
        uint16_t* to = (uint16_t*)cache_data + offset;
        for (int32_t i = 0; i < cache.head_size; ++i) to[i] = to_bf16(from[i]);
    } else {
        std::memcpy((float*)cache_data + offset, from, size_t(cache.head_size) * sizeof(float));
    }
}

void write_token(const WriteCall& call, int64_t token) {
    const PenstockCache& cache = *call.cache;
    const int64_t slot = call.batch->slots[token];
    for (int32_t head = 0; head < cache.num_kv_heads; ++head) {
        const int64_t offset = slot / cache.block_size * cache.block_stride + head * cache.head_stride +
                               slot % cache.block_size * cache.slot_stride;
        const auto row = [&](const penstock::Heads& heads) {
            return heads.data + token * heads.token_stride + head * heads.head_stride;
        };
        write_head(row(call.keys), cache.keys, offset, cache);
        write_head(row(call.values), cache.values, offset, cache);
    }
}

void write_item(void* context, int64_t item) {
    const auto& call = *(const WriteCall*)context;
    const int64_t begin = item * call.tokens_per_item;
    for (int64_t t = begin; t < begin + call.tokens_per_item && t < call.batch->num_tokens; ++t) write_token(call, t);
}

void write_keys_and_values(WriteCall call) {
    const int64_t per_token = 2 * int64_t(call.cache->num_kv_heads) * call.cache->head_size;
    call.tokens_per_item = (kElementsPerItem + per_token - 1) / per_token;
    const int64_t num_items = (call.batch->num_tokens + call.tokens_per_item - 1) / call.tokens_per_item;
    penstock::parallel_for(num_items, write_item, &call);
}

}  // namespace

int32_t penstock_paged_attention(const PenstockIsa* isa, const float* queries, int64_t query_stride,
                                 int64_t query_head_stride, const float* keys, int64_t key_stride,
                                 int64_t key_head_stride, const float* values, int64_t value_stride,
                                 int64_t value_head_stride, int32_t num_heads, const PenstockCache* cache,
                                 const PenstockBatch* batch, int64_t window, float* out) {
    if (!holds_its_tokens(*batch) || !slots_exist(*batch, *cache) || !blocks_exist(*batch, *cache))
        return PENSTOCK_BAD_BATCH;
    auto* first_item = (int64_t*)std::malloc(size_t(batch->num_sequences + 1) * sizeof(int64_t));
    if (first_item == nullptr) return PENSTOCK_OUT_OF_MEMORY;
    write_keys_and_values({{keys, key_stride, key_head_stride}, {values, value_stride, value_head_stride}, cache, batch, 0});
    const int64_t group = num_heads / cache->num_kv_heads;
    first_item[0] = 0;
    for (int64_t i = 0; i < batch->num_sequences; ++i) {
        const int64_t rows = (batch->query_starts[i + 1] - batch->query_starts[i]) * group;
        const int64_t tiles = (rows + penstock::kTileRows - 1) / penstock::kTileRows;
        first_item[i + 1] = first_item[i] + tiles * cache->num_kv_heads;
    }
    const penstock::Heads heads{queries, query_stride, query_head_stride};
    penstock::AttentionCall call{heads, *cache, batch, num_heads, window, out, first_item};
    penstock::parallel_for(first_item[batch->num_sequences], isa->attention_item, &call);
    std::free(first_item);
    return PENSTOCK_OK;
}
