// Four floats at a time with NEON, which every 64-bit ARM has. The operations every vector_*.h offers.
#pragma once
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace PENSTOCK_ISA {

constexpr const char* kIsaName = "neon";
constexpr int kLanes = 4;
constexpr int kMaxRows = 8;  // 8 x 3 sums, 3 weights and 1 activation fit in 32 registers

using vec = float32x4_t;

inline uint32x4_t first_mask(int count) {
    const int32x4_t lanes = {0, 1, 2, 3};
    return vcltq_s32(lanes, vdupq_n_s32(count));
}

inline vec zero() { return vdupq_n_f32(0); }
inline vec all(float x) { return vdupq_n_f32(x); }
inline vec load(const float* from) { return vld1q_f32(from); }
inline void store(float* to, vec x) { vst1q_f32(to, x); }
// The first `count` lanes, 1 to kLanes; nothing beyond them is touched.
inline vec load_first(const float* from, int count) {
    float lanes[kLanes] = {};
    for (int i = 0; i < count; ++i) lanes[i] = from[i];
    return load(lanes);
}
inline void store_first(float* to, vec x, int count) {
    float lanes[kLanes];
    store(lanes, x);
    for (int i = 0; i < count; ++i) to[i] = lanes[i];
}
// The first `count` lanes of x, and of `other` from there on.
inline vec keep_first(vec x, int count, vec other) { return vbslq_f32(first_mask(count), x, other); }

inline vec load(const uint16_t* bf16) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(bf16), 16)); }
inline vec load_first(const uint16_t* bf16, int count) {
    uint16_t lanes[kLanes] = {};
    for (int i = 0; i < count; ++i) lanes[i] = bf16[i];
    return load(lanes);
}
// The lower and the upper bf16 of each 32-bit lane.
inline vec lower_bf16(vec pairs) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs), 16)); }
inline vec upper_bf16(vec pairs) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs), vdupq_n_u32(0xffff0000u)));
}
// Four int8 numbers.
inline vec load(const int8_t* codes) {
    int32_t four;
    std::memcpy(&four, codes, sizeof four);
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}

inline vec add(vec a, vec b) { return vaddq_f32(a, b); }
inline vec sub(vec a, vec b) { return vsubq_f32(a, b); }
inline vec mul(vec a, vec b) { return vmulq_f32(a, b); }
inline vec div(vec a, vec b) { return vdivq_f32(a, b); }
inline vec multiply_add(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
inline vec abs(vec x) { return vabsq_f32(x); }
// NaN stays NaN in both.
inline vec at_least(vec x, vec bound) { return vmaxq_f32(x, bound); }
inline vec at_most(vec x, vec bound) { return vminq_f32(x, bound); }
inline vec where_positive(vec x, vec yes, vec no) { return vbslq_f32(vcgtzq_f32(x), yes, no); }
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
inline vec or_infinity_if_nan(vec x) { return vbslq_f32(vceqq_f32(x, x), x, all(__builtin_inff())); }
inline vec round_to_integer(vec x) { return vrndnq_f32(x); }
inline vec times_power_of_two(vec x, vec exponent) {
    const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(exponent), vdupq_n_s32(127));
    return mul(x, vreinterpretq_f32_s32(vshlq_n_s32(biased, 23)));
}

// The sum of each of kLanes vectors, in their order.
inline vec sum_each(const vec* rows) {
    return vpaddq_f32(vpaddq_f32(rows[0], rows[1]), vpaddq_f32(rows[2], rows[3]));
}

}  // namespace PENSTOCK_ISA
