// Weights become codes of 8 or 4 bits, by the same arithmetic as ops/quantised.py, bit for bit.
#pragma once
#include <initializer_list>

#include "codes_layout.h"
#include "isa.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

using penstock::QuantiseCall;

constexpr int kWeightGroup = penstock::kGroupDepth;
constexpr int kPart = penstock::kStepDepth;  // inputs with one step
constexpr int kPartVectors = kPart / kLanes;
constexpr float kNothing = 1e-30f;  // in place of 0 where it divides
constexpr float kGreatestOf4Bits = 15.0f, kGreatestStep = 16.0f, kGreatestOf8Bits = 127.0f;

inline uint16_t to_bf16(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float from_bf16(uint16_t x) {
    const uint32_t bits = uint32_t(x) << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

inline float larger_of(float a, float b) { return a > b ? a : b; }

// The last group of a row is filled up with its last element.
inline void load_group(const float* row, int64_t begin, int64_t width, float* group) {
    for (int i = 0; i < kWeightGroup; ++i) group[i] = row[begin + i < width ? begin + i : width - 1];
}

inline float greatest_magnitude(const float* x, int count) {
    vec greatest = zero();
    for (int i = 0; i < count; i += kLanes) greatest = at_least(abs(load(x + i)), greatest);
    return max_lane(greatest);
}

inline void quantise_int8_item(void* context, int64_t row) {
    const auto& call = *(const QuantiseCall*)context;
    const float* from = call.weight + row * call.in_features;
    auto* codes = (int8_t*)call.codes + row * call.in_features;
    for (int64_t g = 0; g < call.num_groups; ++g) {
        float group[kWeightGroup];
        load_group(from, g * kWeightGroup, call.in_features, group);
        const uint16_t scale = to_bf16(greatest_magnitude(group, kWeightGroup) / kGreatestOf8Bits);
        call.scales[row * call.num_groups + g] = scale;
        const vec unit = all(larger_of(from_bf16(scale), kNothing));
        for (int i = 0; i < kWeightGroup; i += kLanes) {
            const vec code = round_to_integer(div(load(group + i), unit));
            store(group + i, at_most(at_least(code, all(-kGreatestOf8Bits)), all(kGreatestOf8Bits)));
        }
        for (int i = 0; i < kWeightGroup && g * kWeightGroup + i < call.in_features; ++i)
            codes[g * kWeightGroup + i] = int8_t(group[i]);
    }
}

struct Grid {
    float step, low;
};

inline float round_half_even(float x) { return __builtin_nearbyintf(x); }
inline float clamp(float x, float least, float greatest) { return x < least ? least : x > greatest ? greatest : x; }

inline Grid within_codes(float low, float step) {
    const float highest = kGreatestOf8Bits - kGreatestOf4Bits * step;
    const float held = larger_of(low, -kGreatestOf8Bits);
    return {step, held < highest ? held : highest};
}

inline vec codes_on(vec part, const Grid& grid) {
    const vec code = round_to_integer(div(sub(part, all(grid.low)), all(grid.step)));
    return at_most(at_least(code, zero()), all(kGreatestOf4Bits));
}

// The sum over a part, halves added to halves.
inline float error_on(const float* part, const Grid& grid) {
    vec squares[kPartVectors];
    for (int i = 0; i < kPartVectors; ++i) {
        const vec x = load(part + i * kLanes);
        const vec off = sub(add(mul(codes_on(x, grid), all(grid.step)), all(grid.low)), x);
        squares[i] = mul(off, off);
    }
    for (int width = kPartVectors / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) squares[i] = add(squares[i], squares[i + width]);
    return sum_lanes(squares[0]);
}

// Of the grids that ops/quantised.py tries, in its order, the first that errs least.
inline Grid best_grid(const float* part) {
    float least = part[0], greatest = part[0];
    for (int i = 1; i < kPart; ++i) {
        least = part[i] < least ? part[i] : least;
        greatest = larger_of(part[i], greatest);
    }
    Grid best{1, 0};
    float least_error = __builtin_inff();
    const auto try_grid = [&](const Grid& grid) {
        const float error = error_on(part, grid);
        if (!(error < least_error)) return;
        least_error = error;
        best = grid;
    };
    for (const double shrink : {1.0, 0.9, 0.8}) {
        const float step = (greatest - least) * float(shrink / 15);
        const float nearest = clamp(round_half_even(step), 1, kGreatestStep);
        const float middle = (least + greatest) / 2 - nearest * (kGreatestOf4Bits / 2);
        try_grid(within_codes(round_half_even(middle), nearest));
        const float holding = clamp(__builtin_ceilf(step), 1, kGreatestStep);
        try_grid(within_codes(round_half_even(float(shrink) * least / holding) * holding, holding));
    }
    return best;
}

inline float scale_that_holds(const float* group) {
    float needed = greatest_magnitude(group, kWeightGroup) / kGreatestOf8Bits;
    for (int p = 0; p < kWeightGroup; p += kPart) {
        float least = group[p], greatest = group[p];
        for (int i = p; i < p + kPart; ++i) {
            least = group[i] < least ? group[i] : least;
            greatest = larger_of(group[i], greatest);
        }
        needed = larger_of((greatest - least) / (kGreatestOf4Bits * kGreatestStep), needed);
    }
    return needed;
}

inline void quantise_int4_item(void* context, int64_t row) {
    const auto& call = *(const QuantiseCall*)context;
    constexpr int num_parts = kWeightGroup / kPart;
    for (int64_t g = 0; g < call.num_groups; ++g) {
        const int64_t place = row * call.num_groups + g;
        float group[kWeightGroup];
        load_group(call.weight + row * call.in_features, g * kWeightGroup, call.in_features, group);
        const uint16_t scale = to_bf16(scale_that_holds(group));
        call.scales[place] = scale;
        const vec unit = all(larger_of(from_bf16(scale), kNothing));
        for (int i = 0; i < kWeightGroup; i += kLanes) store(group + i, div(load(group + i), unit));
        for (int p = 0; p < num_parts; ++p) {
            float* part = group + p * kPart;
            const Grid grid = best_grid(part);
            call.steps[place * num_parts + p] = uint8_t(grid.step);
            call.lows[place * num_parts + p] = int8_t(grid.low);
            for (int i = 0; i < kPart; i += kLanes) store(part + i, codes_on(load(part + i), grid));
        }
        auto* codes = (uint8_t*)call.codes + place * kWeightGroup / 2;
        for (int i = 0; i < kWeightGroup / 2; ++i)
            codes[i] = uint8_t(int(group[2 * i]) | int(group[2 * i + 1]) << 4);
    }
}

}  // namespace PENSTOCK_ISA
