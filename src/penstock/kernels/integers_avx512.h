// Sums of products of int8 codes with AVX-512: with VNNI in one instruction, else by way of 16 bits.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "vector_avx512.h"

namespace PENSTOCK_ISA {

using ints = __m512i;

inline ints no_ints() { return _mm512_setzero_si512(); }
inline ints subtract(ints a, ints b) { return _mm512_sub_epi32(a, b); }
inline vec to_floats(ints x) { return _mm512_cvtepi32_ps(x); }

#if defined(__AVX512VNNI__)
// The instruction multiplies unsigned with signed bytes: codes of x are kept 128 too great.
constexpr bool kHasOffset = true;
constexpr int kCodeBytes = 1;
constexpr int kMaxCodeRows = 8;

using Fours = __m512i;
inline Fours load_fours(const int8_t* codes) { return _mm512_loadu_si512(codes); }
inline ints add_products(ints sums, Fours weights, const char* x) {
    int32_t four;
    __builtin_memcpy(&four, x, 4);
    return _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(four), weights);
}
inline ints add_offset(ints sums, Fours weights) {
    return _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(int8_t(-128)), weights);
}
inline void store_codes(char* to, vec rounded) {
    const __m128i codes = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(rounded));
    _mm_storeu_si128((__m128i*)to, _mm_xor_si128(codes, _mm_set1_epi8(int8_t(-128))));
}
#elif defined(PENSTOCK_TILES)
// Tiles multiply signed with signed bytes; nothing else multiplies codes there.
constexpr bool kHasOffset = false;
constexpr int kCodeBytes = 1;
inline void store_codes(char* to, vec rounded) {
    _mm_storeu_si128((__m128i*)to, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(rounded)));
}
#else
constexpr bool kHasOffset = false;
constexpr int kCodeBytes = 2;  // of four neighbours first the even ones
constexpr int kMaxCodeRows = 4;

struct Fours {
    __m512i even, odd;
};
inline Fours load_fours(const int8_t* codes) {
    const __m512i both = _mm512_loadu_si512(codes);
    return {_mm512_srai_epi16(_mm512_slli_epi16(both, 8), 8), _mm512_srai_epi16(both, 8)};
}
inline ints add_products(ints sums, Fours weights, const char* x) {
    int32_t even, odd;
    __builtin_memcpy(&even, x, 4);
    __builtin_memcpy(&odd, x + 4, 4);
    sums = _mm512_add_epi32(sums, _mm512_madd_epi16(weights.even, _mm512_set1_epi32(even)));
    return _mm512_add_epi32(sums, _mm512_madd_epi16(weights.odd, _mm512_set1_epi32(odd)));
}
inline ints add_offset(ints sums, Fours) { return sums; }
inline void store_codes(char* to, vec rounded) {
    const __m256i codes = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(rounded));
    const __m256i even_first = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,  //
                                                0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    _mm256_storeu_si256((__m256i*)to, _mm256_shuffle_epi8(codes, even_first));
}
#endif

// A step (in each 16 bits) and a low (in each byte) of every column, for four bytes of each.
struct Steps {
    __m512i step, low;
};
inline Steps load_steps(const uint8_t* steps, const uint8_t* lows) {
    const __m512i step = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)steps));
    const __m512i low = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)lows));
    const __m512i twice = _mm512_or_si512(low, _mm512_slli_epi32(low, 8));
    return {_mm512_or_si512(step, _mm512_slli_epi32(step, 16)),
            _mm512_or_si512(twice, _mm512_slli_epi32(twice, 16))};
}
// Two bytes are multiplied at once: steps are 16 at most, so no product of a byte reaches the next.
inline void unpack(const Steps& of, const uint8_t* packed, int8_t* first, int8_t* second) {
    const __m512i both = _mm512_loadu_si512(packed), mask = _mm512_set1_epi8(15);
    const __m512i low = _mm512_and_si512(both, mask);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
    _mm512_storeu_si512(first, _mm512_add_epi8(_mm512_mullo_epi16(low, of.step), of.low));
    _mm512_storeu_si512(second, _mm512_add_epi8(_mm512_mullo_epi16(high, of.step), of.low));
}

}  // namespace PENSTOCK_ISA
