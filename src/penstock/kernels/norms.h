// Layer and root mean square normalisation of rows. Every sum runs in one fixed order.
#pragma once
#include "isa.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

inline float mean_of(const float* x, int64_t width) {
    vec sum = zero();
    for (int64_t i = 0; i < width; i += kLanes)
        sum = add(sum, width - i >= kLanes ? load(x + i) : load_first(x + i, int(width - i)));
    return sum_lanes(sum) / float(width);
}

inline float variance_of(const float* x, int64_t width, float mean) {
    vec sum = zero();
    for (int64_t i = 0; i < width; i += kLanes) {
        const bool whole = width - i >= kLanes;
        vec offset = sub(whole ? load(x + i) : load_first(x + i, int(width - i)), all(mean));
        if (!whole) offset = keep_first(offset, int(width - i), zero());
        sum = multiply_add(offset, offset, sum);
    }
    return sum_lanes(sum) / float(width);
}

inline void layer_norm_row(const penstock::NormCall& call, int64_t row) {
    const float* x = call.x + row * call.x_stride;
    float* out = call.out + row * call.width;
    const float mean = mean_of(x, call.width);
    const float scale = 1.0f / __builtin_sqrtf(variance_of(x, call.width, mean) + call.epsilon);
    for (int64_t i = 0; i < call.width; i += kLanes) {
        const int64_t left = call.width - i;
        const int count = left < kLanes ? int(left) : kLanes;
        const vec normal = mul(sub(load_first(x + i, count), all(mean)), all(scale));
        const vec y = multiply_add(normal, load_first(call.weight + i, count), load_first(call.bias + i, count));
        store_first(out + i, y, count);
    }
}

inline void rms_norm_row(const penstock::NormCall& call, int64_t row) {
    const float* x = call.x + row * call.x_stride;
    float* out = call.out + row * call.width;
    const float scale = 1.0f / __builtin_sqrtf(variance_of(x, call.width, 0.0f) + call.epsilon);
    for (int64_t i = 0; i < call.width; i += kLanes) {
        const int64_t left = call.width - i;
        const int count = left < kLanes ? int(left) : kLanes;
        const vec normal = mul(load_first(x + i, count), all(scale));
        store_first(out + i, mul(normal, load_first(call.weight + i, count)), count);
    }
}

template <void (*NORMALISE)(const penstock::NormCall&, int64_t)>
void norm_item(void* context, int64_t item) {
    const auto& call = *(const penstock::NormCall*)context;
    const int64_t begin = item * call.rows_per_item;
    for (int64_t row = begin; row < begin + call.rows_per_item && row < call.rows; ++row) NORMALISE(call, row);
}

}  // namespace PENSTOCK_ISA
