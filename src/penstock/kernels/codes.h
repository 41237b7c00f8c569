// x @ weight.T in integer codes. A group's products are summed up exactly; the groups' sums are scaled and added
// in ascending order, so a row's bits depend neither on other rows nor on how integers are multiplied.
#pragma once
#include <cstring>

#include "codes_layout.h"
#include "panel.h"

namespace PENSTOCK_ISA {

using penstock::kFours;
using penstock::kGroupBlock;
using penstock::kGroupDepth;
using penstock::kStepDepth;
using penstock::kStepsOfGroup;

constexpr int64_t kGroupCodes = kGroupDepth * kColumns;     // bytes of int8
constexpr int64_t kRowBytes = kGroupDepth * kCodeBytes;     // of a row of x in a group
constexpr float kTiny = 1e-30f;                             // in place of 0 where it divides
constexpr float kGreatestCode = 127.0f;

// ---- Rows of x become codes

// The codes of one group go to `to`; answer their scale. What does not exist of the group counts as 0.
inline float round_group(const float* x, int64_t count, char* to) {
    float group[kGroupDepth];
    for (int i = 0; i < kGroupDepth; i += kLanes) {
        const int64_t left = count - i;
        const vec part = left >= kLanes ? load(x + i) : left > 0 ? load_first(x + i, int(left)) : zero();
        store(group + i, part);
    }
    vec greatest = zero();
    for (int i = 0; i < kGroupDepth; i += kLanes)
        greatest = at_least(or_infinity_if_nan(abs(load(group + i))), greatest);
    const float top = max_lane(greatest);
    const vec inverse = all(1.0f / (top < kTiny ? kTiny : top) * kGreatestCode);
    for (int i = 0; i < kGroupDepth; i += kLanes)
        store_codes(to + i * kCodeBytes, round_to_integer(mul(load(group + i), inverse)));
    return top / kGreatestCode;
}

inline void round_rows_item(void* context, int64_t item) {
    const auto& call = *(const GatherCall*)context;
    const int64_t num_groups = (call.in_features + kGroupDepth - 1) / kGroupDepth;
    auto* scales = (float*)((char*)call.to + num_groups * call.pitch * kRowBytes);
    for_gathered_rows(call, item, [&](int64_t row, const float* x) {
        for (int64_t g = 0; g < num_groups; ++g) {
            char* to = (char*)call.to + (g * call.pitch + row) * kRowBytes;
            const int64_t left = call.in_features - g * kGroupDepth;
            const int64_t count = left < kGroupDepth ? left : int64_t(kGroupDepth);
            scales[g * call.pitch + row] = round_group(x + g * kGroupDepth, count, to);
        }
    });
}

// ---- One group of k

// Of the columns of a panel, and of the rows of an item.
struct CodesGroup {
    const uint16_t* scales;  // (kColumns,) bf16
    const int8_t* codes;     // [k / 4][column][k % 4]
    const char* x;           // [row][kGroupDepth]
    const float* x_scales;   // [row]
    const char* next;        // what memory is to be asked for meanwhile
    int64_t next_bytes;
};

// ---- 4-bit codes become int8 codes

// One group: steps and lows of each kStepDepth steps of k, and the codes of k and k + 4 in a byte.
inline void unpack_group(const uint8_t* steps, const uint8_t* packed, int8_t* to) {
    constexpr int pairs_of_step = kStepDepth / 8;
    for (int s = 0; s < kStepsOfGroup; ++s)
        for (int j = 0; j < kColumns; j += kLanes) {
            const Steps of = load_steps(steps + 2 * s * kColumns + j, steps + (2 * s + 1) * kColumns + j);
#pragma GCC unroll 2
            for (int i = 0; i < pairs_of_step; ++i) {
                const int64_t pair = s * pairs_of_step + i;
                unpack(of, packed + (pair * kColumns + j) * 4, to + (2 * pair * kColumns + j) * 4,
                       to + ((2 * pair + 1) * kColumns + j) * 4);
            }
        }
}

// ---- The whole of an item

// Where 4-bit codes are unpacked: a group while the one before is multiplied.
struct Unpacked {
    alignas(64) int8_t codes[2][kGroupCodes];
};

// Call `visit` with each group of k in turn. A group is visited only when the next one's codes are unpacked:
// what was just written is slow to be read by tiles.
template <class Visit>
inline void for_groups(const LinearCall& call, const PanelRows& range, Unpacked& unpacked, Visit visit) {
    const PenstockLinear& linear = *call.linear;
    const penstock::CodesLayout layout{linear.element, kColumns};
    const int64_t num_groups = (linear.in_features + kGroupDepth - 1) / kGroupDepth;
    const auto* x = (const char*)call.x + range.first * kRowBytes;
    const auto* x_scales = (const float*)((const char*)call.x + num_groups * call.pitch * kRowBytes) + range.first;
    const char* block = panel_data(call, range.panel);
    CodesGroup before{};
    for (int64_t first = 0; first < num_groups; first += kGroupBlock) {
        const int64_t count = num_groups - first < kGroupBlock ? num_groups - first : int64_t(kGroupBlock);
        const char* steps = block + layout.scale_bytes(count);
        const char* codes = steps + count * layout.step_bytes();
        const int64_t bytes = layout.block_bytes(count);
        for (int64_t i = 0; i < count; ++i, x += call.pitch * kRowBytes, x_scales += call.pitch) {
            const char* next = block + bytes + i * bytes / count;
            CodesGroup group{(const uint16_t*)block + i * kColumns,
                             (const int8_t*)codes + i * layout.code_bytes(),
                             x,
                             x_scales,
                             next,
                             bytes / count};
            if (linear.element == PENSTOCK_INT4) {
                int8_t* to = unpacked.codes[i % 2];
                unpack_group((const uint8_t*)steps + i * layout.step_bytes(), (const uint8_t*)group.codes, to);
                group.codes = to;
            }
            if (before.codes != nullptr) visit(before);
            before = group;
        }
        block += bytes;
    }
    visit(before);
}

// `MULTIPLY` adds a group's products for all rows of the item to their sums (rows, kColumns).
template <void (*MULTIPLY)(const CodesGroup&, int64_t rows, float* sums)>
void codes_item(void* context, int64_t item) {
    const LinearCall& call = *(const LinearCall*)context;
    const PanelRows range = find_rows(call, item);
    Unpacked unpacked;
    auto* sums = (float*)penstock::thread_scratch(size_t(range.rows) * kColumns * sizeof(float));
    clear(sums, range.rows);
    for_groups(call, range, unpacked, [&](const CodesGroup& group) { MULTIPLY(group, range.rows, sums); });
    finish_rows(call, range, sums);
}

constexpr penstock::Product codes_product(void (*item)(void*, int64_t), int row_tile) {
    return {round_rows_item, item, kGroupDepth, int(kRowBytes + sizeof(float)), row_tile, kGroupDepth};
}

}  // namespace PENSTOCK_ISA
