// Sums of products of int8 codes in plain C++, for any CPU.
#pragma once
#include <cstdint>
#include <cstring>

#include "vector_generic.h"

namespace PENSTOCK_ISA {

using ints = ivec;

inline ints no_ints() { return ints{}; }
inline ints subtract(ints a, ints b) { return a - b; }
inline vec to_floats(ints x) { return __builtin_convertvector(x, vec); }

constexpr bool kHasOffset = false;
constexpr int kCodeBytes = 1;
constexpr int kMaxCodeRows = 2;

struct Fours {
    ints at[4];  // of each step of k
};
inline Fours load_fours(const int8_t* codes) {
    Fours fours;
    for (int c = 0; c < kLanes; ++c)
        for (int k = 0; k < 4; ++k) fours.at[k][c] = codes[4 * c + k];
    return fours;
}
inline ints add_products(ints sums, const Fours& weights, const char* x) {
    for (int k = 0; k < 4; ++k) sums += weights.at[k] * int32_t(int8_t(x[k]));
    return sums;
}
inline ints add_offset(ints sums, const Fours&) { return sums; }
inline void store_codes(char* to, vec rounded) {
    // Of what is not a number no code matters: its scale is infinite.
    for (int i = 0; i < kLanes; ++i) to[i] = rounded[i] >= -127 && rounded[i] <= 127 ? char(int(rounded[i])) : 0;
}

struct Steps {
    const uint8_t *steps, *lows;
};
inline Steps load_steps(const uint8_t* steps, const uint8_t* lows) { return {steps, lows}; }
inline void unpack(const Steps& of, const uint8_t* packed, int8_t* first, int8_t* second) {
    for (int i = 0; i < 4 * kLanes; ++i) {
        const int step = of.steps[i / 4], low = int8_t(of.lows[i / 4]);
        first[i] = int8_t((packed[i] & 15) * step + low);
        second[i] = int8_t((packed[i] >> 4) * step + low);
    }
}

}  // namespace PENSTOCK_ISA
