// The first index of a row's greatest value; NaN counts as infinity.
#pragma once
#include "isa.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

constexpr int64_t kSearchWidth = 512;

inline float greatest(const float* x, int64_t width) {
    vec best = all(-__builtin_inff());
    for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t left = width - i;
        const vec here = left >= kLanes ? load(x + i) : keep_first(load_first(x + i, int(left)), int(left), best);
        best = at_least(or_infinity_if_nan(here), best);
    }
    return max_lane(best);
}

inline void argmax_item(void* context, int64_t row) {
    const auto& call = *(const penstock::ArgmaxCall*)context;
    const float* x = call.x + row * call.x_stride;
    float best = -__builtin_inff();
    int64_t found = 0;
    for (int64_t begin = 0; begin < call.width; begin += kSearchWidth) {
        const int64_t left = call.width - begin;
        const float here = greatest(x + begin, left < kSearchWidth ? left : kSearchWidth);
        if (here > best) {
            best = here;
            found = begin;
        }
    }
    while (x[found] < best) ++found;  // stops at the value, or at the NaN that stood for it
    call.out[row] = found;
}

}  // namespace PENSTOCK_ISA
