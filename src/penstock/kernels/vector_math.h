// Exponential and activations on vectors. Included after one vector_*.h.
#pragma once
#include "penstock_kernels.h"

namespace PENSTOCK_ISA {

// e^x to about 1e-7; below e^-87 it stays there, above e^88 likewise, NaN stays NaN.
inline vec exponential(vec x) {
    x = at_most(at_least(x, all(-87.0f)), all(88.0f));
    const vec n = round_to_integer(mul(x, all(1.44269504f)));
    vec r = multiply_add(n, all(-0.693359375f), x);  // ln 2 in two parts, the first exact in few bits
    r = multiply_add(n, all(2.12194440e-4f), r);
    vec y = all(1.0f / 5040);
    y = multiply_add(y, r, all(1.0f / 720));
    y = multiply_add(y, r, all(1.0f / 120));
    y = multiply_add(y, r, all(1.0f / 24));
    y = multiply_add(y, r, all(1.0f / 6));
    y = multiply_add(y, r, all(0.5f));
    y = multiply_add(y, r, all(1.0f));
    y = multiply_add(y, r, all(1.0f));
    return times_power_of_two(y, n);
}

// x / (1 + e^-scaled)
inline vec times_sigmoid(vec x, vec scaled) {
    return div(x, add(all(1.0f), exponential(sub(zero(), scaled))));
}

// x (1 + tanh(u)) / 2 = x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3)
inline vec gelu_new(vec x) {
    const vec inner = multiply_add(mul(x, x), all(2 * 0.7978845608f * 0.044715f), all(2 * 0.7978845608f));
    return times_sigmoid(x, mul(x, inner));
}

// x times the normal distribution function, from erfc(z) = t e^(-z z) P(t), t = 1 / (1 + z / 2), z >= 0.
// P is a fit of relative error 5e-8 for z up to 12.
inline vec gelu(vec x) {
    constexpr float fit[] = {0.2820844622f, 0.2824097945f,  0.2428518791f, 0.2036862921f, -0.02899230494f,
                             0.2815069867f, -0.4902089789f, 0.2860288198f, -0.0593669947f};
    const vec t = div(all(1.0f), multiply_add(abs(x), all(0.5f * 0.7071067812f), all(1.0f)));
    vec p = all(fit[8]);
    for (int i = 7; i >= 0; --i) p = multiply_add(p, t, all(fit[i]));
    const vec tail = mul(mul(t, p), mul(all(0.5f), exponential(mul(mul(x, x), all(-0.5f)))));
    return mul(x, where_positive(x, sub(all(1.0f), tail), tail));
}

inline vec activate(vec x, int activation) {
    switch (activation) {
        case PENSTOCK_GELU_NEW: return gelu_new(x);
        case PENSTOCK_GELU: return gelu(x);
        case PENSTOCK_RELU: return at_least(x, zero());
        case PENSTOCK_SILU: return times_sigmoid(x, x);
        default: return x;
    }
}

// The lanes added up in one fixed order.
inline float sum_lanes(vec x) {
    float lanes[kLanes];
    store(lanes, x);
    for (int width = kLanes / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    return lanes[0];
}

inline float max_lane(vec x) {
    float lanes[kLanes];
    store(lanes, x);
    for (int i = 1; i < kLanes; ++i)
        if (!(lanes[i] <= lanes[0])) lanes[0] = lanes[i];
    return lanes[0];
}

}  // namespace PENSTOCK_ISA
