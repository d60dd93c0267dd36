/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and prints fields of policies. They come from the engine's own table: what is added there can
 * be set and is shown here.
 */
#include "tools/oxbow/policy_words.h"

#include "oxbow/stream.h"
#include "tools/oxbow/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t ms;
};

/* The greatest first, for printing. */
static const struct unit units[] = {
    {"w", 7 * 86400000ull}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static void print_ms(char out[POLICY_VALUE_MAX], uint64_t ms)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms % units[i].ms == 0) {
            (void)snprintf(out, POLICY_VALUE_MAX, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
            return;
        }
    }
}

static void print_size(char out[POLICY_VALUE_MAX], uint64_t bytes)
{
    static const char letters[] = "TGMk";
    uint64_t times = 1000000000000ull;

    for (size_t i = 0; letters[i] != '\0'; i++, times /= 1000) {
        if (bytes > 0 && bytes % times == 0) {
            (void)snprintf(out, POLICY_VALUE_MAX, "%" PRIu64 "%c", bytes / times, letters[i]);
            return;
        }
    }
    (void)snprintf(out, POLICY_VALUE_MAX, "%" PRIu64, bytes);
}

/* The weight of the lowest priority first, up to the last that has one. */
static void print_weights(char out[POLICY_VALUE_MAX], uint64_t weights)
{
    size_t len = 0;

    do {
        len += (size_t)snprintf(out + len, POLICY_VALUE_MAX - len, "%s%u", len > 0 ? "," : "",
                                (unsigned)(weights & 0xff));
        weights >>= 8;
    } while (weights != 0);
}

void policy_value_print(char out[POLICY_VALUE_MAX], const struct oxbow_policy_field *f,
                        uint64_t value)
{
    if (f->kind == OXBOW_POLICY_WORD) {
        (void)snprintf(out, POLICY_VALUE_MAX, "%s", f->words[value]);
    } else if (f->kind == OXBOW_POLICY_WEIGHTS) {
        print_weights(out, value);
    } else if (f->kind == OXBOW_POLICY_MS) {
        print_ms(out, value);
    } else if (f->kind == OXBOW_POLICY_BYTES) {
        print_size(out, value);
    } else {
        (void)snprintf(out, POLICY_VALUE_MAX, "%" PRIu64, value);
    }
}

void policy_words_print(char out[POLICY_TEXT_MAX], const struct oxbow_policy *p)
{
    size_t count;
    size_t len = 0;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);

    (void)snprintf(out, POLICY_TEXT_MAX, "-");
    for (size_t i = 0; i < count; i++) {
        uint64_t value = oxbow_policy_value(p, &fields[i]);
        char text[POLICY_VALUE_MAX];

        if (value != 0 && len < POLICY_TEXT_MAX) {
            policy_value_print(text, &fields[i], value);
            len += (size_t)snprintf(out + len, POLICY_TEXT_MAX - len, "%s%s=%s", len > 0 ? " " : "",
                                    fields[i].name, text);
        }
    }
}

/* ---- fields from words ---- */

static void tell_names(char why[POLICY_WHY_MAX], const char *word)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    size_t len = (size_t)snprintf(why, POLICY_WHY_MAX, "%.60s: fields are FIELD=VALUE with", word);

    for (size_t i = 0; i < count && len < POLICY_WHY_MAX; i++) {
        len += (size_t)snprintf(why + len, POLICY_WHY_MAX - len, "%s %s", i > 0 ? "," : "",
                                fields[i].name);
    }
}

/* A number without a unit is no time for people: of what would it be? */
static bool lacks_unit(struct oxbow_bytes name, struct oxbow_bytes value)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    const char *p = value.data;

    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind == OXBOW_POLICY_MS && strlen(fields[i].name) == name.len &&
            memcmp(fields[i].name, name.data, name.len) == 0) {
            return value.len > 0 && strspn(p, "0123456789") == value.len &&
                   strspn(p, "0") < value.len;
        }
    }
    return false;
}

bool policy_word_set(const char *word, struct oxbow_policy *p, char why[POLICY_WHY_MAX])
{
    const char *eq = strchr(word, '=');
    struct oxbow_policy_why wrong;
    struct oxbow_bytes words[2];

    if (eq == NULL || eq == word) {
        tell_names(why, word);
        return false;
    }
    words[0] = (struct oxbow_bytes){word, (size_t)(eq - word)};
    words[1] = (struct oxbow_bytes){eq + 1, strlen(eq + 1)};
    if (lacks_unit(words[0], words[1])) {
        (void)snprintf(why, POLICY_WHY_MAX,
                       "%.100s: want a time like 250ms, 90s, 15m, 12h, 7d or 4w", word);
        return false;
    }
    if (oxbow_policy_words(words, 2, p, &wrong) != OXBOW_OK) {
        (void)snprintf(why, POLICY_WHY_MAX, "%s", wrong.text);
        return false;
    }
    return true;
}
