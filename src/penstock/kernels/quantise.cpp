// The exported functions that round weights to codes, a row of outputs at a time.
#include "isa.h"
#include "thread_pool.h"

namespace {

void run(penstock::QuantiseCall call, penstock::RunItem item, int64_t out_features) {
    call.num_groups = (call.in_features + penstock::kGroupDepth - 1) / penstock::kGroupDepth;
    penstock::parallel_for(out_features, item, &call);
}

}  // namespace

void penstock_quantise_int8(const PenstockIsa* isa, const float* weight, int64_t out_features, int64_t in_features,
                            int8_t* codes, uint16_t* scales) {
    run({weight, in_features, 0, codes, nullptr, nullptr, scales}, isa->quantise_int8_item, out_features);
}

void penstock_quantise_int4(const PenstockIsa* isa, const float* weight, int64_t out_features, int64_t in_features,
                            uint8_t* codes, uint8_t* steps, int8_t* lows, uint16_t* scales) {
    run({weight, in_features, 0, codes, steps, lows, scales}, isa->quantise_int4_item, out_features);
}
