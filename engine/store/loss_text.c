/* SPDX-License-Identifier: Apache-2.0 */
/* Losses in words, for logs and people. Bytes in, text out. */
#include "oxbow/loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_TEXT  256u /* of a name, zero included; longer ones end in ... */
#define RANGE_TEXT 128u

/* A name in quotes, other than plain text as \xHH. */
static const char *quoted(char out[NAME_TEXT], struct oxbow_bytes name)
{
    const uint8_t *p = name.data;
    size_t n = 0;
    size_t i;

    out[n++] = '"';
    for (i = 0; i < name.len && n < NAME_TEXT - 10; i++) {
        if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\') {
            out[n++] = (char)p[i];
        } else {
            n += (size_t)snprintf(out + n, 5, "\\x%02x", p[i]);
        }
    }
    (void)snprintf(out + n, 5, "%s\"", i < name.len ? "..." : "");
    return out;
}

static const char *range_text(char out[RANGE_TEXT], const struct oxbow_loss *l)
{
    if (l->first.ms == 0 && l->first.seq == 0 && l->last.ms == 0 && l->last.seq == 0 &&
        l->type != OXBOW_TYPE_LIST) {
        out[0] = '\0';
    } else if (l->type == OXBOW_TYPE_LIST) {
        (void)snprintf(out, RANGE_TEXT, ", between positions %" PRIu64 " and %" PRIu64,
                       l->first.seq, l->last.seq);
    } else {
        (void)snprintf(out, RANGE_TEXT,
                       ", between ids %" PRIu64 "-%" PRIu64 " and %" PRIu64 "-%" PRIu64,
                       l->first.ms, l->first.seq, l->last.ms, l->last.seq);
    }
    return out;
}

static const char *count_text(char out[24], uint64_t entries)
{
    if (entries == UINT64_MAX) {
        return "an unknown number of";
    }
    (void)snprintf(out, 24, "%" PRIu64, entries);
    return out;
}

static const char *type_text(enum oxbow_type type)
{
    return type == OXBOW_TYPE_LIST ? "list" : type == OXBOW_TYPE_STREAM ? "stream" : "key";
}

static int forward_text(const struct oxbow_loss *l, char *out, size_t cap)
{
    char name[NAME_TEXT];
    char key[NAME_TEXT];
    char number[24];
    const char *f = quoted(name, l->group);
    const char *k = quoted(key, l->key);
    const char *t = type_text(l->type);
    unsigned db = (unsigned)l->database;

    switch ((enum oxbow_loss_forward)l->object) {
    case OXBOW_LOSS_FORWARD_RECORD:
        return snprintf(out, cap,
                        "forward %s of %s %s in database %u: how far it was is lost: it asks the "
                        "target",
                        f, t, k, db);
    case OXBOW_LOSS_FORWARD_LIST:
        return snprintf(out, cap,
                        "forward %s of %s %s in database %u: which elements the target has is not "
                        "known any more: it stops until it is made anew",
                        f, t, k, db);
    case OXBOW_LOSS_FORWARD_GAPS:
        return snprintf(out, cap,
                        "forward %s of %s %s in database %u: the target may not be told of entries "
                        "that were dropped",
                        f, t, k, db);
    case OXBOW_LOSS_FORWARD_IDENTITY:
        return snprintf(out, cap, "the identity is lost: the target takes this for a new device");
    default:
        return snprintf(out, cap,
                        "%s forwards may be lost with their records: see oxbow forward list",
                        count_text(number, l->entries));
    }
}

size_t oxbow_loss_text(const struct oxbow_loss *loss, char *out, size_t cap)
{
    const struct oxbow_loss *l = loss;
    char name[NAME_TEXT];
    char group[NAME_TEXT];
    char range[RANGE_TEXT];
    char number[24];
    const char *n = count_text(number, l->entries);
    const char *k = quoted(name, l->key);
    const char *g = quoted(group, l->group);
    const char *r = range_text(range, l);
    const char *t = type_text(l->type);
    unsigned db = (unsigned)l->database;
    int len;

    switch (l->kind) {
    case OXBOW_LOSS_REBUILT:
        len = snprintf(out, cap, "the data file was damaged and is made anew: %s values %s lost", n,
                       l->entries == 1 ? "is" : "are");
        break;
    case OXBOW_LOSS_COMMIT:
        len = snprintf(out, cap, "a meta page was destroyed: the last checkpoint may be missing");
        break;
    case OXBOW_LOSS_ENTRIES:
        len = snprintf(out, cap, "%s %s in database %u: %s entries lost%s", t, k, db, n, r);
        break;
    case OXBOW_LOSS_KEY:
        len = snprintf(out, cap,
                       "%s %s in database %u is lost: its record is gone (%s entries kept aside as "
                       "object %" PRIu64 ")",
                       t, k, db, n, l->object);
        break;
    case OXBOW_LOSS_NAMES:
        len = snprintf(out, cap, "database %u: %s keys are lost with their names", db, n);
        break;
    case OXBOW_LOSS_ORPHAN:
        len = snprintf(out, cap,
                       "object %" PRIu64 " has no name any more, or was deleted: %s values kept "
                       "aside",
                       l->object, n);
        break;
    case OXBOW_LOSS_GROUP:
        len = snprintf(out, cap, "%s %s in database %u: a consumer group is lost with its name", t,
                       k, db);
        break;
    case OXBOW_LOSS_CONSUMER:
        len = snprintf(out, cap, "%s %s in database %u: a consumer's name is lost: now %s", t, k,
                       db, g);
        break;
    case OXBOW_LOSS_PENDING:
        len = snprintf(out, cap,
                       "%s %s in database %u, group %s: %s entries are not pending any more, but "
                       "were never acknowledged%s",
                       t, k, db, g, n, r);
        break;
    case OXBOW_LOSS_FORWARD:
        len = forward_text(l, out, cap);
        break;
    case OXBOW_LOSS_DATABASE:
        len = snprintf(out, cap,
                       "database %u: its record is lost (%s keys kept aside as %" PRIu64 ")", db, n,
                       l->object);
        break;
    default:
        len = snprintf(out, cap, "a loss of a kind that this version does not know");
        break;
    }
    return len < 0 ? 0 : (size_t)len < cap ? (size_t)len : cap - 1;
}

const char *oxbow_loss_kind_name(enum oxbow_loss_kind kind)
{
    static const char *const names[] = {"?",        "rebuilt", "commit",  "entries",
                                        "key",      "names",   "orphan",  "group",
                                        "consumer", "pending", "forward", "database"};
    const size_t at = (size_t)kind;

    return at < sizeof names / sizeof names[0] ? names[at] : names[0];
}
