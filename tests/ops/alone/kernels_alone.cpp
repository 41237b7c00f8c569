// The kernels against plain loops in double precision, without Python: for processors that only an emulator has
// here. Every instruction set that the library has on this processor, at odd sizes; `make kernels-arm` runs it.
//
// Usage: kernels_alone BEST, the instruction set that the library is to choose by itself.
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "penstock_kernels.h"

namespace {

using Floats = std::vector<float>;

constexpr int kGroup = 64, kPart = 16;  // inputs that share a scale, and a step in 4 bits
int num_checks = 0, num_failures = 0;

void expect(bool holds, const char* format, ...) {
    ++num_checks;
    if (holds || ++num_failures > 20) return;
    va_list values;
    va_start(values, format);
    std::vprintf(format, values);
    va_end(values);
    std::printf("\n");
}

bool near(double got, double expected, double relative, double absolute) {
    return std::fabs(got - expected) <= absolute + relative * std::fabs(expected);
}

bool same_bits(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * sizeof(float)) == 0; }

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
    double uniform() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return double(state_ >> 11) / double(uint64_t(1) << 53);
    }
    float normal() { return float(std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform())); }
    Floats normals(int64_t count, double scale = 1) {
        Floats found(static_cast<size_t>(count));
        for (float& x : found) x = float(normal() * scale);
        return found;
    }

  private:
    uint64_t state_;
};

uint16_t to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t x) {
    const uint32_t bits = uint32_t(x) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

// ---- Linear layers

struct Size {
    int64_t rows, in, out;
    int64_t groups() const { return (in + kGroup - 1) / kGroup; }
};

struct Codes {
    std::vector<int8_t> eight, lows;
    std::vector<uint8_t> four, steps;
    std::vector<uint16_t> scales;
};

Codes quantise(const PenstockIsa* isa, const Floats& weight, const Size& size) {
    const auto groups = size_t(size.out * size.groups());
    Codes codes{std::vector<int8_t>(weight.size()), std::vector<int8_t>(groups * kGroup / kPart),
                std::vector<uint8_t>(groups * kGroup / 2), std::vector<uint8_t>(groups * kGroup / kPart),
                std::vector<uint16_t>(groups)};
    std::vector<uint16_t> scales_of_four(groups);
    penstock_quantise_int8(isa, weight.data(), size.out, size.in, codes.eight.data(), codes.scales.data());
    return codes;
}

Codes quantise_to_four(const PenstockIsa* isa, const Floats& weight, const Size& size) {
    Codes codes = quantise(isa, weight, size);
    penstock_quantise_int4(isa, weight.data(), size.out, size.in, codes.four.data(), codes.steps.data(),
                           codes.lows.data(), codes.scales.data());
    return codes;
}

// What the laid out weight stands for, in fp32.
Floats restored(const Codes& codes, int32_t element, const Floats& weight, const Size& size) {
    Floats found(weight.size());
    for (int64_t o = 0; o < size.out; ++o)
        for (int64_t k = 0; k < size.in; ++k) {
            const int64_t at = o * size.in + k, padded = o * size.groups() * kGroup + k;
            if (element == PENSTOCK_FP32) found[at] = weight[at];
            if (element == PENSTOCK_BF16) found[at] = from_bf16(to_bf16(weight[at]));
            if (element < PENSTOCK_INT8) continue;
            const int code = codes.four[padded / 2] >> padded % 2 * 4 & 15;
            const int whole = element == PENSTOCK_INT8
                                  ? codes.eight[at]
                                  : int8_t(codes.lows[padded / kPart] + codes.steps[padded / kPart] * code);
            found[at] = float(whole) * from_bf16(codes.scales[padded / kGroup]);
        }
    return found;
}

PenstockLinear* lay_out(const PenstockIsa* isa, const Codes& codes, int32_t element, const Floats& weight,
                        const Size& size, const float* bias) {
    if (element == PENSTOCK_INT8)
        return penstock_linear_create_int8(isa, codes.eight.data(), codes.scales.data(), size.out, size.in, bias);
    if (element == PENSTOCK_INT4)
        return penstock_linear_create_int4(isa, codes.four.data(), codes.steps.data(), codes.lows.data(),
                                           codes.scales.data(), size.out, size.in, bias);
    std::vector<uint16_t> narrow(weight.size());
    for (size_t i = 0; i < weight.size(); ++i) narrow[i] = to_bf16(weight[i]);
    const void* data = element == PENSTOCK_BF16 ? (const void*)narrow.data() : (const void*)weight.data();
    return penstock_linear_create(isa, data, element, size.out, size.in, bias);
}

// Codes of a row of x with one scale for each group, restored.
void round_row(float* x, int64_t width) {
    for (int64_t g = 0; g < width; g += kGroup) {
        const int64_t end = g + kGroup < width ? g + kGroup : width;
        float top = 0;
        for (int64_t k = g; k < end; ++k) top = std::fmax(top, std::fabs(x[k]));
        const float inverse = 1.0f / (top < 1e-30f ? 1e-30f : top) * 127.0f;
        for (int64_t k = g; k < end; ++k) x[k] = std::nearbyint(x[k] * inverse) * (top / 127.0f);
    }
}

double activated(double x, int32_t activation) {
    switch (activation) {
        case PENSTOCK_GELU_NEW: return x / 2 * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        case PENSTOCK_GELU: return x / 2 * std::erfc(-x * 0.7071067811865476);
        case PENSTOCK_RELU: return x < 0 ? 0 : x;
        case PENSTOCK_SILU: return x / (1 + std::exp(-x));
        default: return x;
    }
}

void check_linear(const PenstockIsa* isa, int32_t element, const Size& size, int32_t activation) {
    Random random(uint64_t(size.rows * 1000003 + size.in * 1009 + size.out));
    const Floats weight = random.normals(size.out * size.in, 1 / std::sqrt(double(size.in)));
    const Floats bias = random.normals(size.out), residual = random.normals(size.rows * size.out);
    const Floats x = random.normals(size.rows * size.in);
    const bool narrow = element == PENSTOCK_INT4;
    const Codes codes = narrow ? quantise_to_four(isa, weight, size) : quantise(isa, weight, size);
    PenstockLinear* linear = lay_out(isa, codes, element, weight, size, bias.data());
    Floats together(residual.size()), alone(residual.size());

    penstock_linear(linear, x.data(), size.in, size.rows, activation, residual.data(), size.out, together.data());
    for (int64_t r = 0; r < size.rows; ++r)
        penstock_linear(linear, &x[r * size.in], size.in, 1, activation, &residual[r * size.out], size.out,
                        &alone[r * size.out]);
    penstock_linear_destroy(linear);

    const char* name = penstock_isa_name(isa);
    const int rows = int(size.rows), in = int(size.in), out = int(size.out);
    expect(same_bits(together.data(), alone.data(), alone.size()), "%s: rows meet in element %d, %d x %d x %d", name,
           element, rows, in, out);
    const Floats meant = restored(codes, element, weight, size);
    Floats rounded = x;
    for (int64_t r = 0; r < size.rows && element >= PENSTOCK_INT8; ++r) round_row(&rounded[r * size.in], size.in);
    for (int64_t r = 0; r < size.rows; ++r)
        for (int64_t o = 0; o < size.out; ++o) {
            double sum = 0;
            for (int64_t k = 0; k < size.in; ++k)
                sum += double(rounded[r * size.in + k]) * meant[o * size.in + k];
            const int64_t at = r * size.out + o;
            const double expected = activated(sum + bias[o], activation) + residual[at];
            expect(near(together[at], expected, 1e-5, 1e-5), "%s: linear of element %d, %d x %d x %d: %g is not %g",
                   name, element, rows, in, out, together[at], expected);
        }
}

void check_linears(const PenstockIsa* isa) {
    const Size sizes[] = {{1, 1, 1},   {2, 3, 5},     {1, 64, 12},  {3, 65, 13},  {8, 96, 24},   {9, 97, 25},
                          {5, 127, 7}, {17, 128, 11}, {4, 129, 37}, {70, 70, 50}, {65, 257, 31}, {260, 33, 3}};
    for (const Size& size : sizes)
        for (int32_t element = PENSTOCK_FP32; element <= PENSTOCK_INT4; ++element)
            check_linear(isa, element, size, int32_t(size.in % 5));
}

// By the instruction set's own vectors as by the compiler's, which the Python tests hold to the reference.
void check_quantising(const PenstockIsa* isa, const PenstockIsa* generic) {
    for (const Size& size : {Size{0, 1, 3}, Size{0, 63, 5}, Size{0, 64, 4}, Size{0, 65, 7}, Size{0, 300, 20}})
        for (const double scale : {1e-4, 1.0, 300.0}) {
            const Floats weight = Random(uint64_t(size.in)).normals(size.out * size.in, scale);
            const Codes eight = quantise(isa, weight, size), same_eight = quantise(generic, weight, size);
            const Codes four = quantise_to_four(isa, weight, size), same_four = quantise_to_four(generic, weight, size);
            expect(eight.eight == same_eight.eight && eight.scales == same_eight.scales, "%s: int8 codes of %d x %d",
                   penstock_isa_name(isa), int(size.out), int(size.in));
            expect(four.four == same_four.four && four.scales == same_four.scales && four.steps == same_four.steps &&
                       four.lows == same_four.lows,
                   "%s: int4 codes of %d x %d", penstock_isa_name(isa), int(size.out), int(size.in));
        }
}

// ---- Rows

void check_norms(const PenstockIsa* isa) {
    for (const int64_t width : {16, 17, 63, 64, 65, 768, 1001}) {
        constexpr int64_t rows = 5;
        Random random(uint64_t(width) + 7);
        const Floats x = random.normals(rows * width, 3), weight = random.normals(width), bias = random.normals(width);
        Floats layer(x.size()), rms(x.size());
        penstock_layer_norm(isa, x.data(), width, rows, width, weight.data(), bias.data(), 1e-5f, layer.data());
        penstock_rms_norm(isa, x.data(), width, rows, width, weight.data(), 1e-6f, rms.data());
        for (int64_t r = 0; r < rows; ++r) {
            double sum = 0, squares = 0, spread = 0;
            for (int64_t i = 0; i < width; ++i) sum += x[r * width + i];
            const double mean = sum / double(width);
            for (int64_t i = 0; i < width; ++i) {
                const double value = x[r * width + i];
                squares += value * value;
                spread += (value - mean) * (value - mean);
            }
            for (int64_t i = 0; i < width; ++i) {
                const int64_t at = r * width + i;
                const double normed = (x[at] - mean) / std::sqrt(spread / double(width) + 1e-5);
                const double scaled = x[at] / std::sqrt(squares / double(width) + 1e-6);
                expect(near(layer[at], normed * weight[i] + bias[i], 1e-5, 2e-5), "%s: layer norm of %d",
                       penstock_isa_name(isa), int(width));
                expect(near(rms[at], scaled * weight[i], 1e-5, 1e-6), "%s: rms norm of %d", penstock_isa_name(isa),
                       int(width));
            }
        }
    }
}

void check_argmax(const PenstockIsa* isa) {
    for (const int64_t width : {1, 3, 4, 5, 63, 64, 65, 4099}) {
        Floats x = Random(uint64_t(width)).normals(2 * width);
        for (float& value : x) value = std::nearbyint(value);  // many are equal: the first of them counts
        if (width > 60) x[width + 40] = NAN;
        int64_t found[2], expected[2] = {0, width > 60 ? 40 : 0};
        penstock_argmax(isa, x.data(), width, 2, width, found);
        for (int64_t r = 0; r < 2; ++r)
            for (int64_t i = 0; i < width; ++i)
                if (x[r * width + i] > x[r * width + expected[r]]) expected[r] = i;
        expect(found[0] == expected[0] && found[1] == expected[1], "%s: argmax of %d", penstock_isa_name(isa),
               int(width));
    }
}

// ---- Attention

// Three sequences: one that writes, one that reads in the middle of its prompt, one that begins.
void check_attention(const PenstockIsa* isa, int32_t element, int32_t head_size, int32_t num_heads, int64_t window) {
    constexpr int32_t kv_heads = 2, block_size = 4, num_blocks = 40;
    const int32_t query_starts[] = {0, 1, 8, 21}, lengths[] = {30, 26, 13};
    constexpr int64_t num_tokens = 21, max_blocks = 8;
    Random random(uint64_t(head_size + num_heads));
    std::vector<int32_t> tables(3 * max_blocks);
    for (size_t i = 0; i < tables.size(); ++i) tables[i] = int32_t(i * 7 % num_blocks);
    const int64_t slot = kv_heads * head_size, cache_size = num_blocks * block_size * slot;
    Floats keys = random.normals(cache_size), values = random.normals(cache_size);
    std::vector<uint16_t> narrow_keys, narrow_values;
    for (float& x : keys) narrow_keys.push_back(to_bf16(x));
    for (float& x : values) narrow_values.push_back(to_bf16(x));
    const bool narrow = element == PENSTOCK_BF16;
    const Floats queries = random.normals(num_tokens * num_heads * head_size);
    const Floats new_keys = random.normals(num_tokens * slot), new_values = random.normals(num_tokens * slot);
    const auto place = [&](int64_t sequence, int64_t position) {
        return tables[sequence * max_blocks + position / block_size] * block_size + position % block_size;
    };
    std::vector<int64_t> slots;
    for (int64_t s = 0; s < 3; ++s)
        for (int64_t p = lengths[s] - (query_starts[s + 1] - query_starts[s]); p < lengths[s]; ++p)
            slots.push_back(place(s, p));
    const PenstockBatch batch{num_tokens, 3, max_blocks, slots.data(), query_starts, lengths, tables.data()};
    const PenstockCache cache{narrow ? (void*)narrow_keys.data() : (void*)keys.data(),
                              narrow ? (void*)narrow_values.data() : (void*)values.data(),
                              element, kv_heads, head_size, block_size, num_blocks, block_size * slot, head_size, slot};
    const int64_t stride = int64_t(num_heads) * head_size;
    Floats out(size_t(num_tokens * stride));
    const int32_t status = penstock_paged_attention(
        isa, queries.data(), stride, head_size, new_keys.data(), slot, head_size, new_values.data(), slot, head_size,
        num_heads, &cache, &batch, window, out.data());
    expect(status == PENSTOCK_OK, "%s: attention answers %d", penstock_isa_name(isa), status);

    const auto stored = [&](const Floats& wide, const std::vector<uint16_t>& few, int64_t at) {
        return narrow ? from_bf16(few[at]) : wide[at];
    };
    for (int64_t s = 0; s < 3; ++s)
        for (int64_t t = query_starts[s]; t < query_starts[s + 1]; ++t)
            for (int32_t h = 0; h < num_heads; ++h) {
                const int64_t last = lengths[s] - (query_starts[s + 1] - t), head = h / (num_heads / kv_heads);
                const int64_t first = last + 1 > window ? last + 1 - window : 0;
                std::vector<double> weights, sums(size_t(head_size), 0.0);
                double whole = 0, greatest = -INFINITY;
                for (int64_t p = first; p <= last; ++p) {
                    double score = 0;
                    for (int32_t i = 0; i < head_size; ++i)
                        score += double(queries[t * stride + h * head_size + i]) *
                                 stored(keys, narrow_keys, place(s, p) * slot + head * head_size + i);
                    weights.push_back(score / std::sqrt(double(head_size)));
                    greatest = std::fmax(greatest, weights.back());
                }
                for (double& weight : weights) whole += weight = std::exp(weight - greatest);
                for (int64_t p = first; p <= last; ++p)
                    for (int32_t i = 0; i < head_size; ++i)
                        sums[i] += weights[p - first] / whole *
                                   stored(values, narrow_values, place(s, p) * slot + head * head_size + i);
                for (int32_t i = 0; i < head_size; ++i)
                    expect(near(out[t * stride + h * head_size + i], sums[i], 1e-4, 2e-5),
                           "%s: attention of %d heads of %d: %g is not %g", penstock_isa_name(isa), num_heads,
                           head_size, out[t * stride + h * head_size + i], sums[i]);
            }
}

void check_attentions(const PenstockIsa* isa) {
    for (const int32_t element : {PENSTOCK_FP32, PENSTOCK_BF16})
        for (const int32_t head_size : {4, 7, 16, 64, 80})
            for (const int64_t window : {5, 1000}) check_attention(isa, element, head_size, 2 + head_size % 2 * 2, window);
}

// ---- Choices

PenstockChoice choice_of(int64_t row, int32_t kind) {
    PenstockChoice choice{};
    choice.row = choice.first_uniform = choice.first_answer = row;
    choice.num_answers = choice.num_tokens = 1;
    choice.prompt_penalty = 1;
    choice.repetition_penalty = 1.5f;
    choice.temperature = choice.top_p = choice.typical_p = 1;
    choice.kind = kind;
    return choice;
}

void check_choices(const PenstockIsa* isa, const PenstockIsa* generic) {
    constexpr int64_t rows = 48;
    for (const int64_t width : {5, 64, 257, 4096}) {
        Random random{uint64_t(width)};
        const Floats logits = random.normals(rows * width, 2);
        std::vector<PenstockChoice> choices;
        std::vector<double> uniforms;
        for (int64_t r = 0; r < rows; ++r) {
            choices.push_back(choice_of(r, r % 4 == 0 ? PENSTOCK_ARGMAX : r % 4 == 1 ? PENSTOCK_TOP : PENSTOCK_DRAW));
            choices.back().temperature = 0.8f;
            choices.back().top_k = r % 4 == 2 ? 20 : 0;
            choices.back().top_p = r % 4 == 3 ? 0.9f : 1.0f;
            choices.back().min_p = r % 8 == 3 ? 0.05f : 0.0f;
            uniforms.push_back(random.uniform());
        }
        const int32_t tokens[] = {2}, edited[] = {0};
        const float amounts[] = {0};
        std::vector<int64_t> chosen[2] = {std::vector<int64_t>(rows), std::vector<int64_t>(rows)};
        Floats found_values[2] = {Floats(rows), Floats(rows)}, wholes(rows);
        std::vector<int32_t> statuses(rows);
        const PenstockIsa* isas[] = {isa, generic};
        for (int i = 0; i < 2; ++i)
            penstock_choose(isas[i], logits.data(), width, width, choices.data(), rows, tokens, edited, amounts,
                            uniforms.data(), chosen[i].data(), found_values[i].data(), wholes.data(), statuses.data());
        for (int64_t r = 0; r < rows; ++r)
            expect(statuses[r] == PENSTOCK_OK && chosen[0][r] == chosen[1][r] &&
                       (r % 4 != 1 || near(found_values[0][r], found_values[1][r], 1e-5, 1e-5)),
                   "%s: choice %d of %d", penstock_isa_name(isa), int(r), int(width));
    }
}

}  // namespace

int main(int num_arguments, char** arguments) {
    const PenstockIsa* generic = penstock_find_isa("generic");
    const std::string best = penstock_isa_name(penstock_find_isa("best"));
    expect(num_arguments == 2 && best == arguments[1], "The library chooses %s.", best.c_str());
    penstock_set_num_threads(2);
    for (const char* name : {"neon_dotprod", "neon", "amx", "avx512_bf16", "avx512_vnni", "avx512", "avx2", "generic"}) {
        const PenstockIsa* isa = penstock_find_isa(name);
        if (isa == nullptr) continue;
        const int before = num_checks;
        check_linears(isa);
        check_quantising(isa, generic);
        check_norms(isa);
        check_argmax(isa);
        check_attentions(isa);
        check_choices(isa, generic);
        std::printf("%s: %d checks\n", name, num_checks - before);
    }
    std::printf("%d of %d checks failed.\n", num_failures, num_checks);
    return num_failures > 0;
}
