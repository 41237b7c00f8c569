// Sums of products of int8 codes with NEON: with dot products in one instruction, else by way of 16 bits.
#pragma once
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "vector_neon.h"

namespace PENSTOCK_ISA {

using ints = int32x4_t;

inline ints no_ints() { return vdupq_n_s32(0); }
inline ints subtract(ints a, ints b) { return vsubq_s32(a, b); }
inline vec to_floats(ints x) { return vcvtq_f32_s32(x); }

constexpr bool kHasOffset = false;
constexpr int kCodeBytes = 1;

using Fours = int8x16_t;
inline Fours load_fours(const int8_t* codes) { return vld1q_s8(codes); }
inline Fours all_fours(const char* x) {
    int32_t four;
    std::memcpy(&four, x, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
#if defined(__ARM_FEATURE_DOTPROD)
constexpr int kMaxCodeRows = 8;
inline ints add_products(ints sums, Fours weights, const char* x) { return vdotq_s32(sums, weights, all_fours(x)); }
#else
constexpr int kMaxCodeRows = 4;
inline ints add_products(ints sums, Fours weights, const char* x) {
    const Fours fours = all_fours(x);
    const int32x4_t lower = vpaddlq_s16(vmull_s8(vget_low_s8(weights), vget_low_s8(fours)));
    const int32x4_t upper = vpaddlq_s16(vmull_high_s8(weights, fours));
    return vaddq_s32(sums, vpaddq_s32(lower, upper));
}
#endif
inline ints add_offset(ints sums, Fours) { return sums; }
inline void store_codes(char* to, vec rounded) {
    const int16x4_t narrow = vqmovn_s32(vcvtnq_s32_f32(rounded));
    const int8x8_t codes = vqmovn_s16(vcombine_s16(narrow, narrow));
    const int32_t four = vget_lane_s32(vreinterpret_s32_s8(codes), 0);
    std::memcpy(to, &four, sizeof four);
}

// A step and a low of every column, for four bytes of each.
struct Steps {
    uint8x16_t step, low;
};
inline uint8x16_t four_of_each(const uint8_t* columns) {
    const uint8x16_t column = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    uint32_t four;
    std::memcpy(&four, columns, sizeof four);
    return vqtbl1q_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), column);
}
inline Steps load_steps(const uint8_t* steps, const uint8_t* lows) { return {four_of_each(steps), four_of_each(lows)}; }
inline void unpack(const Steps& of, const uint8_t* packed, int8_t* first, int8_t* second) {
    const uint8x16_t both = vld1q_u8(packed);
    const uint8x16_t low = vandq_u8(both, vdupq_n_u8(15)), high = vshrq_n_u8(both, 4);
    vst1q_s8(first, vreinterpretq_s8_u8(vmlaq_u8(of.low, low, of.step)));
    vst1q_s8(second, vreinterpretq_s8_u8(vmlaq_u8(of.low, high, of.step)));
}

}  // namespace PENSTOCK_ISA
