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

/* "90s", "7d", "250ms"; a number without a unit is not taken: of what would it be? */
static bool parse_ms(const char *text, uint64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t n = digits > 0 && digits < 19 ? strtoull(text, NULL, 10) : 0;

    if (digits == 0 || digits >= 19) {
        return false;
    }
    if (n == 0 && text[digits] == '\0') {
        *ms = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].name) == 0 && n <= UINT64_MAX / units[i].ms) {
            *ms = n * units[i].ms;
            return true;
        }
    }
    return false;
}

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

static bool parse_word(const struct oxbow_policy_field *f, const char *text, uint64_t *value,
                       char why[POLICY_WHY_MAX])
{
    size_t len = (size_t)snprintf(why, POLICY_WHY_MAX, "%s=%.60s: want one of", f->name, text);

    for (size_t i = 0; f->words[i] != NULL; i++) {
        if (strcmp(f->words[i], text) == 0) {
            *value = i;
            return true;
        }
        if (len < POLICY_WHY_MAX) {
            len += (size_t)snprintf(why + len, POLICY_WHY_MAX - len, " %s", f->words[i]);
        }
    }
    return false;
}

/* "1,2,8": at most one for each priority, 0 to 255; "0" alone: none. */
static bool parse_weights(const char *text, uint64_t *weights)
{
    *weights = 0;
    for (unsigned i = 0; i < OXBOW_PRIORITIES_MAX; i++) {
        char *end;
        unsigned long n = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 256;

        if (n > 255 || (*end != ',' && *end != '\0')) {
            return false;
        }
        *weights |= OXBOW_PRIORITY_WEIGHT(i, n);
        if (*end == '\0') {
            return true;
        }
        text = end + 1;
    }
    return false;
}

static bool parse_value(const struct oxbow_policy_field *f, const char *text, uint64_t *value,
                        char why[POLICY_WHY_MAX])
{
    if (f->kind == OXBOW_POLICY_WORD) {
        return parse_word(f, text, value, why);
    }
    if (f->kind == OXBOW_POLICY_WEIGHTS) {
        (void)snprintf(why, POLICY_WHY_MAX,
                       "%s=%.60s: want a weight for each priority, the lowest's first, like 1,2,8",
                       f->name, text);
        return parse_weights(text, value);
    }
    if (f->kind == OXBOW_POLICY_MS) {
        (void)snprintf(why, POLICY_WHY_MAX,
                       "%s=%.60s: want a time like 250ms, 90s, 15m, 12h, 7d or 4w", f->name, text);
        return parse_ms(text, value);
    }
    (void)snprintf(why, POLICY_WHY_MAX, "%s=%.60s: want a number like 5000, 64k, 10M or 2G",
                   f->name, text);
    return cli_size(text, value);
}

bool policy_word_set(const char *word, struct oxbow_policy *p, char why[POLICY_WHY_MAX])
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    const char *eq = strchr(word, '=');

    for (size_t i = 0; eq != NULL && i < count; i++) {
        uint64_t value = 0;

        if (strlen(fields[i].name) != (size_t)(eq - word) ||
            memcmp(fields[i].name, word, (size_t)(eq - word)) != 0) {
            continue;
        }
        if (!parse_value(&fields[i], eq + 1, &value, why)) {
            return false;
        }
        if (oxbow_policy_value_set(p, &fields[i], value) != OXBOW_OK) {
            (void)snprintf(why, POLICY_WHY_MAX, "%.80s: too large", word);
            return false;
        }
        return true;
    }
    tell_names(why, word);
    return false;
}
