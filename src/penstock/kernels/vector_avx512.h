// Sixteen floats at a time with AVX-512. The operations every vector_*.h offers, under the same names.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace PENSTOCK_ISA {

constexpr const char* kIsaName = "avx512";
constexpr int kLanes = 16;
constexpr int kMaxRows = 8;  // rows of one register block: 8 x 3 sums, 3 weights and 1 activation fit in 32

using vec = __m512;

inline __mmask16 first_mask(int count) { return __mmask16((1u << count) - 1); }

inline vec zero() { return _mm512_setzero_ps(); }
inline vec all(float x) { return _mm512_set1_ps(x); }
inline vec load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, vec x) { _mm512_storeu_ps(to, x); }
// The first `count` lanes, 1 to kLanes; nothing beyond them is touched.
inline vec load_first(const float* from, int count) { return _mm512_maskz_loadu_ps(first_mask(count), from); }
inline void store_first(float* to, vec x, int count) { _mm512_mask_storeu_ps(to, first_mask(count), x); }
// The first `count` lanes of x, and of `other` from there on.
inline vec keep_first(vec x, int count, vec other) { return _mm512_mask_mov_ps(other, first_mask(count), x); }

inline vec widen(__m256i bits) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)); }
inline vec load(const uint16_t* bf16) { return widen(_mm256_loadu_si256((const __m256i*)bf16)); }
inline vec load_first(const uint16_t* bf16, int count) {
    return widen(_mm256_maskz_loadu_epi16(first_mask(count), bf16));
}
// The lower and the upper bf16 of each 32-bit lane.
inline vec lower_bf16(vec pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16)); }
inline vec upper_bf16(vec pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(int(0xffff0000u))));
}
// Sixteen int8 numbers.
inline vec load(const int8_t* codes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)codes)));
}

inline vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
inline vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
inline vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
inline vec div(vec a, vec b) { return _mm512_div_ps(a, b); }
inline vec multiply_add(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
inline vec abs(vec x) { return _mm512_abs_ps(x); }
// NaN stays NaN in both.
inline vec at_least(vec x, vec bound) { return _mm512_max_ps(bound, x); }
inline vec at_most(vec x, vec bound) { return _mm512_min_ps(bound, x); }
inline vec where_positive(vec x, vec yes, vec no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_GT_OQ), no, yes);
}
// Store the lanes of x whose lane of `chosen` is above 0, one after the other; returns how many. What comes after
// them, up to kLanes in all, is overwritten.
inline int store_positive(float* to, vec x, vec chosen) {
    const __mmask16 mask = _mm512_cmp_ps_mask(chosen, zero(), _CMP_GT_OQ);
    store(to, _mm512_maskz_compress_ps(mask, x));
    return __builtin_popcount(mask);
}
inline vec or_infinity_if_nan(vec x) {
    return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), all(__builtin_inff()));
}
inline vec round_to_integer(vec x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline vec times_power_of_two(vec x, vec exponent) { return _mm512_scalef_ps(x, exponent); }

// The sum of each of kLanes vectors, in their order.
inline vec sum_each(const vec* rows) {
    vec fours[4];
    for (int i = 0; i < 4; ++i) {
        const vec* r = rows + 4 * i;
        const vec ab = add(_mm512_unpacklo_ps(r[0], r[1]), _mm512_unpackhi_ps(r[0], r[1]));
        const vec cd = add(_mm512_unpacklo_ps(r[2], r[3]), _mm512_unpackhi_ps(r[2], r[3]));
        const __m512d ab2 = _mm512_castps_pd(ab), cd2 = _mm512_castps_pd(cd);
        fours[i] = add(_mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2)),
                       _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2)));
    }
    const vec low = add(_mm512_shuffle_f32x4(fours[0], fours[1], 0x44),
                        _mm512_shuffle_f32x4(fours[0], fours[1], 0xee));
    const vec high = add(_mm512_shuffle_f32x4(fours[2], fours[3], 0x44),
                         _mm512_shuffle_f32x4(fours[2], fours[3], 0xee));
    return add(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}

}  // namespace PENSTOCK_ISA
