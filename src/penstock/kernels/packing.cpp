// Laying out weights in panels of output columns, once, when a model is loaded.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "codes_layout.h"
#include "isa.h"
#include "linear_size.h"
#include "thread_pool.h"

namespace {

using penstock::CodesLayout;
using penstock::kGroupBlock;
using penstock::kGroupDepth;
using penstock::kStepDepth;
using penstock::kStepsOfGroup;
using penstock::num_panels;
using penstock::panel_columns;
using penstock::product_of;

constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kPage = 65536;  // a multiple of every page size in use

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

// What is to be laid out: a weight, or codes with what tells their meaning.
struct Source {
    const void* weight;
    const uint16_t* scales;
    const uint8_t* steps;
    const int8_t* lows;
};

struct PackCall {
    PenstockLinear* linear;
    Source source;
};

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

int64_t num_scale_groups(const PenstockLinear& linear) { return (linear.in_features + kGroupDepth - 1) / kGroupDepth; }

bool holds_codes(const PenstockLinear& linear) {
    return linear.element == PENSTOCK_INT8 || linear.element == PENSTOCK_INT4;
}

int64_t bytes_of_panel(const PenstockLinear& linear) {
    const int64_t columns = panel_columns(linear);
    if (holds_codes(linear)) return CodesLayout{linear.element, columns}.panel_bytes(num_scale_groups(linear));
    const int64_t depth = round_up(linear.in_features, product_of(linear).weight_depth);
    return depth * columns * (linear.element == PENSTOCK_BF16 ? 2 : 4);
}

constexpr int64_t kPackDepth = 64;  // steps of k laid out for all columns in turn: what is written stays near

// `DEPTH` steps of k lie next to each other in each column.
template <int DEPTH, class Element>
void pack_panel(const PenstockLinear& linear, const Element* weight, int64_t panel) {
    const int64_t columns = panel_columns(linear), depth = linear.in_features;
    const int64_t left = linear.out_features - panel * columns, count = left < columns ? left : columns;
    auto* to = (Element*)((char*)linear.panels + panel * linear.panel_bytes);
    for (int64_t first = 0; first < depth; first += kPackDepth)
        for (int64_t c = 0; c < count; ++c) {
            const Element* from = weight + (panel * columns + c) * depth;
            const int64_t end = first + kPackDepth < depth ? first + kPackDepth : depth;
            for (int64_t k = first; k < end; ++k) to[k / DEPTH * DEPTH * columns + c * DEPTH + k % DEPTH] = from[k];
        }
}

// One column of one group of int8 codes: fours of k, `columns` apart.
void pack_int8_column(const int8_t* from, int64_t count, int64_t columns, char* to) {
    int64_t k = 0;
    for (; k + 4 <= count; k += 4) std::memcpy(to + k * columns, from + k, 4);
    if (k < count) std::memcpy(to + k * columns, from + k, size_t(count - k));
}

// The same of 4-bit codes, of which `from` holds two neighbours in a byte.
void pack_int4_column(const uint8_t* from, int64_t columns, char* to) {
    for (int64_t pair = 0; pair < kGroupDepth / 8; ++pair, from += 4, to += 4 * columns)
        for (int i = 0; i < 4; ++i) {
            const int low = from[i / 2] >> 4 * (i % 2) & 15, high = from[2 + i / 2] >> 4 * (i % 2) & 15;
            to[i] = char(low | high << 4);
        }
}

void pack_codes_panel(const PenstockLinear& linear, const Source& source, int64_t panel) {
    const int64_t columns = panel_columns(linear), num_groups = num_scale_groups(linear);
    const CodesLayout layout{linear.element, columns};
    const int64_t padded = num_groups * kGroupDepth;
    char* block = (char*)linear.panels + panel * linear.panel_bytes;
    for (int64_t first = 0; first < num_groups; first += kGroupBlock) {
        const int64_t count = num_groups - first < kGroupBlock ? num_groups - first : int64_t(kGroupBlock);
        char* all_steps = block + layout.scale_bytes(count);
        char* all_codes = all_steps + count * layout.step_bytes();
        for (int64_t c = 0; c < columns && panel * columns + c < linear.out_features; ++c)
            for (int64_t i = 0; i < count; ++i) {
                const int64_t row = panel * columns + c, g = first + i, k = g * kGroupDepth;
                ((uint16_t*)block)[i * columns + c] = source.scales[row * num_groups + g];
                char* codes = all_codes + i * layout.code_bytes() + 4 * c;
                if (linear.element == PENSTOCK_INT8) {
                    const int64_t left = linear.in_features - k;
                    pack_int8_column((const int8_t*)source.weight + row * linear.in_features + k,
                                     left < kGroupDepth ? left : int64_t(kGroupDepth), columns, codes);
                    continue;
                }
                pack_int4_column((const uint8_t*)source.weight + (row * padded + k) / 2, columns, codes);
                char* steps = all_steps + i * layout.step_bytes() + c;
                for (int64_t s = 0; s < kStepsOfGroup; ++s) {
                    const int64_t from = row * padded / kStepDepth + g * kStepsOfGroup + s;
                    steps[2 * s * columns] = char(source.steps[from]);
                    steps[(2 * s + 1) * columns] = char(source.lows[from]);
                }
            }
        block += layout.block_bytes(count);
    }
}

void pack_item(void* context, int64_t panel) {
    const auto& call = *(const PackCall*)context;
    if (holds_codes(*call.linear))
        pack_codes_panel(*call.linear, call.source, panel);
    else if (call.linear->element == PENSTOCK_BF16)
        pack_panel<2>(*call.linear, (const uint16_t*)call.source.weight, panel);
    else
        pack_panel<1>(*call.linear, (const float*)call.source.weight, panel);
}

PenstockLinear* create(const PenstockLinear& described, const Source& source, const float* bias) {
    auto* linear = new (std::nothrow) PenstockLinear(described);
    if (linear == nullptr) return nullptr;
    const int64_t columns = panel_columns(*linear), panels = num_panels(*linear);
    const int64_t out_features = linear->out_features;
    linear->panel_bytes = bytes_of_panel(*linear);

    linear->panels_size = size_t(round_up(panels * linear->panel_bytes, kPage));
    linear->panels = allocate_panels(linear->panels_size);
    if (bias != nullptr) {
        linear->bias = (float*)std::calloc(size_t(panels * columns), sizeof(float));
        if (linear->bias != nullptr) std::memcpy(linear->bias, bias, size_t(out_features) * sizeof(float));
    }
    if (linear->panels == nullptr || (bias != nullptr && linear->bias == nullptr)) {
        penstock_linear_destroy(linear);
        return nullptr;
    }
    PackCall call{linear, source};
    penstock::parallel_for(panels, pack_item, &call);
    return linear;
}

PenstockLinear describe(const PenstockIsa* isa, int32_t element, int64_t out_features, int64_t in_features) {
    return {isa, element, out_features, in_features, 0, nullptr, 0, nullptr};
}

}  // namespace

PenstockLinear* penstock_linear_create(const PenstockIsa* isa, const void* weight, int32_t element,
                                       int64_t out_features, int64_t in_features, const float* bias) {
    return create(describe(isa, element, out_features, in_features), {weight, nullptr, nullptr, nullptr}, bias);
}

PenstockLinear* penstock_linear_create_int8(const PenstockIsa* isa, const int8_t* codes, const uint16_t* scales,
                                            int64_t out_features, int64_t in_features, const float* bias) {
    return create(describe(isa, PENSTOCK_INT8, out_features, in_features), {codes, scales, nullptr, nullptr}, bias);
}

PenstockLinear* penstock_linear_create_int4(const PenstockIsa* isa, const uint8_t* codes, const uint8_t* steps,
                                            const int8_t* lows, const uint16_t* scales, int64_t out_features,
                                            int64_t in_features, const float* bias) {
    return create(describe(isa, PENSTOCK_INT4, out_features, in_features), {codes, scales, steps, lows}, bias);
}

void penstock_linear_destroy(PenstockLinear* linear) {
    if (linear->panels != nullptr) munmap(linear->panels, linear->panels_size);
    std::free(linear->bias);
    delete linear;
}

int64_t penstock_linear_num_bytes(const PenstockLinear* linear) {
    const int64_t floats = linear->bias != nullptr ? num_panels(*linear) * panel_columns(*linear) : 0;
    return int64_t(linear->panels_size) + floats * int64_t(sizeof(float));
}
