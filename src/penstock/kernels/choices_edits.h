// Changes to single scores of a row: biases, penalties on what was written, and tokens that are forbidden.
#pragma once
#include "isa.h"

namespace PENSTOCK_ISA {

constexpr float kForbidden = -__builtin_inff();

// A row's scores and room for one mark per token, whose contents nobody relies on.
struct Edited {
    float* scores;
    int32_t* marks;
    int64_t width;

    bool has(int32_t token) const { return token >= 0 && token < width; }
};

inline void add_edits(const Edited& row, const int32_t* tokens, const float* amounts, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
        if (row.has(tokens[i])) row.scores[tokens[i]] += amounts[i];
}

// Call `change` once for each different token, with how often it occurs.
template <typename Change>
inline void for_each_different(const Edited& row, const int32_t* tokens, int64_t count, Change change) {
    for (int64_t i = 0; i < count; ++i)
        if (row.has(tokens[i])) row.marks[tokens[i]] = 0;
    for (int64_t i = 0; i < count; ++i)
        if (row.has(tokens[i])) ++row.marks[tokens[i]];
    for (int64_t i = 0; i < count; ++i) {
        if (!row.has(tokens[i]) || row.marks[tokens[i]] == 0) continue;
        change(row.scores[tokens[i]], row.marks[tokens[i]]);
        row.marks[tokens[i]] = 0;
    }
}

inline void penalise_repetition(const Edited& row, const int32_t* tokens, int64_t count, float penalty) {
    for_each_different(row, tokens, count, [penalty](float& score, int32_t) {
        score = score < 0 ? score * penalty : score / penalty;
    });
}

inline void penalise_frequency(const Edited& row, const int32_t* tokens, int64_t count, double penalty) {
    for_each_different(row, tokens, count,
                       [penalty](float& score, int32_t times) { score += float(-penalty * times); });
}

inline void penalise_presence(const Edited& row, const int32_t* tokens, int64_t count, double penalty) {
    for_each_different(row, tokens, count, [penalty](float& score, int32_t) { score += float(-penalty); });
}

// Forbid what would complete an n-gram of `source` if it came after `tokens`.
inline void forbid_ngrams(const Edited& row, const int32_t* source, int64_t num_source, const int32_t* tokens,
                          int64_t count, int64_t size) {
    if (count < size - 1) return;
    const int32_t* last = tokens + count - (size - 1);
    for (int64_t i = 0; i + size <= num_source; ++i) {
        int64_t same = 0;
        while (same < size - 1 && source[i + same] == last[same]) ++same;
        const int32_t next = source[i + size - 1];
        if (same == size - 1 && row.has(next)) row.scores[next] = kForbidden;
    }
}

// In the order of the chain of decoding/processors.
inline void edit(const penstock::ChooseCall& call, const PenstockChoice& choice, const Edited& row) {
    const int32_t* tokens = call.tokens + choice.first_token;
    const int64_t count = choice.num_tokens, num_prompt = count - choice.num_generated;
    const int32_t* edited = call.edited + choice.first_edit;
    const float* amounts = call.amounts + choice.first_edit;
    add_edits(row, edited, amounts, choice.num_biases);
    if (choice.prompt_penalty != 1) penalise_repetition(row, tokens, num_prompt, choice.prompt_penalty);
    if (choice.repetition_penalty != 1) penalise_repetition(row, tokens, count, choice.repetition_penalty);
    const int32_t* generated = tokens + num_prompt;
    if (choice.frequency_penalty != 0)
        penalise_frequency(row, generated, choice.num_generated, choice.frequency_penalty);
    if (choice.presence_penalty != 0)
        penalise_presence(row, generated, choice.num_generated, choice.presence_penalty);
    if (choice.ngram_size > 0) forbid_ngrams(row, tokens, count, tokens, count, choice.ngram_size);
    if (choice.prompt_ngram_size > 0)
        forbid_ngrams(row, tokens, num_prompt, tokens, count, choice.prompt_ngram_size);
    for (int64_t i = choice.num_biases; i < choice.num_biases + choice.num_forbidden; ++i)
        if (row.has(edited[i])) row.scores[edited[i]] = kForbidden;
}

}  // namespace PENSTOCK_ISA
