// Splitting a product into panels of output columns and groups of rows.
#include "isa.h"
#include "linear_size.h"
#include "thread_pool.h"

namespace {

constexpr int64_t kWorthSharing = 1 << 16;   // multiplications; fewer take less time than waking a thread
constexpr int64_t kWorthGathering = 1 << 12;  // elements of x; likewise
constexpr int64_t kGroupRows = 256;  // their activations and sums stay in the second-level cache

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

void run(int64_t num_items, penstock::RunItem item, void* call, bool is_worth_sharing) {
    if (is_worth_sharing) return penstock::parallel_for(num_items, item, call);
    for (int64_t i = 0; i < num_items; ++i) item(call, i);
}

// Lay x out as the product wants it; in the calling thread's scratch memory.
const void* gather(const penstock::Product& product, const float* x, int64_t x_stride, int64_t rows, int64_t pitch,
                   int64_t in_features) {
    const int64_t blocks = round_up(in_features, product.depth) / product.depth;
    void* to = penstock::call_scratch(size_t(blocks * pitch * product.block_bytes));
    penstock::GatherCall call{x, x_stride, rows, pitch, in_features, to};
    run((rows + penstock::kGatherRows - 1) / penstock::kGatherRows, product.gather_item, &call,
        rows * in_features >= kWorthGathering);
    return to;
}

}  // namespace

void penstock_linear(const PenstockLinear* linear, const float* x, int64_t x_stride, int64_t rows,
                     int32_t activation, const float* residual, int64_t residual_stride, float* out) {
    if (rows == 0) return;
    const penstock::Product& product = penstock::product_of(*linear);
    const int64_t pitch = round_up(rows, product.row_tile);
    const int64_t most_groups = (rows + kGroupRows - 1) / kGroupRows;
    const int64_t group_rows = round_up((rows + most_groups - 1) / most_groups, product.row_tile);
    const int64_t num_groups = (rows + group_rows - 1) / group_rows;
    const void* laid_out = gather(product, x, x_stride, rows, pitch, linear->in_features);
    penstock::LinearCall call{linear,     laid_out, pitch,           rows,
                              activation, residual, residual_stride, out, group_rows, num_groups};
    run(penstock::num_panels(*linear) * num_groups, product.item, &call,
        rows * linear->out_features * linear->in_features >= kWorthSharing);
}
