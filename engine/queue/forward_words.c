/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forward's options as words: for configuration files and commands, which say them all alike. One row
 * each, from which words are read and written. What goes together is looked at by
 * oxbow_forward_check, with the words that oxbow_forward_create's OXBOW_EINVAL has not.
 */
#include "oxbow/forward.h"

#include "engine/base/num.h"
#include "engine/base/word.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX    60 /* bytes of a word in a complaint */
#define REPLICAS_MAX 255
#define SIZE_MOST    INT64_MAX

enum option {
    OPT_TARGET, /* the first: oxbow_forward_word begins behind it */
    OPT_SELECT,
    OPT_CONFIRM,
    OPT_AFTER,
    OPT_HOLD_MS,
    OPT_HOLD_BYTES,
    OPT_MAX_BYTES,
    OPT_ON_FULL,
    OPT_ON_DELETED,
    OPT_URGENT,
    OPT_TRUE_TIME,
    OPT_WEIGHT,
    OPT_BATCH_BYTES,
    OPT_BATCH_COUNT,
    OPT_LINGER_MS
};

enum kind { KIND_TEXT, KIND_SELECT, KIND_CONFIRM, KIND_WORD, KIND_NUMBER, KIND_SIZE };

static const char *const afters[] = {"trim", "keep", NULL};
static const char *const fulls[] = {"refuse", "drop_oldest", NULL};
static const char *const deleteds[] = {"resend", "continue", NULL};
static const char *const yes_no[] = {"no", "yes", NULL};
static const char *const confirms[] = {"master", "replicas", "aof", NULL};

static const struct row {
    const char *name;
    enum kind kind;
    const char *const *words; /* of KIND_WORD: its values are their places */
    int64_t least;            /* beside 0 */
    int64_t most;
    const char *want; /* what it may be, for complaints */
} rows[] = {
    [OPT_TARGET] = {"target", KIND_TEXT, NULL, 0, 0, "a key of 1 to 1024 bytes"},
    [OPT_SELECT] = {"select", KIND_SELECT, NULL, 0, 0, "durable or acked:GROUP"},
    [OPT_CONFIRM] = {"confirm", KIND_CONFIRM, NULL, 0, 0,
                     "master, replicas:N or aof[:N], with N from 1 to 255"},
    [OPT_AFTER] = {"after", KIND_WORD, afters, 0, 0, "trim or keep"},
    [OPT_HOLD_MS] = {"hold-ms", KIND_NUMBER, NULL, 0, UINT32_MAX, "ms from 0 to 4294967295"},
    [OPT_HOLD_BYTES] = {"hold-bytes", KIND_SIZE, NULL, 0, SIZE_MOST, "a size like 64mb"},
    [OPT_MAX_BYTES] = {"max-bytes", KIND_SIZE, NULL, 0, SIZE_MOST, "a size like 64mb"},
    [OPT_ON_FULL] = {"on-full", KIND_WORD, fulls, 0, 0, "refuse or drop_oldest"},
    [OPT_ON_DELETED] = {"on-deleted", KIND_WORD, deleteds, 0, 0, "resend or continue"},
    [OPT_URGENT] = {"urgent", KIND_WORD, yes_no, 0, 0, "yes or no"},
    [OPT_TRUE_TIME] = {"true-time", KIND_WORD, yes_no, 0, 0, "yes or no"},
    [OPT_WEIGHT] = {"weight", KIND_NUMBER, NULL, 0, 100, "a number from 0 to 100"},
    [OPT_BATCH_BYTES] = {"batch-bytes", KIND_SIZE, NULL, 1024, 262144,
                         "0, or a size from 1kb to 256kb"},
    [OPT_BATCH_COUNT] = {"batch-count", KIND_NUMBER, NULL, 0, 1000, "a number from 0 to 1000"},
    [OPT_LINGER_MS] = {"linger-ms", KIND_NUMBER, NULL, -1, INT32_MAX, "ms from -1 to 2147483647"},
};

#define ROWS (sizeof rows / sizeof rows[0])

static int shown(struct oxbow_bytes b)
{
    return (int)(b.len < SHOWN_MAX ? b.len : SHOWN_MAX);
}

/* ---- the fields that are numbers ---- */

static void put(struct oxbow_forward_options *o, enum option option, int64_t v)
{
    switch (option) {
    case OPT_AFTER:
        o->after = (enum oxbow_forward_after)v;
        break;
    case OPT_HOLD_MS:
        o->hold_ms = (uint32_t)v;
        break;
    case OPT_HOLD_BYTES:
        o->hold_bytes = (uint64_t)v;
        break;
    case OPT_MAX_BYTES:
        o->max_bytes = (uint64_t)v;
        break;
    case OPT_ON_FULL:
        o->on_full = (enum oxbow_forward_full)v;
        break;
    case OPT_ON_DELETED:
        o->on_deleted = (enum oxbow_forward_deleted)v;
        break;
    case OPT_URGENT:
        o->urgent = v != 0;
        break;
    case OPT_TRUE_TIME:
        o->true_time = v != 0;
        break;
    case OPT_WEIGHT:
        o->weight = (uint32_t)v;
        break;
    case OPT_BATCH_BYTES:
        o->batch_bytes = (uint32_t)v;
        break;
    case OPT_BATCH_COUNT:
        o->batch_count = (uint32_t)v;
        break;
    case OPT_LINGER_MS:
        o->linger_ms = (int32_t)v;
        break;
    default:
        break; /* texts have functions of their own */
    }
}

static int64_t get(const struct oxbow_forward_options *o, enum option option)
{
    const int64_t values[ROWS] = {
        [OPT_AFTER] = (int64_t)o->after,
        [OPT_HOLD_MS] = o->hold_ms,
        [OPT_HOLD_BYTES] = (int64_t)o->hold_bytes,
        [OPT_MAX_BYTES] = (int64_t)o->max_bytes,
        [OPT_ON_FULL] = (int64_t)o->on_full,
        [OPT_ON_DELETED] = (int64_t)o->on_deleted,
        [OPT_URGENT] = o->urgent,
        [OPT_TRUE_TIME] = o->true_time,
        [OPT_WEIGHT] = o->weight,
        [OPT_BATCH_BYTES] = o->batch_bytes,
        [OPT_BATCH_COUNT] = o->batch_count,
        [OPT_LINGER_MS] = o->linger_ms,
    };

    return values[option];
}

/* ---- from words ---- */

static bool size_of(struct oxbow_bytes text, int64_t *v)
{
    uint64_t n;

    if (!word_size(text, &n) || n > INT64_MAX) {
        return false;
    }
    *v = (int64_t)n;
    return true;
}

static bool set_select(struct oxbow_forward_options *o, struct oxbow_bytes text)
{
    const char *p = text.data;

    if (word_is(text, "durable")) {
        o->select = OXBOW_SELECT_DURABLE;
        o->group = (struct oxbow_bytes){NULL, 0};
        return true;
    }
    if (text.len <= 6 || text.len - 6 > OXBOW_FORWARD_KEY_MAX ||
        !word_is((struct oxbow_bytes){p, 6}, "acked:")) {
        return false;
    }
    o->select = OXBOW_SELECT_ACKED;
    o->group = (struct oxbow_bytes){p + 6, text.len - 6};
    return true;
}

static bool set_confirm(struct oxbow_forward_options *o, struct oxbow_bytes text)
{
    const char *p = text.data;
    const char *colon = text.len > 0 ? memchr(p, ':', text.len) : NULL;
    size_t len = colon != NULL ? (size_t)(colon - p) : text.len;
    int place = word_place((struct oxbow_bytes){p, len}, confirms);
    uint64_t n = 0;

    if (place < 0 || (place == OXBOW_CONFIRM_MASTER && colon != NULL)) {
        return false;
    }
    if (colon != NULL &&
        (num_u64((struct oxbow_bytes){colon + 1, text.len - len - 1}, &n) != OXBOW_OK || n < 1 ||
         n > REPLICAS_MAX)) {
        return false;
    }
    o->confirm = (enum oxbow_forward_confirm)place;
    o->replicas = (uint32_t)n;
    return true;
}

/* Whether it is a number, and one that the row allows. */
static bool number_fits(const struct row *row, struct oxbow_bytes text, int64_t *v)
{
    bool ok = row->kind == KIND_SIZE ? size_of(text, v) : num_i64(text, v) == OXBOW_OK;

    return ok && (*v == 0 || (*v >= row->least && *v <= row->most));
}

static bool set_number(struct oxbow_forward_options *o, enum option option, struct oxbow_bytes text)
{
    const struct row *row = &rows[option];
    int64_t v = 0;

    if (row->kind == KIND_WORD) {
        v = word_place(text, row->words);
    } else if (!number_fits(row, text, &v)) {
        return false;
    }
    if (row->kind == KIND_WORD && v < 0) {
        return false;
    }
    put(o, option, v);
    return true;
}

static bool set(struct oxbow_forward_options *o, enum option option, struct oxbow_bytes text)
{
    switch (rows[option].kind) {
    case KIND_TEXT:
        o->target = text;
        return text.len > 0 && text.len <= OXBOW_FORWARD_KEY_MAX;
    case KIND_SELECT:
        return set_select(o, text);
    case KIND_CONFIRM:
        return set_confirm(o, text);
    default:
        return set_number(o, option, text);
    }
}

static enum oxbow_err complain_unknown(struct oxbow_bytes name, struct oxbow_forward_why *why)
{
    size_t len = (size_t)snprintf(why->text, sizeof why->text, "'%.*s' is none of:", shown(name),
                                  (const char *)name.data);

    for (size_t i = 0; i < ROWS && len < sizeof why->text; i++) {
        len += (size_t)snprintf(why->text + len, sizeof why->text - len, " %s", rows[i].name);
    }
    return OXBOW_EINVAL;
}

enum oxbow_err oxbow_forward_words(const struct oxbow_bytes *words, size_t count,
                                   struct oxbow_forward_options *opt, struct oxbow_forward_why *why)
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
        if (!set(opt, (enum option)i, words[w + 1])) {
            (void)snprintf(why->text, sizeof why->text, "%s '%.*s': want %s", rows[i].name,
                           shown(words[w + 1]), (const char *)words[w + 1].data, rows[i].want);
            return OXBOW_EINVAL;
        }
    }
    return OXBOW_OK;
}

/* ---- to words ---- */

bool oxbow_forward_word(const struct oxbow_forward_options *opt, size_t idx, const char **name,
                        char text[OXBOW_FORWARD_WORD_MAX], size_t *len)
{
    enum option option = (enum option)(idx + 1);

    if (idx + 1 >= ROWS) {
        return false;
    }
    *name = rows[option].name;
    if (option == OPT_SELECT && opt->select == OXBOW_SELECT_ACKED) {
        memcpy(text, "acked:", 6);
        memcpy(text + 6, opt->group.data, opt->group.len);
        *len = 6 + opt->group.len;
    } else if (option == OPT_SELECT) {
        *len = (size_t)snprintf(text, OXBOW_FORWARD_WORD_MAX, "durable");
    } else if (option == OPT_CONFIRM && opt->replicas > 0) {
        *len = (size_t)snprintf(text, OXBOW_FORWARD_WORD_MAX, "%s:%u", confirms[opt->confirm],
                                (unsigned)opt->replicas);
    } else if (option == OPT_CONFIRM) {
        *len = (size_t)snprintf(text, OXBOW_FORWARD_WORD_MAX, "%s", confirms[opt->confirm]);
    } else if (rows[option].kind == KIND_WORD) {
        *len = (size_t)snprintf(text, OXBOW_FORWARD_WORD_MAX, "%s",
                                rows[option].words[get(opt, option)]);
    } else {
        *len = num_i64_text(text, get(opt, option));
    }
    return true;
}

/* ---- what goes together ---- */

static bool name_fits(const char *name)
{
    size_t len = 0;

    for (; name[len] != '\0'; len++) {
        char c = name[len];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && c != '_' && c != '.' && c != '-') {
            return false;
        }
    }
    return len > 0 && len <= OXBOW_FORWARD_NAME_MAX;
}

/* A target with a '}' wants a hash tag before it. */
static bool tag_fits(struct oxbow_bytes target)
{
    const char *close = target.len > 0 ? memchr(target.data, '}', target.len) : NULL;
    const char *open = target.len > 0 ? memchr(target.data, '{', target.len) : NULL;

    return close == NULL || (open != NULL && open + 1 < close);
}

enum oxbow_err oxbow_forward_check(const char *name, const struct oxbow_forward_options *opt,
                                   struct oxbow_forward_why *why)
{
    const char *text = NULL;
    bool list = opt->type == OXBOW_TYPE_LIST;

    if (!name_fits(name)) {
        text = "the name has 1 to 63 letters, digits, '_', '.' and '-'";
    } else if (!list && opt->type != OXBOW_TYPE_STREAM) {
        text = "what is carried is a stream or a list";
    } else if (opt->key.len == 0 || opt->key.len > OXBOW_FORWARD_KEY_MAX) {
        text = "the key has 1 to 1024 bytes";
    } else if (opt->target.len > OXBOW_FORWARD_KEY_MAX) {
        text = "the target has at most 1024 bytes";
    } else if (!tag_fits(opt->target)) {
        text = "the target has a '}' but no hash tag, such as {device}, before it";
    } else if (list && opt->select == OXBOW_SELECT_ACKED) {
        text = "select acked is for streams";
    } else if (list && opt->after == OXBOW_AFTER_KEEP) {
        text = "after keep is for streams: a list's elements are moved";
    } else if (list && opt->true_time) {
        text = "true-time is for streams";
    }
    if (text == NULL) {
        return OXBOW_OK;
    }
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    return OXBOW_EINVAL;
}
