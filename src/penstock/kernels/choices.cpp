// The exported function that chooses tokens from rows of logits.
#include "isa.h"
#include "thread_pool.h"

void penstock_choose(const PenstockIsa* isa, const float* logits, int64_t logits_stride, int64_t width,
                     const PenstockChoice* choices, int64_t num_choices, const int32_t* tokens,
                     const int32_t* edited, const float* amounts, const double* uniforms, int64_t* token_ids,
                     float* values, float* wholes, int32_t* statuses) {
    penstock::ChooseCall call{logits,  logits_stride, width,     choices, tokens, edited,
                              amounts, uniforms,      token_ids, values,  wholes, statuses};
    penstock::parallel_for(num_choices, isa->choose_item, &call);
}
