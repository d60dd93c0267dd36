/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/word.h"

#include "engine/base/num.h"

struct unit {
    const char *name;
    uint64_t times;
};

bool word_is(struct oxbow_bytes text, const char *word)
{
    const char *p = text.data;
    size_t i;

    for (i = 0; i < text.len && word[i] != '\0'; i++) {
        char c = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];

        if (c != word[i]) {
            return false;
        }
    }
    return i == text.len && word[i] == '\0';
}

int word_place(struct oxbow_bytes text, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (word_is(text, words[i])) {
            return i;
        }
    }
    return -1;
}

/* A number and one of the units, which a row without a name closes. */
static bool measured(struct oxbow_bytes text, const struct unit *units, uint64_t *out)
{
    const char *p = text.data;
    size_t digits = 0;
    uint64_t n;

    while (digits < text.len && p[digits] >= '0' && p[digits] <= '9') {
        digits++;
    }
    if (digits == 0 || num_u64((struct oxbow_bytes){p, digits}, &n) != OXBOW_OK) {
        return false;
    }
    for (; units->name != NULL; units++) {
        if (word_is((struct oxbow_bytes){p + digits, text.len - digits}, units->name)) {
            if (n > UINT64_MAX / units->times) {
                return false;
            }
            *out = n * units->times;
            return true;
        }
    }
    return false;
}

bool word_size(struct oxbow_bytes text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"b", 1},
        {"k", 1000},
        {"kb", 1ull << 10},
        {"m", 1000000},
        {"mb", 1ull << 20},
        {"g", 1000000000},
        {"gb", 1ull << 30},
        {"t", 1000000000000},
        {"tb", 1ull << 40},
        {NULL, 0},
    };

    return measured(text, units, bytes);
}

bool word_ms(struct oxbow_bytes text, uint64_t *ms)
{
    static const struct unit units[] = {
        {"", 1},        {"ms", 1},       {"s", 1000},      {"m", 60000},
        {"h", 3600000}, {"d", 86400000}, {"w", 604800000}, {NULL, 0},
    };

    return measured(text, units, ms);
}

struct oxbow_bytes word_next(struct oxbow_bytes text, size_t *at)
{
    const char *p = text.data;
    size_t from;

    while (*at < text.len && p[*at] == ' ') {
        (*at)++;
    }
    from = *at;
    while (*at < text.len && p[*at] != ' ') {
        (*at)++;
    }
    return (struct oxbow_bytes){p != NULL ? p + from : NULL, *at - from};
}
