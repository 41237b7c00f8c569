// One item of `paged_attention`: from its number to a tile of rows, and from the tile to the output.
#pragma once
#include "attention.h"
#include "thread_pool.h"

namespace PENSTOCK_ISA {

using penstock::AttentionCall;

// Which sequence, kv head and rows an item stands for.
struct ItemRange {
    int64_t sequence, kv_head, first_row, end_row;
    int64_t first_token, first_position;  // of the sequence's new queries
    int group;                            // query heads that share a kv head
};

inline ItemRange find_item(const AttentionCall& call, int64_t item) {
    int64_t low = 0, high = call.batch->num_sequences;
    while (high - low > 1) {  // the last sequence whose first item is not beyond this one
        const int64_t middle = (low + high) / 2;
        (call.first_item[middle] <= item ? low : high) = middle;
    }
    const int group = call.num_heads / call.cache.num_kv_heads;
    const int64_t first_token = call.batch->query_starts[low];
    const int64_t num_queries = call.batch->query_starts[low + 1] - first_token;
    const int64_t num_rows = num_queries * group;
    const int64_t num_tiles = (num_rows + kTileRows - 1) / kTileRows;
    const int64_t within = item - call.first_item[low];
    const int64_t first_row = within % num_tiles * kTileRows;
    const int64_t end_row = first_row + kTileRows;
    return {low,         within / num_tiles,
            first_row,   smaller(end_row, num_rows),
            first_token, call.batch->context_lengths[low] - num_queries,
            group};
}

// Where a row's query stands among all tokens' heads.
inline int64_t token_of(const ItemRange& range, int row) {
    return range.first_token + (range.first_row + row) / range.group;
}

inline int64_t head_of(const ItemRange& range, int row) {
    return range.kv_head * range.group + (range.first_row + row) % range.group;
}

inline void load_queries(const AttentionCall& call, const ItemRange& range, Tile& tile) {
    const vec scale = all(1.0f / __builtin_sqrtf(float(tile.head_size)));
    for (int r = 0; r < tile.rows; ++r) {
        const float* from = call.queries.data + token_of(range, r) * call.queries.token_stride +
                            head_of(range, r) * call.queries.head_stride;
        for (int64_t i = 0; i < tile.head_size; i += kLanes) {
            const auto count = int(smaller(kLanes, tile.head_size - i));
            store(tile.queries + r * tile.padded_head + i, mul(load_first(from + i, count), scale));
        }
        tile.end_key[r] = range.first_position + token_of(range, r) - range.first_token + 1;
        tile.first_key[r] = larger(0, tile.end_key[r] - call.window);
    }
}

inline void store_sums(const AttentionCall& call, const ItemRange& range, const Tile& tile) {
    for (int r = 0; r < tile.rows; ++r) {
        float* to = call.out + (token_of(range, r) * call.num_heads + head_of(range, r)) * tile.head_size;
        for (int64_t i = 0; i < tile.head_size; i += kLanes)
            store_first(to + i, mul(load(tile.sums + r * tile.padded_head + i), all(tile.scales[r])),
                        int(smaller(kLanes, tile.head_size - i)));
    }
}

template <class Element>
void attend_item(const AttentionCall& call, const ItemRange& range) {
    const int32_t* blocks = call.batch->block_tables + range.sequence * call.batch->max_blocks;
    const int64_t head_offset = range.kv_head * call.cache.head_stride;
    const auto paged = [&](const void* data) {
        return Paged<Element>{(const Element*)data + head_offset, blocks, call.cache.block_size,
                              call.cache.block_stride, call.cache.slot_stride};
    };
    const auto round_up = [](int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; };
    Tile tile;
    tile.rows = int(range.end_row - range.first_row);
    tile.head_size = call.cache.head_size;
    tile.padded_head = round_up(tile.head_size);
    tile.padded_keys = round_up(call.batch->context_lengths[range.sequence]);
    const int64_t row_size = 2 * tile.padded_head + tile.padded_keys;
    tile.queries = (float*)penstock::thread_scratch(size_t(tile.rows * row_size) * sizeof(float));
    tile.sums = tile.queries + tile.rows * tile.padded_head;
    tile.weights = tile.sums + tile.rows * tile.padded_head;
    load_queries(call, range, tile);
    attend(tile, paged(call.cache.keys), paged(call.cache.values));
    store_sums(call, range, tile);
}

inline void attention_item(void* context, int64_t item) {
    const AttentionCall& call = *(const AttentionCall*)context;
    const ItemRange range = find_item(call, item);
    if (call.cache.element == PENSTOCK_BF16)
        attend_item<uint16_t>(call, range);
    else
        attend_item<float>(call, range);
}

}  // namespace PENSTOCK_ISA
