/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a group as words: for configuration files, commands and command lines, which say them all
 * alike. One row each, from which words are read and written. What goes together is looked at by
 * oxbow_group_options_check, with the words that oxbow_group_options_set's OXBOW_EINVAL has not.
 */
#include "oxbow/group_options.h"

#include "engine/base/num.h"
#include "engine/base/word.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX     60 /* bytes of a word in a complaint */
#define KEY_FIELD_MAX 255u

static const struct row {
    const char *name;
    enum oxbow_group_word_kind kind;
    size_t offset; /* in struct oxbow_group_options */
    uint64_t most;
    const char *want; /* what it may be, for complaints */
} rows[] = {
#define AT(member) offsetof(struct oxbow_group_options, member)
    {"visibility", OXBOW_GROUP_WORD_MS, AT(visibility_ms), OXBOW_GROUP_MS_MAX,
     "a time like 500ms, 30s or 5m"},
    {"max-deliveries", OXBOW_GROUP_WORD_COUNT, AT(max_deliveries), UINT32_MAX, "a number"},
    {"dead-letter", OXBOW_GROUP_WORD_NAME, AT(dead_letter), OXBOW_GROUP_NAME_MAX,
     "the key of a stream"},
    {"retry-base", OXBOW_GROUP_WORD_MS, AT(retry_base_ms), OXBOW_GROUP_MS_MAX,
     "a time like 500ms, 30s or 5m"},
    {"retry-factor", OXBOW_GROUP_WORD_COUNT, AT(retry_factor_percent), OXBOW_GROUP_RETRY_FACTOR_MAX,
     "a percentage from 100 to 10000, or 0"},
    {"retry-max", OXBOW_GROUP_WORD_MS, AT(retry_max_ms), OXBOW_GROUP_MS_MAX,
     "a time like 500ms, 30s or 5m"},
    {"retry-jitter", OXBOW_GROUP_WORD_COUNT, AT(retry_jitter_percent), 100,
     "a percentage from 0 to 100"},
    {"prefetch", OXBOW_GROUP_WORD_COUNT, AT(prefetch), UINT32_MAX, "a number"},
    {"key-field", OXBOW_GROUP_WORD_NAME, AT(key_field), KEY_FIELD_MAX,
     "a field's name of up to 255 bytes"},
    {"exclusive", OXBOW_GROUP_WORD_MS, AT(exclusive_ms), OXBOW_GROUP_MS_MAX,
     "a time like 500ms, 30s or 5m"},
    {"dead-letter-remove", OXBOW_GROUP_WORD_YES, AT(dead_remove), 1, "yes or no"},
#undef AT
};

#define ROWS (sizeof rows / sizeof rows[0])

static int shown(struct oxbow_bytes b)
{
    return (int)(b.len < SHOWN_MAX ? b.len : SHOWN_MAX);
}

static const char *text_of(struct oxbow_bytes b)
{
    return b.len > 0 ? b.data : "";
}

/* ---- from words ---- */

static bool set(const struct row *row, struct oxbow_bytes text, struct oxbow_group_options *opt)
{
    void *at = (char *)opt + row->offset;
    uint64_t n = 0;

    switch (row->kind) {
    case OXBOW_GROUP_WORD_NAME:
        *(struct oxbow_bytes *)at = text;
        return text.len <= row->most;
    case OXBOW_GROUP_WORD_YES:
        *(bool *)at = word_is(text, "yes");
        return *(bool *)at || word_is(text, "no");
    case OXBOW_GROUP_WORD_MS:
        if (!word_ms(text, &n) || n > row->most) {
            return false;
        }
        *(uint64_t *)at = n;
        return true;
    default:
        if (num_u64(text, &n) != OXBOW_OK || n > row->most) {
            return false;
        }
        *(uint32_t *)at = (uint32_t)n;
        return true;
    }
}

static enum oxbow_err complain_unknown(struct oxbow_bytes name, struct oxbow_group_why *why)
{
    size_t len = (size_t)snprintf(why->text, sizeof why->text, "'%.*s' is none of", shown(name),
                                  text_of(name));

    for (size_t i = 0; i < ROWS && len < sizeof why->text; i++) {
        len += (size_t)snprintf(why->text + len, sizeof why->text - len, "%s %s", i > 0 ? "," : ":",
                                rows[i].name);
    }
    return OXBOW_EINVAL;
}

enum oxbow_err oxbow_group_words(const struct oxbow_bytes *words, size_t count,
                                 struct oxbow_group_options *opt, struct oxbow_group_why *why)
{
    for (size_t w = 0; w < count; w += 2) {
        size_t i = 0;

        while (i < ROWS && !word_is(words[w], rows[i].name)) {
            i++;
        }
        if (i == ROWS) {
            return complain_unknown(words[w], why);
        }
        if (w + 1 == count) {
            (void)snprintf(why->text, sizeof why->text, "%s has no value: want %s", rows[i].name,
                           rows[i].want);
            return OXBOW_EINVAL;
        }
        if (!set(&rows[i], words[w + 1], opt)) {
            (void)snprintf(why->text, sizeof why->text, "%s '%.*s': want %s", rows[i].name,
                           shown(words[w + 1]), text_of(words[w + 1]), rows[i].want);
            return OXBOW_EINVAL;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_options_check(const struct oxbow_group_options *opt,
                                         struct oxbow_group_why *why)
{
    const char *text = NULL;

    if (opt->max_deliveries > 0 && opt->dead_letter.len == 0) {
        text = "max-deliveries needs dead-letter: the stream that such entries go to";
    } else if (opt->retry_factor_percent > 0 && opt->retry_factor_percent < 100) {
        text = "retry-factor is a percentage from 100 to 10000, or 0";
    } else if (opt->retry_max_ms > 0 && opt->retry_max_ms < opt->retry_base_ms) {
        text = "retry-max is below retry-base";
    }
    if (text == NULL) {
        return OXBOW_OK;
    }
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    return OXBOW_EINVAL;
}

/* ---- to words ---- */

bool oxbow_group_word(const struct oxbow_group_options *opt, size_t idx,
                      struct oxbow_group_word *word)
{
    const void *at;

    if (idx >= ROWS) {
        return false;
    }
    at = (const char *)opt + rows[idx].offset;
    word->name = rows[idx].name;
    word->kind = rows[idx].kind;
    word->value = 0;
    word->text.data = word->chars;
    switch (rows[idx].kind) {
    case OXBOW_GROUP_WORD_NAME:
        word->text = *(const struct oxbow_bytes *)at;
        return true;
    case OXBOW_GROUP_WORD_YES:
        word->value = *(const bool *)at;
        word->text.len = (size_t)snprintf(word->chars, sizeof word->chars, "%s",
                                          word->value != 0 ? "yes" : "no");
        return true;
    case OXBOW_GROUP_WORD_MS:
        word->value = *(const uint64_t *)at;
        break;
    case OXBOW_GROUP_WORD_COUNT:
        word->value = *(const uint32_t *)at;
        break;
    }
    word->text.len = num_u64_text(word->chars, word->value);
    return true;
}
