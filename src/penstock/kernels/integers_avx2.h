// Sums of products of int8 codes with AVX2: two products in 16 bits, then four in 32.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "vector_avx2.h"

namespace PENSTOCK_ISA {

using ints = __m256i;

inline ints no_ints() { return _mm256_setzero_si256(); }
inline ints subtract(ints a, ints b) { return _mm256_sub_epi32(a, b); }
inline vec to_floats(ints x) { return _mm256_cvtepi32_ps(x); }

constexpr bool kHasOffset = false;
constexpr int kCodeBytes = 1;
constexpr int kMaxCodeRows = 4;

using Fours = __m256i;
inline Fours load_fours(const int8_t* codes) { return _mm256_loadu_si256((const __m256i*)codes); }
// The instruction multiplies unsigned with signed bytes, so the weights take over the signs of x. No code is
// beyond 127, so two products fit in 16 bits.
inline ints add_products(ints sums, Fours weights, const char* x) {
    int32_t four;
    __builtin_memcpy(&four, x, 4);
    const __m256i fours = _mm256_set1_epi32(four);
    const __m256i twos = _mm256_maddubs_epi16(_mm256_abs_epi8(fours), _mm256_sign_epi8(weights, fours));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(twos, _mm256_set1_epi16(1)));
}
inline ints add_offset(ints sums, Fours) { return sums; }
inline void store_codes(char* to, vec rounded) {
    const __m256i codes = _mm256_cvtps_epi32(rounded);
    const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    _mm_storel_epi64((__m128i*)to, _mm_packs_epi16(narrow, narrow));
}

// A step (in each 16 bits) and a low (in each byte) of every column, for four bytes of each.
struct Steps {
    __m256i step, low;
};
inline Steps load_steps(const uint8_t* steps, const uint8_t* lows) {
    const __m256i step = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)steps));
    const __m256i low = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)lows));
    const __m256i twice = _mm256_or_si256(low, _mm256_slli_epi32(low, 8));
    return {_mm256_or_si256(step, _mm256_slli_epi32(step, 16)),
            _mm256_or_si256(twice, _mm256_slli_epi32(twice, 16))};
}
// Two bytes are multiplied at once: steps are 16 at most, so no product of a byte reaches the next.
inline void unpack(const Steps& of, const uint8_t* packed, int8_t* first, int8_t* second) {
    const __m256i both = _mm256_loadu_si256((const __m256i*)packed), mask = _mm256_set1_epi8(15);
    const __m256i low = _mm256_and_si256(both, mask);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
    _mm256_storeu_si256((__m256i*)first, _mm256_add_epi8(_mm256_mullo_epi16(low, of.step), of.low));
    _mm256_storeu_si256((__m256i*)second, _mm256_add_epi8(_mm256_mullo_epi16(high, of.step), of.low));
}

}  // namespace PENSTOCK_ISA
