// Four floats at a time in the compiler's own vectors, for any CPU. The operations every vector_*.h offers.
#pragma once
#include <cstdint>
#include <cstring>

namespace PENSTOCK_ISA {

constexpr const char* kIsaName = "generic";
constexpr int kLanes = 4;
constexpr int kMaxRows = 4;

typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));

inline ivec first_mask(int count) { return ivec{0, 1, 2, 3} < (ivec{} + count); }
inline vec select(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }

inline vec zero() { return vec{}; }
inline vec all(float x) { return vec{x, x, x, x}; }
inline vec load(const float* from) {
    vec x;
    std::memcpy(&x, from, sizeof x);
    return x;
}
inline void store(float* to, vec x) { std::memcpy(to, &x, sizeof x); }
// The first `count` lanes, 1 to kLanes; nothing beyond them is touched.
inline vec load_first(const float* from, int count) {
    vec x = zero();
    for (int i = 0; i < count; ++i) x[i] = from[i];
    return x;
}
inline void store_first(float* to, vec x, int count) {
    for (int i = 0; i < count; ++i) to[i] = x[i];
}
// The first `count` lanes of x, and of `other` from there on.
inline vec keep_first(vec x, int count, vec other) { return select(first_mask(count), x, other); }

inline vec load_first(const uint16_t* bf16, int count) {
    ivec bits = {};
    for (int i = 0; i < count; ++i) bits[i] = int32_t(uint32_t(bf16[i]) << 16);
    return (vec)bits;
}
inline vec load(const uint16_t* bf16) { return load_first(bf16, kLanes); }
// The lower and the upper bf16 of each 32-bit lane.
inline vec lower_bf16(vec pairs) { return (vec)((ivec)pairs << 16); }
inline vec upper_bf16(vec pairs) { return (vec)((ivec)pairs & int32_t(0xffff0000u)); }
// Four int8 numbers.
inline vec load(const int8_t* codes) {
    return vec{float(codes[0]), float(codes[1]), float(codes[2]), float(codes[3])};
}

inline vec add(vec a, vec b) { return a + b; }
inline vec sub(vec a, vec b) { return a - b; }
inline vec mul(vec a, vec b) { return a * b; }
inline vec div(vec a, vec b) { return a / b; }
inline vec multiply_add(vec a, vec b, vec c) { return a * b + c; }
inline vec abs(vec x) { return (vec)((ivec)x & 0x7fffffff); }
// NaN stays NaN in both.
inline vec at_least(vec x, vec bound) { return select(x < bound, bound, x); }
inline vec at_most(vec x, vec bound) { return select(x > bound, bound, x); }
inline vec where_positive(vec x, vec yes, vec no) { return select(x > zero(), yes, no); }
// Store the lanes of x whose lane of `chosen` is above 0, one after the other; returns how many. What comes after
// them, up to kLanes in all, is overwritten.
inline int store_positive(float* to, vec x, vec chosen) {
    int count = 0;
    for (int i = 0; i < kLanes; ++i) {
        to[count] = x[i];
        count += chosen[i] > 0;
    }
    return count;
}
inline vec or_infinity_if_nan(vec x) { return select(x == x, x, all(__builtin_inff())); }
// For |x| below 2^22, which is all that exp needs.
inline vec round_to_integer(vec x) { return (x + 12582912.0f) - 12582912.0f; }
inline vec times_power_of_two(vec x, vec exponent) {
    const ivec biased = __builtin_convertvector(exponent, ivec) + 127;
    return x * (vec)(biased << 23);
}

// The sum of each of kLanes vectors, in their order.
inline vec sum_each(const vec* rows) {
    vec sums;
    for (int i = 0; i < kLanes; ++i) sums[i] = (rows[i][0] + rows[i][2]) + (rows[i][1] + rows[i][3]);
    return sums;
}

}  // namespace PENSTOCK_ISA
