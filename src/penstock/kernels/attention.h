// Causal attention of a tile of rows over one sequence's blocks of keys and values.
//
// A row is one query with one head. Keys are taken in groups that start at fixed positions of the sequence,
// and every sum over keys runs in ascending order, so a row's bits depend on nothing but itself.
#pragma once
#include "isa.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

using penstock::kTileRows;

constexpr int kRowsAtOnce = 4;
constexpr int kValueVectors = 4;   // of the head that are summed at once
constexpr int64_t kKeysAtOnce = 64;  // stay in the first-level cache while all rows of the tile meet them

// The keys or values of one kv head of one sequence, found through its block table.
template <class Element>
struct Paged {
    const Element* data;
    const int32_t* blocks;
    int64_t block_size, block_stride, slot_stride;
};

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

template <int VALUE>
struct Constant {
    static constexpr int value = VALUE;
};

// The rows of one item and where their intermediate numbers go.
struct Tile {
    int rows;
    int64_t first_key[kTileRows];  // that each row sees, ascending
    int64_t end_key[kTileRows];    // after the last that each row sees, ascending
    float scales[kTileRows];       // what the weighted sums are multiplied with in the end
    float* queries;                // (kTileRows, padded_head), scaled, padded with 0
    float* sums;                   // (kTileRows, padded_head)
    float* weights;                // (kTileRows, padded_keys): scores, then the weights of the values
    int64_t head_size, padded_head, padded_keys;

    inline int64_t first_block() const { return first_key[0] / kKeysAtOnce * kKeysAtOnce; }
    inline int64_t end() const { return end_key[rows - 1]; }
};

// Where the keys or values from `first` on lie; those that do not exist yet stand in as the last one.
// Found once for all rows: a division takes as long as many products.
template <class Element>
inline void find_positions(const Paged<Element>& paged, int64_t first, int64_t end, const Element** found) {
    const auto block_size = uint32_t(paged.block_size);
    uint32_t block = uint32_t(first) / block_size, slot = uint32_t(first) % block_size;
    const int64_t count = smaller(kKeysAtOnce, end - first);
    for (int64_t i = 0; i < kKeysAtOnce; ++i) {
        if (i >= count) {
            found[i] = found[count - 1];
            continue;
        }
        found[i] = paged.data + paged.blocks[block] * paged.block_stride + slot * paged.slot_stride;
        if (++slot == block_size) {
            slot = 0;
            ++block;
        }
    }
}

// Lane by lane products of `ROWS` queries with two keys, summed over the head.
template <int ROWS, class Element>
inline void multiply_pair(const Tile& tile, const float* queries, const Element* const* keys,
                          vec (&products)[ROWS][kLanes], int lane) {
    vec sums[ROWS][2];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) sums[r][0] = sums[r][1] = zero();
    const auto add_part = [&](vec first, vec second, int64_t i) {
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
            const vec query = load(queries + r * tile.padded_head + i);
            sums[r][0] = multiply_add(first, query, sums[r][0]);
            sums[r][1] = multiply_add(second, query, sums[r][1]);
        }
    };
    const int64_t whole = tile.head_size / kLanes * kLanes;
    for (int64_t i = 0; i < whole; i += kLanes) add_part(load(keys[0] + i), load(keys[1] + i), i);
    if (const auto rest = int(tile.head_size - whole); rest > 0)
        add_part(load_first(keys[0] + whole, rest), load_first(keys[1] + whole, rest), whole);
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) {
        products[r][lane] = sums[r][0];
        products[r][lane + 1] = sums[r][1];
    }
}

// The scores of `ROWS` rows from `row` on with the keys found from `first` on that any of them sees.
template <int ROWS, class Element>
void score_keys(const Tile& tile, int row, const Element* const* found, int64_t first) {
    const int64_t begin = larger(0, tile.first_key[row] - first) / kLanes * kLanes;
    const int64_t end = smaller(kKeysAtOnce, tile.end_key[row + ROWS - 1] - first);
    for (int64_t i = begin; i < end; i += kLanes) {
        vec products[ROWS][kLanes];
        for (int lane = 0; lane < kLanes; lane += 2)
            multiply_pair<ROWS>(tile, tile.queries + row * tile.padded_head, found + i + lane, products, lane);
        for (int r = 0; r < ROWS; ++r)
            store(tile.weights + (row + r) * tile.padded_keys + first + i, sum_each(products[r]));
    }
}

// Turn the scores from `begin` to `end` into weights in place, greatest 1, and those of the same vectors
// outside into 0; answer what scales their sum to 1.
inline float softmax(float* scores, int64_t begin, int64_t end) {
    const auto hidden = int(begin % kLanes);
    const auto only_seen = [&](vec x, int64_t i, vec elsewhere) {
        if (i < begin) x = keep_first(elsewhere, hidden, x);
        return end - i < kLanes ? keep_first(x, int(end - i), elsewhere) : x;
    };
    vec top = all(scores[begin]);
    for (int64_t i = begin - hidden; i < end; i += kLanes) top = at_least(only_seen(load(scores + i), i, top), top);
    const vec greatest = all(max_lane(top));
    vec total = zero();
    for (int64_t i = begin - hidden; i < end; i += kLanes) {
        const vec weight = only_seen(exponential(sub(load(scores + i), greatest)), i, zero());
        total = add(total, weight);
        store(scores + i, weight);
    }
    return 1.0f / sum_lanes(total);
}

// Add to the sums of `ROWS` rows the weighted values at positions `begin` to `end`, counted from the
// first found one: VECTORS vectors of the head from element i on, of the last of which `count` lanes exist.
template <int ROWS, int VECTORS, class Element>
void add_values(const Tile& tile, const float* weights, float* sums, const Element* const* found, int64_t begin,
                int64_t end, int64_t i, int count) {
    vec s[ROWS][VECTORS];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) s[r][v] = load(sums + r * tile.padded_head + i + v * kLanes);
    for (int64_t position = begin; position < end; ++position) {
        const Element* value = found[position] + i;
        vec parts[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v)
            parts[v] = VECTORS > 1 || count == kLanes ? load(value + v * kLanes) : load_first(value, count);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
            const vec weight = all(weights[r * tile.padded_keys + position]);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) s[r][v] = multiply_add(weight, parts[v], s[r][v]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) store(sums + r * tile.padded_head + i + v * kLanes, s[r][v]);
}

// Over the whole head, for `ROWS` rows from `row` on and the positions found from `first` on.
template <int ROWS, class Element>
void add_values(const Tile& tile, int row, const Element* const* found, int64_t first, int64_t begin, int64_t end) {
    if (begin >= end) return;
    const float* weights = tile.weights + row * tile.padded_keys + first;
    float* sums = tile.sums + row * tile.padded_head;
    constexpr int wide = kValueVectors * kLanes;
    int64_t i = 0;
    for (; i + wide <= tile.head_size; i += wide)
        add_values<ROWS, kValueVectors>(tile, weights, sums, found, begin, end, i, kLanes);
    for (; i < tile.head_size; i += kLanes) {
        const auto count = int(smaller(kLanes, tile.head_size - i));
        add_values<ROWS, 1>(tile, weights, sums, found, begin, end, i, count);
    }
}

// Together where all rows see, one by one before and after: a key that a row does not see must not touch it.
template <int ROWS, class Element>
void add_seen_values(const Tile& tile, int row, const Element* const* found, int64_t first) {
    const auto begin_of = [&](int r) { return larger(0, tile.first_key[r] - first); };
    const auto end_of = [&](int r) { return smaller(kKeysAtOnce, tile.end_key[r] - first); };
    const int64_t begin = smaller(begin_of(row + ROWS - 1), kKeysAtOnce);
    const int64_t end = larger(begin, end_of(row));
    for (int r = row; r < row + ROWS; ++r)
        add_values<1>(tile, r, found, first, begin_of(r), smaller(begin, end_of(r)));
    add_values<ROWS>(tile, row, found, first, begin, end);
    for (int r = row; r < row + ROWS; ++r) add_values<1>(tile, r, found, first, larger(end, begin_of(r)), end_of(r));
}

// Call `visit` with the number of rows, as a constant, and the first of each kRowsAtOnce rows of the tile.
template <class Visit>
inline void for_row_blocks(const Tile& tile, Visit visit) {
    int row = 0;
    for (; row + kRowsAtOnce <= tile.rows; row += kRowsAtOnce) visit(Constant<kRowsAtOnce>{}, row);
    switch (tile.rows - row) {
        case 1: return visit(Constant<1>{}, row);
        case 2: return visit(Constant<2>{}, row);
        case 3: return visit(Constant<3>{}, row);
    }
}

template <class Element>
void attend(Tile& tile, const Paged<Element>& keys, const Paged<Element>& values) {
    const Element* found[kKeysAtOnce];
    for (int64_t first = tile.first_block(); first < tile.end(); first += kKeysAtOnce) {
        find_positions(keys, first, tile.end(), found);
        for_row_blocks(tile, [&](auto rows, int row) { score_keys<rows.value>(tile, row, found, first); });
    }
    for (int r = 0; r < tile.rows; ++r)
        tile.scales[r] = softmax(tile.weights + r * tile.padded_keys, tile.first_key[r], tile.end_key[r]);
    for (int64_t i = 0; i < tile.rows * tile.padded_head; i += kLanes) store(tile.sums + i, zero());
    for (int64_t first = tile.first_block(); first < tile.end(); first += kKeysAtOnce) {
        find_positions(values, first, tile.end(), found);
        for_row_blocks(tile, [&](auto rows, int row) { add_seen_values<rows.value>(tile, row, found, first); });
    }
}

}  // namespace PENSTOCK_ISA
