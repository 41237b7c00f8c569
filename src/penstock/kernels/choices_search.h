// Finds where a row's greatest values end, by count or by weight, without sorting the row.
#pragma once
#include <cstring>

#include "isa.h"
#include "vector_math.h"

namespace PENSTOCK_ISA {

constexpr int64_t kSumWidth = 256;  // so many floats are added up as such, and their sums as doubles
constexpr int64_t kMaxWidth = 32;   // values that share one maximum
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
    bool is_copied = false;
    while (high - low > 1 && count > kFewLeft) {
        for (int i = 0; i < kHalvings && high - low > 1; ++i) {
            const int32_t middle = low + (high - low) / 2;
            const double weight = above + weight_from(values, weights, count, value_at(middle));
            (weight < target ? high : low) = middle;
        }
        const float lowest = value_at(low), highest = value_at(high);
        above += weight_from(values, weights, count, highest);
        int64_t kept = 0;
        for (int64_t i = 0; i < count; ++i) {
            const float value = values[i], weight = weights[i];
            const int32_t place = is_copied ? room.places[i] : int32_t(i);
            room.values[kept] = value;
            room.weights[kept] = weight;
            room.places[kept] = place;
            kept += (value >= lowest) & (value < highest);
        }
        values = room.values;
        weights = room.weights;
        is_copied = true;
        count = kept;
    }
    if (!is_copied) {
        for (int64_t i = 0; i < count; ++i) {
            room.values[i] = values[i];
            room.weights[i] = weights[i];
            room.places[i] = int32_t(i);
        }
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

// The greatest `count` of a row and all that are equal to the last of them, in the row's order. `maxima` has
// the greatest of each kMaxWidth scores, `spare` room for as many; returns how many there are.
inline int64_t collect_greatest(const float* scores, int64_t width, int64_t count, const float* maxima,
                                float* spare, const Ranked& to) {
    const int64_t num_maxima = (width + kMaxWidth - 1) / kMaxWidth;
    float least = kForbidden;
    if (count < num_maxima) {  // so many maxima are that great, so the last of the greatest is as well
        std::memcpy(spare, maxima, size_t(num_maxima) * sizeof(float));
        least = select_rank(spare, num_maxima, count - 1);
    }
    int64_t found = 0;
    for (int64_t block = 0; block < num_maxima; ++block) {
        if (!(maxima[block] >= least)) continue;
        const int64_t end = (block + 1) * kMaxWidth < width ? (block + 1) * kMaxWidth : width;
        for (int64_t i = block * kMaxWidth; i < end; ++i) {
            to.values[found] = scores[i];
            to.places[found] = int32_t(i);
            found += scores[i] >= least;
        }
    }
    if (found <= count) return found;
    std::memcpy(to.weights, to.values, size_t(found) * sizeof(float));
    least = select_rank(to.weights, found, count - 1);
    int64_t kept = 0;
    for (int64_t i = 0; i < found; ++i) {
        to.values[kept] = to.values[i];
        to.places[kept] = to.places[i];
        kept += to.values[i] >= least;
    }
    return kept;
}

}  // namespace PENSTOCK_ISA
