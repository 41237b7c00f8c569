// Finds where a row's greatest values end, by count or by weight, without sorting the row.
#pragma once
#include <cstring>

#include "isa.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

constexpr int64_t kSumWidth = 256;  // so many floats are added up as such, and their sums as doubles
constexpr int64_t kMaxDepth = 32;   // values that share one maximum
constexpr int64_t kFewLeft = 48;    // values that are sorted
constexpr int kHalvings = 4;        // between two times that what is out of the question is left out

// Add up `term(i, n)`, the terms of n values from i on.
template <typename Term>
inline double sum_of(int64_t count, Term term) {
    double sum = 0;
    for (int64_t begin = 0; begin < count; begin += kSumWidth) {
        const int64_t end = begin + kSumWidth < count ? begin + kSumWidth : count;
        vec part = zero();
        int64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) part = add(part, term(i, kLanes));
        if (i < end) part = add(part, keep_first(term(i, int(end - i)), int(end - i), zero()));
        sum += sum_lanes(part);
    }
    return sum;
}

// Call `act(i, n)` for every kLanes entries, n of them from i on.
template <typename Act>
inline void for_lanes(int64_t count, Act act) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) act(i, kLanes);
    if (i < count) act(i, int(count - i));
}

// Copy the entries whose `chosen(i, n)` is positive from arrays to others or the same, in their order; there must
// be room for kLanes more. Returns how many there are.
template <typename Chosen, typename... Columns>
inline int64_t keep_chosen(int64_t count, Chosen chosen, Columns... columns) {
    int64_t kept = 0;
    for_lanes(count, [&](int64_t i, int n) {
        const vec mark = n < kLanes ? keep_first(chosen(i, n), n, zero()) : chosen(i, n);
        int stored = 0;
        ((stored = store_positive(columns.to + kept, load_first(columns.from + i, n), mark)), ...);
        kept += stored;
    });
    return kept;
}

// Numbers of 32 bits that `keep_chosen` copies, whatever they mean.
struct Column {
    const float* from;
    float* to;
    Column(const float* source, float* target) : from(source), to(target) {}
    Column(const int32_t* source, int32_t* target) : from((const float*)source), to((float*)target) {}
};

// The weight of the values that are `least` or more.
inline double weight_from(const float* values, const float* weights, int64_t count, float least) {
    const vec bound = all(least);
    return sum_of(count, [=](int64_t i, int n) {
        return where_positive(sub(bound, load_first(values + i, n)), zero(), load_first(weights + i, n));
    });
}

inline float value_at(int32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline int32_t bits_of(float value) {
    int32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Values with their weights and places; room for as many as the row has.
struct Ranked {
    float* values;
    float* weights;
    int32_t* places;
};

inline bool comes_before(const Ranked& r, int64_t a, int64_t b) {
    return r.values[a] > r.values[b] || (r.values[a] == r.values[b] && r.places[a] < r.places[b]);
}

inline void swap_ranked(const Ranked& r, int64_t a, int64_t b) {
    const float value = r.values[a], weight = r.weights[a];
    const int32_t place = r.places[a];
    r.values[a] = r.values[b];
    r.weights[a] = r.weights[b];
    r.places[a] = r.places[b];
    r.values[b] = value;
    r.weights[b] = weight;
    r.places[b] = place;
}

// Let what stands at the heap's `root` sink below all that comes after it in the end.
inline void sink(const Ranked& r, int64_t root, int64_t count) {
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && comes_before(r, child, child + 1)) ++child;
        if (!comes_before(r, root, child)) return;
        swap_ranked(r, root, child);
    }
}

// By value, the greatest first, equal ones by their places.
inline void sort_ranked(const Ranked& r, int64_t count) {
    for (int64_t root = count / 2; root-- > 0;) sink(r, root, count);
    for (int64_t end = count; end-- > 1;) {
        swap_ranked(r, 0, end);
        sink(r, 0, end);
    }
}

// The values from the greatest on, each as long as those before it weigh less than `target`.
struct Cut {
    float last;                // the least value that is kept
    const int32_t* equal;      // places of values as great as it that are not kept
    int64_t num_equal;
};

// Values are 0 to 1; `least` is below the last that is kept. Halves the interval of its bits again and again.
inline Cut find_cut(const float* values, const float* weights, int64_t count, double target, float least,
                    const Ranked& room) {
    int32_t low = bits_of(least), high = bits_of(1.0f) + 1;
    double above = 0;  // the weight of what was left out because it is surely kept
    for (int64_t i = 0; i < count; ++i) room.places[i] = int32_t(i);
    while (high - low > 1 && count > kFewLeft) {
        for (int i = 0; i < kHalvings && high - low > 1; ++i) {
            const int32_t middle = low + (high - low) / 2;
            const double weight = above + weight_from(values, weights, count, value_at(middle));
            (weight < target ? high : low) = middle;
        }
        const float lowest = value_at(low), highest = value_at(high);
        above += weight_from(values, weights, count, highest);
        const auto is_between = [=](int64_t i, int n) {
            const vec value = load_first(values + i, n), is_below = sub(all(lowest), value);
            return where_positive(is_below, zero(), sub(all(highest), value));
        };
        count = keep_chosen(count, is_between, Column(weights, room.weights), Column(room.places, room.places),
                            Column(values, room.values));
        values = room.values;
        weights = room.weights;
    }
    if (values != room.values) {
        std::memcpy(room.values, values, size_t(count) * sizeof(float));
        std::memcpy(room.weights, weights, size_t(count) * sizeof(float));
    }
    if (count <= kFewLeft) sort_ranked(room, count);  // else all of them are equal, and in order
    int64_t kept = 0;
    while (kept < count && (kept == 0 || above < target)) above += room.weights[kept++];
    const float last = room.values[kept - 1];
    int64_t end = kept;
    while (end < count && room.values[end] == last) ++end;
    return {last, room.places + kept, end - kept};
}

// The value that `rank` others (0 for the greatest) come before; changes the order of `values`.
inline float select_rank(float* values, int64_t count, int64_t rank) {
    int64_t begin = 0, end = count - 1;
    while (begin < end) {
        const float pivot = values[begin + (end - begin) / 2];
        int64_t i = begin, j = end;
        while (i <= j) {
            while (values[i] > pivot) ++i;
            while (values[j] < pivot) --j;
            if (i > j) break;
            const float swapped = values[i];
            values[i++] = values[j];
            values[j--] = swapped;
        }
        if (rank <= j) end = j;
        else if (rank >= i) begin = i;
        else break;
    }
    return values[rank];
}

// The greatest of each kMaxDepth scores, which stand kLanes apart; the scores beyond the last whole block have none.
// Returns how many maxima there are.
inline int64_t find_maxima(const float* scores, int64_t width, float* maxima) {
    int64_t count = 0;
    for (int64_t begin = 0; begin + kMaxDepth * kLanes <= width; begin += kMaxDepth * kLanes, count += kLanes) {
        vec best = load(scores + begin);
        for (int64_t i = 1; i < kMaxDepth; ++i) best = at_least(load(scores + begin + i * kLanes), best);
        store(maxima + count, best);
    }
    return count;
}

// What is taken from a row's scores, one number after the other: nothing, or what leaves logarithms of probabilities.
struct Shift {
    float best = 0;
    float rest = 0;

    vec of(vec scores) const { return sub(sub(scores, all(best)), all(rest)); }
};

// The greatest `count` of a row, shifted, and all that are equal to the last of them, in the row's order. `maxima`
// has room for one of each kMaxDepth scores. Returns how many there are.
inline int64_t collect_greatest(const float* scores, int64_t width, int64_t count, Shift shift, float* maxima,
                                const Ranked& to) {
    const int64_t num_maxima = find_maxima(scores, width, maxima);
    float least = kForbidden;
    if (count < num_maxima) {  // so many maxima are that great, so the last of the greatest is as well
        for_lanes(num_maxima, [&](int64_t i, int n) { store_first(maxima + i, shift.of(load(maxima + i)), n); });
        least = select_rank(maxima, num_maxima, count - 1);
    }
    const auto is_great = [&least](vec values) { return where_positive(sub(all(least), values), zero(), all(1)); };
    int64_t found = 0;
    for_lanes(width, [&](int64_t i, int n) {
        const vec here = shift.of(load_first(scores + i, n)), mark = keep_first(is_great(here), n, zero());
        if (store_positive(to.values + found, here, mark) == 0) return;  // as a rule
        float marks[kLanes];
        store(marks, mark);
        for (int lane = 0; lane < n; ++lane)
            if (marks[lane] > 0) to.places[found++] = int32_t(i + lane);
    });
    if (found <= count) return found;
    std::memcpy(to.weights, to.values, size_t(found) * sizeof(float));
    least = select_rank(to.weights, found, count - 1);
    const auto is_kept = [&](int64_t i, int n) { return is_great(load_first(to.values + i, n)); };
    return keep_chosen(found, is_kept, Column(to.places, to.places), Column(to.values, to.values));
}

}  // namespace PENSTOCK_ISA
