/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's fields as words: for configuration files, commands and command lines, which say them all
 * alike. The rows are those of oxbow_policy_fields.
 */
#include "oxbow/policy.h"

#include "engine/base/num.h"
#include "engine/base/word.h"
#include "oxbow/stream.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 60 /* bytes of a word in a complaint */

static int shown(struct oxbow_bytes b)
{
    return (int)(b.len < SHOWN_MAX ? b.len : SHOWN_MAX);
}

/* ---- from words ---- */

/* "1,2,8": at most one for each priority, 0 to 255; "0" alone: none. */
static bool weights_of(struct oxbow_bytes text, uint64_t *weights)
{
    const char *p = text.data;
    const char *end = p + text.len;

    *weights = 0;
    for (unsigned i = 0; i < OXBOW_PRIORITIES_MAX; i++) {
        const char *comma = p < end ? memchr(p, ',', (size_t)(end - p)) : NULL;
        uint64_t n;

        if (num_u64((struct oxbow_bytes){p, (size_t)((comma != NULL ? comma : end) - p)}, &n) !=
                OXBOW_OK ||
            n > 255) {
            return false;
        }
        *weights |= OXBOW_PRIORITY_WEIGHT(i, n);
        if (comma == NULL) {
            return true;
        }
        p = comma + 1;
    }
    return false;
}

static bool value_of(const struct oxbow_policy_field *f, struct oxbow_bytes text, uint64_t *value)
{
    int place;

    switch (f->kind) {
    case OXBOW_POLICY_WORD:
        place = word_place(text, f->words);
        *value = place >= 0 ? (uint64_t)place : 0;
        return place >= 0;
    case OXBOW_POLICY_WEIGHTS:
        return text.len > 0 && weights_of(text, value);
    case OXBOW_POLICY_MS:
        return word_ms(text, value);
    default:
        return word_size(text, value);
    }
}

/* What the field wants, added to `why` from `len` on. */
static void want(const struct oxbow_policy_field *f, struct oxbow_policy_why *why, size_t len)
{
    static const char *const wants[] = {
        [OXBOW_POLICY_COUNT] = "want a number like 5000, 64k or 10M",
        [OXBOW_POLICY_BYTES] = "want a size like 5000, 64kb, 10M or 2G: a number of bytes",
        [OXBOW_POLICY_MS] = "want a time like 250ms, 90s, 15m, 12h, 7d or 4w",
        [OXBOW_POLICY_WORD] = "want one of",
        [OXBOW_POLICY_WEIGHTS] = "want a weight for each priority, the lowest's first, like 1,2,8",
    };

    len += (size_t)snprintf(why->text + len, sizeof why->text - len, "%s", wants[f->kind]);
    for (size_t i = 0; f->words != NULL && f->words[i] != NULL && len < sizeof why->text; i++) {
        len += (size_t)snprintf(why->text + len, sizeof why->text - len, " %s", f->words[i]);
    }
}

static enum oxbow_err complain_unknown(struct oxbow_bytes name, struct oxbow_policy_why *why)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    size_t len = (size_t)snprintf(why->text, sizeof why->text, "'%.*s' is none of", shown(name),
                                  name.len > 0 ? (const char *)name.data : "");

    for (size_t i = 0; i < count && len < sizeof why->text; i++) {
        len += (size_t)snprintf(why->text + len, sizeof why->text - len, "%s %s", i > 0 ? "," : ":",
                                fields[i].name);
    }
    return OXBOW_EINVAL;
}

static enum oxbow_err set(const struct oxbow_policy_field *f, struct oxbow_bytes text,
                          struct oxbow_policy *policy, struct oxbow_policy_why *why)
{
    const char *p = text.len > 0 ? text.data : "";
    uint64_t value = 0;

    if (!value_of(f, text, &value)) {
        want(f, why,
             (size_t)snprintf(why->text, sizeof why->text, "%s '%.*s': ", f->name, shown(text), p));
        return OXBOW_EINVAL;
    }
    if (oxbow_policy_value_set(policy, f, value) != OXBOW_OK) {
        (void)snprintf(why->text, sizeof why->text, "%s '%.*s': too large", f->name, shown(text),
                       p);
        return OXBOW_EINVAL;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_policy_words(const struct oxbow_bytes *words, size_t count,
                                  struct oxbow_policy *policy, struct oxbow_policy_why *why)
{
    size_t rows;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&rows);
    enum oxbow_err err = OXBOW_OK;

    for (size_t w = 0; err == OXBOW_OK && w < count; w += 2) {
        size_t i = 0;

        while (i < rows && !word_is(words[w], fields[i].name)) {
            i++;
        }
        if (i == rows) {
            return complain_unknown(words[w], why);
        }
        if (w + 1 == count) {
            want(
                &fields[i], why,
                (size_t)snprintf(why->text, sizeof why->text, "%s has no value: ", fields[i].name));
            return OXBOW_EINVAL;
        }
        err = set(&fields[i], words[w + 1], policy, why);
    }
    return err;
}

/* ---- to words ---- */

/* The weight of the lowest priority first, up to the last that has one. */
static size_t weights_text(uint64_t weights, char text[OXBOW_POLICY_WORD_MAX])
{
    size_t len = 0;

    do {
        len += (size_t)snprintf(text + len, OXBOW_POLICY_WORD_MAX - len, "%s%u", len > 0 ? "," : "",
                                (unsigned)(weights & 0xff));
        weights >>= 8;
    } while (weights != 0);
    return len;
}

bool oxbow_policy_word(const struct oxbow_policy *policy, size_t idx, const char **name,
                       char text[OXBOW_POLICY_WORD_MAX], size_t *len)
{
    size_t rows;
    const struct oxbow_policy_field *f = oxbow_policy_fields(&rows);
    uint64_t value;

    if (idx >= rows) {
        return false;
    }
    f += idx;
    value = oxbow_policy_value(policy, f);
    *name = f->name;
    if (f->kind == OXBOW_POLICY_WORD) {
        *len = (size_t)snprintf(text, OXBOW_POLICY_WORD_MAX, "%s", f->words[value]);
    } else if (f->kind == OXBOW_POLICY_WEIGHTS) {
        *len = weights_text(value, text);
    } else {
        *len = num_u64_text(text, value);
    }
    return true;
}
