// Eight floats at a time with AVX2 and FMA. The operations every vector_*.h offers, under the same names.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace PENSTOCK_ISA {

constexpr const char* kIsaName = "avx2";
constexpr int kLanes = 8;
constexpr int kMaxRows = 4;  // 4 x 3 sums, 3 weights and 1 activation fit in 16 registers

using vec = __m256;

inline __m256i first_mask(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline vec zero() { return _mm256_setzero_ps(); }
inline vec all(float x) { return _mm256_set1_ps(x); }
inline vec load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, vec x) { _mm256_storeu_ps(to, x); }
// The first `count` lanes, 1 to kLanes; nothing beyond them is touched.
inline vec load_first(const float* from, int count) { return _mm256_maskload_ps(from, first_mask(count)); }
inline void store_first(float* to, vec x, int count) { _mm256_maskstore_ps(to, first_mask(count), x); }
// The first `count` lanes of x, and of `other` from there on.
inline vec keep_first(vec x, int count, vec other) {
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(first_mask(count)));
}

inline vec load(const uint16_t* bf16) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)bf16));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
inline vec load_first(const uint16_t* bf16, int count) {
    alignas(16) uint16_t lanes[kLanes] = {};
    for (int i = 0; i < count; ++i) lanes[i] = bf16[i];
    return load(lanes);
}
// The lower and the upper bf16 of each 32-bit lane.
inline vec lower_bf16(vec pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16)); }
inline vec upper_bf16(vec pairs) {
    return _mm256_and_ps(pairs, _mm256_castsi256_ps(_mm256_set1_epi32(int(0xffff0000u))));
}
// Eight int8 numbers.
inline vec load(const int8_t* codes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)codes)));
}

inline vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
inline vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
inline vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
inline vec div(vec a, vec b) { return _mm256_div_ps(a, b); }
inline vec multiply_add(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
inline vec abs(vec x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
// NaN stays NaN in both.
inline vec at_least(vec x, vec bound) { return _mm256_max_ps(bound, x); }
inline vec at_most(vec x, vec bound) { return _mm256_min_ps(bound, x); }
inline vec where_positive(vec x, vec yes, vec no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(x, zero(), _CMP_GT_OQ));
}
// For each choice of eight lanes their numbers, a byte each, the chosen ones first.
struct LaneOrders {
    uint64_t bytes[256];
    constexpr LaneOrders() : bytes() {
        for (int choice = 0; choice < 256; ++choice)
            for (int lane = kLanes - 1; lane >= 0; --lane)
                if (choice >> lane & 1) bytes[choice] = bytes[choice] << 8 | uint64_t(lane);
    }
};
inline constexpr LaneOrders kLaneOrders{};
// Store the lanes of x whose lane of `chosen` is above 0, one after the other; returns how many. What comes after
// them, up to kLanes in all, is overwritten.
inline int store_positive(float* to, vec x, vec chosen) {
    const int mask = _mm256_movemask_ps(_mm256_cmp_ps(chosen, zero(), _CMP_GT_OQ));
    const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(int64_t(kLaneOrders.bytes[mask])));
    store(to, _mm256_permutevar8x32_ps(x, order));
    return __builtin_popcount(unsigned(mask));
}
inline vec or_infinity_if_nan(vec x) {
    return _mm256_blendv_ps(x, all(__builtin_inff()), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}
inline vec round_to_integer(vec x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline vec times_power_of_two(vec x, vec exponent) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(exponent), _mm256_set1_epi32(127));
    return mul(x, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
}

// The sum of each of kLanes vectors, in their order.
inline vec sum_each(const vec* rows) {
    vec fours[2];
    for (int i = 0; i < 2; ++i) {
        const vec* r = rows + 4 * i;
        const vec ab = add(_mm256_unpacklo_ps(r[0], r[1]), _mm256_unpackhi_ps(r[0], r[1]));
        const vec cd = add(_mm256_unpacklo_ps(r[2], r[3]), _mm256_unpackhi_ps(r[2], r[3]));
        const __m256d ab2 = _mm256_castps_pd(ab), cd2 = _mm256_castps_pd(cd);
        fours[i] = add(_mm256_castpd_ps(_mm256_unpacklo_pd(ab2, cd2)),
                       _mm256_castpd_ps(_mm256_unpackhi_pd(ab2, cd2)));
    }
    return add(_mm256_permute2f128_ps(fours[0], fours[1], 0x20),
               _mm256_permute2f128_ps(fours[0], fours[1], 0x31));
}

}  // namespace PENSTOCK_ISA
