// The exported functions that work on rows alone: normalisation and argmax.
#include "isa.h"
#include "thread_pool.h"

namespace {
constexpr int64_t kElementsPerItem = 4096;  // fewer are not worth telling another thread about

void run_norm(penstock::NormCall call, penstock::RunItem run) {
    call.rows_per_item = (kElementsPerItem + call.width - 1) / call.width;
    penstock::parallel_for((call.rows + call.rows_per_item - 1) / call.rows_per_item, run, &call);
}
}  // namespace

void penstock_layer_norm(const PenstockIsa* isa, const float* x, int64_t x_stride, int64_t rows, int64_t width,
                         const float* weight, const float* bias, float epsilon, float* out) {
    run_norm({x, x_stride, rows, width, weight, bias, epsilon, out, 0}, isa->layer_norm_item);
}

void penstock_rms_norm(const PenstockIsa* isa, const float* x, int64_t x_stride, int64_t rows, int64_t width,
                       const float* weight, float epsilon, float* out) {
    run_norm({x, x_stride, rows, width, weight, nullptr, epsilon, out, 0}, isa->rms_norm_item);
}

void penstock_argmax(const PenstockIsa* isa, const float* x, int64_t x_stride, int64_t rows, int64_t width,
                     int64_t* out) {
    penstock::ArgmaxCall call{x, x_stride, width, out};
    penstock::parallel_for(rows, isa->argmax_item, &call);
}
