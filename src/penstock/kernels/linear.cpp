// Laying out weights, and splitting a product into panels of output columns.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "isa.h"
#include "thread_pool.h"

namespace {

constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kPage = 65536;  // a multiple of every page size in use
constexpr int64_t kWorthSharing = 1 << 16;  // multiplications; fewer take less time than waking a thread
constexpr int64_t kGatherRows = 16;   // fewer are not worth telling another thread about
constexpr int64_t kGroupRows = 256;  // their activations and sums stay in the second-level cache

int64_t panel_columns(const PenstockLinear& linear) {
    return int64_t(linear.isa->lanes) * penstock::kPanelVectors;
}

int64_t num_panels(const PenstockLinear& linear) {
    return (linear.out_features + panel_columns(linear) - 1) / panel_columns(linear);
}

// Zeroed memory that starts on a huge page, so that reading it misses fewer address translations.
void* allocate_panels(size_t size) {
    const size_t reserved = size + kHugePage;
    void* mapped = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* begin = (char*)mapped;
    const size_t before = (kHugePage - uintptr_t(begin) % kHugePage) % kHugePage;
    char* aligned = begin + before;
    if (before > 0) munmap(begin, before);
    munmap(aligned + size, kHugePage - before);
#ifdef MADV_HUGEPAGE
    madvise(aligned, size, MADV_HUGEPAGE);
#endif
    return aligned;
}

struct PackCall {
    PenstockLinear* linear;
    const void* weight;
    const uint16_t* scales;  // of int8 weights
};

int64_t num_scale_groups(const PenstockLinear& linear) {
    return (linear.in_features + penstock::kGroupDepth - 1) / penstock::kGroupDepth;
}

int64_t bytes_of_panel(const PenstockLinear& linear) {
    const int64_t columns = panel_columns(linear);
    if (linear.element == PENSTOCK_INT8) return num_scale_groups(linear) * (2 + penstock::kGroupDepth) * columns;
    if (linear.element == PENSTOCK_BF16) return (linear.in_features + 1) / 2 * 2 * columns * 2;
    return linear.in_features * columns * 4;
}

// `DEPTH` steps of k lie next to each other in each column.
template <int DEPTH, class Element>
void pack_panel(const PenstockLinear& linear, const Element* weight, int64_t panel) {
    const int64_t columns = panel_columns(linear);
    auto* to = (Element*)((char*)linear.panels + panel * linear.panel_bytes);
    for (int64_t c = 0; c < columns && panel * columns + c < linear.out_features; ++c) {
        const Element* from = weight + (panel * columns + c) * linear.in_features;
        for (int64_t k = 0; k < linear.in_features; ++k)
            to[k / DEPTH * DEPTH * columns + c * DEPTH + k % DEPTH] = from[k];
    }
}

// Group after group: the scales of its columns, then the codes of its steps of k.
void pack_int8_panel(const PenstockLinear& linear, const int8_t* codes, const uint16_t* scales, int64_t panel) {
    const int64_t columns = panel_columns(linear), num_groups = num_scale_groups(linear);
    char* to = (char*)linear.panels + panel * linear.panel_bytes;
    for (int64_t g = 0; g < num_groups; ++g, to += (2 + penstock::kGroupDepth) * columns)
        for (int64_t c = 0; c < columns && panel * columns + c < linear.out_features; ++c) {
            const int64_t row = panel * columns + c;
            ((uint16_t*)to)[c] = scales[row * num_groups + g];
            for (int64_t k = 0; k < penstock::kGroupDepth && g * penstock::kGroupDepth + k < linear.in_features; ++k)
                to[2 * columns + k * columns + c] = codes[row * linear.in_features + g * penstock::kGroupDepth + k];
        }
}

void pack_item(void* context, int64_t panel) {
    const auto& call = *(const PackCall*)context;
    if (call.linear->element == PENSTOCK_INT8)
        pack_int8_panel(*call.linear, (const int8_t*)call.weight, call.scales, panel);
    else if (call.linear->element == PENSTOCK_BF16)
        pack_panel<2>(*call.linear, (const uint16_t*)call.weight, panel);
    else
        pack_panel<1>(*call.linear, (const float*)call.weight, panel);
}

struct GatherCall {
    const float* x;
    int64_t x_stride;
    int64_t rows;
    int64_t depth;
    float* to;
};

// Copy some rows of x into depth blocks; see LinearCall.
void gather_item(void* context, int64_t item) {
    const auto& call = *(const GatherCall*)context;
    const int64_t begin = item * kGatherRows;
    const int64_t end = begin + kGatherRows < call.rows ? begin + kGatherRows : call.rows;
    for (int64_t k = 0; k < call.depth; k += penstock::kDepthBlock) {
        const int64_t left = call.depth - k;
        const size_t count = size_t(left < penstock::kDepthBlock ? left : int64_t(penstock::kDepthBlock));
        for (int64_t r = begin; r < end; ++r)
            std::memcpy(call.to + k * call.rows + r * penstock::kDepthBlock, call.x + r * call.x_stride + k,
                        count * sizeof(float));
    }
}

const float* gather(const float* x, int64_t x_stride, int64_t rows, int64_t depth) {
    const int64_t blocks = (depth + penstock::kDepthBlock - 1) / penstock::kDepthBlock;
    auto* to = (float*)penstock::call_scratch(size_t(blocks * penstock::kDepthBlock * rows) * sizeof(float));
    GatherCall call{x, x_stride, rows, depth, to};
    penstock::parallel_for((rows + kGatherRows - 1) / kGatherRows, gather_item, &call);
    return to;
}

PenstockLinear* create(const PenstockLinear& described, const void* weight, const uint16_t* scales,
                       const float* bias) {
    auto* linear = new (std::nothrow) PenstockLinear(described);
    if (linear == nullptr) return nullptr;
    const int64_t columns = panel_columns(*linear), panels = num_panels(*linear);
    const int64_t out_features = linear->out_features;
    linear->panel_bytes = bytes_of_panel(*linear);

    linear->panels_size = (size_t(panels * linear->panel_bytes) + kPage - 1) / kPage * kPage;
    linear->panels = allocate_panels(linear->panels_size);
    if (bias != nullptr) {
        linear->bias = (float*)std::calloc(size_t(panels * columns), sizeof(float));
        if (linear->bias != nullptr) std::memcpy(linear->bias, bias, size_t(out_features) * sizeof(float));
    }
    if (linear->panels == nullptr || (bias != nullptr && linear->bias == nullptr)) {
        penstock_linear_destroy(linear);
        return nullptr;
    }
    PackCall call{linear, weight, scales};
    penstock::parallel_for(panels, pack_item, &call);
    return linear;
}

}  // namespace

PenstockLinear* penstock_linear_create(const PenstockIsa* isa, const void* weight, int32_t element,
                                       int64_t out_features, int64_t in_features, const float* bias) {
    return create({isa, element, out_features, in_features, 0, nullptr, 0, nullptr}, weight, nullptr, bias);
}

PenstockLinear* penstock_linear_create_int8(const PenstockIsa* isa, const int8_t* codes, const uint16_t* scales,
                                            int64_t out_features, int64_t in_features, const float* bias) {
    return create({isa, PENSTOCK_INT8, out_features, in_features, 0, nullptr, 0, nullptr}, codes, scales, bias);
}

void penstock_linear_destroy(PenstockLinear* linear) {
    if (linear->panels != nullptr) munmap(linear->panels, linear->panels_size);
    std::free(linear->bias);
    delete linear;
}

int64_t penstock_linear_num_bytes(const PenstockLinear* linear) {
    const int64_t bias = linear->bias != nullptr ? num_panels(*linear) * panel_columns(*linear) * int64_t(sizeof(float)) : 0;
    return int64_t(linear->panels_size) + bias;
}

void penstock_linear(const PenstockLinear* linear, const float* x, int64_t x_stride, int64_t rows,
                     int32_t activation, const float* residual, int64_t residual_stride, float* out) {
    if (rows == 0) return;
    const int64_t num_groups = (rows + kGroupRows - 1) / kGroupRows;
    const int64_t group_rows = (rows + num_groups - 1) / num_groups;
    const float* gathered = rows == 1 ? x : gather(x, x_stride, rows, linear->in_features);
    penstock::LinearCall call{linear,          gathered, rows,       activation, residual,
                              residual_stride, out,      group_rows, num_groups};
    const int64_t num_items = num_panels(*linear) * num_groups;
    if (rows * linear->out_features * linear->in_features < kWorthSharing) {
        for (int64_t item = 0; item < num_items; ++item) linear->isa->linear_item(&call, item);
    } else {
        penstock::parallel_for(num_items, linear->isa->linear_item, &call);
    }
}
