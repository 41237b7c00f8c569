// What is chosen from a row of scores: the greatest, the greatest few, or tokens drawn from what filters leave.
#pragma once
#include "argmax.h"
#include "choices_edits.h"
#include <initializer_list>

#include "choices_search.h"

namespace PENSTOCK_ISA {

// The memory that choosing from one row works in.
struct Choosing {
    float* scores;      // of the row once they are changed, or of those of its tokens that are left
    float* weights;     // e^(score - best), 0 for what is removed
    float* keys;        // likewise
    float* maxima;      // one of each kMaxDepth scores
    double* sums;       // of each kSumWidth weights
    int32_t* marks;     // one per token
    int32_t* token_ids; // of those that are left, in the row's order; null while that is the whole row
    Ranked ranked;
    int64_t count;
};

inline Choosing room_for(int64_t width) {
    const size_t whole = size_t(width + 15) / 16 * 16, part = size_t(width / kMaxDepth + 16);
    const size_t floats = 7 * whole + part;
    char* at = (char*)penstock::thread_scratch(part * sizeof(double) + floats * sizeof(float) + 64);
    Choosing c{};
    c.sums = (double*)at;
    float* next = (float*)(at + part * sizeof(double));
    for (float** array : {&c.scores, &c.weights, &c.keys, &c.ranked.values, &c.ranked.weights}) {
        *array = next;
        next += whole;
    }
    c.marks = (int32_t*)next;
    c.ranked.places = c.marks + whole;
    c.maxima = (float*)(c.ranked.places + whole);
    c.count = width;
    return c;
}

inline bool is_edited(const PenstockChoice& choice) {
    return choice.num_biases || choice.num_forbidden || choice.num_tokens;
}

// e^(score - best)
inline vec weight_at(vec scores, float best) {
    const vec x = sub(scores, all(best));
    return where_positive(add(x, all(87.0f)), exponential(x), zero());
}

inline void weigh(const float* scores, float best, int64_t count, float* weights) {
    for_lanes(count, [=](int64_t i, int n) {
        store_first(weights + i, weight_at(load_first(scores + i, n), best), n);
    });
}

inline double weight_of(const float* weights, int64_t count) {
    return sum_of(count, [=](int64_t i, int n) { return load_first(weights + i, n); });
}

// What to take from scores to leave logarithms of probabilities.
inline Shift to_logprobs(const float* scores, float best, int64_t count) {
    const double sum = sum_of(count, [=](int64_t i, int n) { return weight_at(load_first(scores + i, n), best); });
    return {best, float(__builtin_log(sum))};
}

inline void divide(const float* scores, int64_t count, float divisor, float* to) {
    for_lanes(count, [=](int64_t i, int n) {
        store_first(to + i, div(load_first(scores + i, n), all(divisor)), n);
    });
}

inline void keep_greatest(Choosing& c, int64_t count) {
    const int64_t kept = collect_greatest(c.scores, c.count, count, {}, c.maxima, c.ranked);
    std::memcpy(c.scores, c.ranked.values, size_t(kept) * sizeof(float));
    std::memcpy(c.marks, c.ranked.places, size_t(kept) * sizeof(int32_t));
    c.token_ids = c.marks;
    c.count = kept;
}

// Go on with the tokens whose value is `least` or more and who weigh something.
inline void leave_out_below(Choosing& c, const float* values, float least) {
    if (c.token_ids == nullptr) {
        for (int64_t i = 0; i < c.count; ++i) c.marks[i] = int32_t(i);
        c.token_ids = c.marks;
    }
    const auto is_left = [&](int64_t i, int n) {
        const vec is_less = sub(all(least), load_first(values + i, n));
        return where_positive(is_less, zero(), load_first(c.weights + i, n));
    };
    c.count = keep_chosen(c.count, is_left, Column(c.scores, c.scores), Column(c.marks, c.marks),
                          Column(c.weights, c.weights));
}

inline void keep_nucleus(Choosing& c, double share) {
    const double total = weight_of(c.weights, c.count);
    // What is less than this weighs no more than what may be left out, all of it together.
    const float least = float(0.999 * (1 - share) * total / double(c.count));
    leave_out_below(c, c.weights, least < 1 ? least : 1.0f);
    const Cut cut = find_cut(c.weights, c.weights, c.count, share * total, least < 1 ? least : 0.999f, c.ranked);
    for (int64_t i = 0; i < cut.num_equal; ++i) c.weights[cut.equal[i]] = 0;
    leave_out_below(c, c.weights, cut.last);
}

// The tokens whose surprise is nearest to the expected one, all that tie included.
inline void keep_typical(Choosing& c, float best, double share) {
    const double total = weight_of(c.weights, c.count);
    const float log_total = float(__builtin_log(total));
    const auto surprise = [&](int64_t i, int n) {
        return sub(all(log_total), sub(load_first(c.scores + i, n), all(best)));
    };
    const double entropy = sum_of(c.count, [&](int64_t i, int n) {
        const vec weight = load_first(c.weights + i, n);
        return where_positive(weight, mul(weight, surprise(i, n)), zero());
    }) / total;
    for_lanes(c.count, [&](int64_t i, int n) {
        const vec distance = abs(sub(surprise(i, n), all(float(entropy))));
        const vec key = exponential(sub(zero(), distance));
        store_first(c.keys + i, where_positive(load_first(c.weights + i, n), key, zero()), n);
    });
    const Cut cut = find_cut(c.keys, c.weights, c.count, share * total, 0, c.ranked);
    leave_out_below(c, c.keys, cut.last);
}

// The first token up to which the weights add up to more than each number's share of their sum.
inline void invert(const Choosing& c, const double* uniforms, int64_t count, int64_t* out) {
    double total = 0;
    for (int64_t begin = 0, block = 0; begin < c.count; begin += kSumWidth, ++block) {
        c.sums[block] = weight_of(c.weights + begin, c.count - begin < kSumWidth ? c.count - begin : kSumWidth);
        total += c.sums[block];
    }
    for (int64_t n = 0; n < count; ++n) {
        const double target = uniforms[n] * total;
        double before = 0;
        int64_t begin = 0, last = 0;
        for (int64_t block = 0; begin < c.count; begin += kSumWidth, ++block) {
            if (c.sums[block] > 0) last = begin;
            if (before + c.sums[block] > target) break;
            before += c.sums[block];
        }
        if (begin >= c.count) begin = last;
        const int64_t end = begin + kSumWidth < c.count ? begin + kSumWidth : c.count;
        int64_t found = begin;
        for (int64_t i = begin; i < end; ++i) {
            if (c.weights[i] == 0) continue;
            found = i;
            before += c.weights[i];
            if (before > target) break;
        }
        out[n] = c.token_ids == nullptr ? found : c.token_ids[found];
    }
}

inline void draw(const penstock::ChooseCall& call, const PenstockChoice& choice, const float* scores, float best,
                 Choosing& c) {
    divide(scores, c.count, choice.temperature, c.scores);
    best /= choice.temperature;
    if (choice.top_k > 0 && choice.top_k < c.count) keep_greatest(c, choice.top_k);
    weigh(c.scores, best, c.count, c.weights);
    if (choice.top_p < 1) keep_nucleus(c, choice.top_p);
    if (choice.min_p > 0) leave_out_below(c, c.weights, choice.min_p < 1 ? choice.min_p : 1.0f);
    if (choice.typical_p < 1) keep_typical(c, best, choice.typical_p);
    invert(c, call.uniforms + choice.first_uniform, choice.num_answers, call.token_ids + choice.first_answer);
}

// The greatest scores, shifted, best first, equal ones by their ids; fewer than there is room for leave -1.
inline void top(const penstock::ChooseCall& call, const PenstockChoice& choice, const float* scores, Shift shift,
                const Choosing& c) {
    const int64_t wanted = choice.num_answers < c.count ? choice.num_answers : c.count;
    const int64_t found = collect_greatest(scores, c.count, wanted, shift, c.maxima, c.ranked);
    sort_ranked(c.ranked, found);
    int64_t* token_ids = call.token_ids + choice.first_answer;
    float* values = call.values + choice.first_answer;
    for (int64_t i = 0; i < choice.num_answers; ++i) {
        token_ids[i] = i < found ? c.ranked.places[i] : -1;
        values[i] = i < found ? c.ranked.values[i] : kForbidden;
    }
}

// Without scores to choose from the row is left to whoever asked: NaN or infinity, or all is forbidden.
inline void choose_item(void* context, int64_t item) {
    const auto& call = *(const penstock::ChooseCall*)context;
    const PenstockChoice& choice = call.choices[item];
    const float* scores = call.logits + choice.row * call.logits_stride;
    Choosing c = room_for(call.width);
    float best = greatest(scores, c.count);
    Shift shift;
    const auto check = [&] {
        const bool is_good = best < __builtin_inff() && best > kForbidden;
        call.statuses[item] = is_good ? PENSTOCK_OK : PENSTOCK_NO_SCORES;
        return is_good;
    };
    const auto tell_logprobs = [&] {
        shift = to_logprobs(scores, best, c.count);
        call.wholes[item] = shift.best + shift.rest;
    };
    if (choice.kind == PENSTOCK_TOP) {  // whose changes are made to logarithms of probabilities
        if (!check()) return;
        tell_logprobs();
    }
    if (is_edited(choice)) {
        for_lanes(c.count, [&](int64_t i, int n) { store_first(c.scores + i, shift.of(load_first(scores + i, n)), n); });
        edit(call, choice, {c.scores, c.marks, c.count});
        scores = c.scores;
        shift = {};
        best = greatest(scores, c.count);
    }
    if (!check()) return;
    if (choice.kind == PENSTOCK_PROBE) tell_logprobs();
    if (choice.kind == PENSTOCK_DRAW) return draw(call, choice, scores, best, c);
    if (choice.kind != PENSTOCK_ARGMAX) return top(call, choice, scores, shift, c);
    penstock::ArgmaxCall first{scores, call.width, call.width, call.token_ids + choice.first_answer};
    argmax_item(&first, 0);
}

}  // namespace PENSTOCK_ISA
