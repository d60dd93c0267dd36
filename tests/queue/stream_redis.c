/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_redis.h"

#include <stdlib.h>

static const char *const KEYS[] = {"s", "t"};
static const char *const GROUPS[] = {"g1", "g2", "a group with a longer name"};
static const char *const CONSUMERS[] = {"bob", "alice", "carol", "dave"};

uint64_t rnd(struct run *r, uint64_t n)
{
    return rig_random(&r->rng) % n;
}

/* ---- building commands and replies ---- */

void arg(struct run *r, const char *text)
{
    assert_true(r->argc < ARGS);
    snprintf(r->args[r->argc], sizeof r->args[0], "%s", text);
    r->argv[r->argc] = r->args[r->argc];
    r->argc++;
}

void arg_u64(struct run *r, uint64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    arg(r, text);
}

void arg_id(struct run *r, struct oxbow_id id)
{
    arg(r, streams_id(id));
}

void out(struct run *r, const char *data, size_t len)
{
    assert_true(r->len + len + 2 < sizeof r->text);
    memcpy(r->text + r->len, data, len);
    r->len += len;
    r->text[r->len++] = '\n';
    r->text[r->len] = '\0';
}

void out_text(struct run *r, const char *text)
{
    out(r, text, strlen(text));
}

void out_u64(struct run *r, uint64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    out_text(r, text);
}

void out_i64(struct run *r, int64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)v);
    out_text(r, text);
}

void out_id(struct run *r, struct oxbow_id id)
{
    out_text(r, streams_id(id));
}

void out_pair(struct run *r, const char *name, uint64_t v)
{
    out_text(r, name);
    out_u64(r, v);
}

bool out_err(struct run *r, enum oxbow_err err)
{
    char text[256];

    if (err == OXBOW_OK) {
        return false;
    }
    snprintf(text, sizeof text, "-%s %s", oxbow_err_prefix(err), oxbow_err_text(err));
    out_text(r, text);
    return true;
}

void out_fields(struct run *r, const struct oxbow_entry *e)
{
    uint32_t i;

    for (i = 0; i < e->field_count; i++) {
        out(r, e->fields[i].name.data, e->fields[i].name.len);
        out(r, e->fields[i].value.data, e->fields[i].value.len);
    }
}

void out_entries(struct run *r)
{
    const struct oxbow_result *res = &r->f.result;
    size_t i;

    for (i = 0; i < res->entry_count; i++) {
        out_id(r, res->entries[i].id);
        if (res->entries[i].deleted) {
            out_text(r, "(nil)");
        }
        out_fields(r, &res->entries[i]);
    }
}

void begin(struct run *r, const char *a, const char *b)
{
    r->argc = 0;
    r->len = 0;
    r->text[0] = '\0';
    r->key = text_bytes(KEYS[rnd(r, 8) == 0]);
    r->group = (struct oxbow_group){r->key, text_bytes(GROUPS[rnd(r, 10) < 7 ? 0 : rnd(r, 3)])};
    r->consumer = text_bytes(CONSUMERS[rnd(r, 4)]);
    arg(r, a);
    if (b != NULL) {
        arg(r, b);
    }
    arg(r, r->key.data);
}

void arg_group(struct run *r)
{
    arg(r, r->group.name.data);
}

struct oxbow_id random_id(struct run *r)
{
    uint64_t n = rnd(r, 30);

    if (n == 0) {
        return OXBOW_ID_MIN;
    }
    if (n == 1) {
        return OXBOW_ID_MAX;
    }
    /* Mostly near the end, where something is. */
    if (r->top > 40 && n < 20) {
        return ID(r->top - 40 + rnd(r, 44), rnd(r, 3));
    }
    return ID(rnd(r, r->top + 2), rnd(r, 3));
}

/* ---- comparing ---- */

static size_t lines_of(char *text, const char **lines, size_t max)
{
    size_t n = 0;
    char *p = text;

    while (*p != '\0') {
        assert_true(n < max);
        lines[n++] = p;
        p += strcspn(p, "\n");
        if (*p == '\n') {
            *p++ = '\0';
        }
    }
    return n;
}

/* Copies the server's reply without what is a time or a matter of its own. */
static void reply_clean(struct run *r, const char *reply, char *clean, size_t cap)
{
    static char copy[1 << 17];
    static const char *lines[1 << 14];
    static const char *const kept[] = {
        "length",        "last-generated-id",       "max-deleted-entry-id",
        "entries-added", "recorded-first-entry-id", "groups"};
    bool stream = strcmp(r->argv[0], "XINFO") == 0 && strcmp(r->argv[1], "STREAM") == 0;
    bool consumers = strcmp(r->argv[0], "XINFO") == 0 && strcmp(r->argv[1], "CONSUMERS") == 0;
    bool rows = strcmp(r->argv[0], "XPENDING") == 0 && r->argc > 3;
    size_t count, i, k, len = 0;

    assert_true(strlen(reply) < sizeof copy);
    strcpy(copy, reply);
    count = lines_of(copy, lines, sizeof lines / sizeof lines[0]);
    clean[0] = '\0';
    for (i = 0; i < count; i++) {
        bool keep = !stream || reply[0] == '-';

        for (k = 0; stream && k < 6; k++) {
            keep = keep || (i % 2 == 0 && i < 16 && strcmp(lines[i], kept[k]) == 0) ||
                   (i % 2 == 1 && i < 16 && strcmp(lines[i - 1], kept[k]) == 0);
        }
        keep = keep && !(consumers && reply[0] != '-' && i % 6 >= 4);
        if (!keep) {
            continue;
        }
        if (rows && reply[0] != '-' && i % 4 == 2) {
            lines[i] = strtoull(lines[i], NULL, 10) >= IDLE_LONG / 2 ? "old" : "new";
        }
        len += (size_t)snprintf(clean + len, cap - len, "%s\n", lines[i]);
    }
}

/* Errors agree in their code; those about ids in all of their text. */
static bool errors_agree(const char *ours, const char *theirs)
{
    size_t word = strcspn(ours, " ");

    if (ours[0] != '-' || theirs[0] != '-' || strncmp(ours, theirs, word + 1) != 0) {
        return false;
    }
    return strstr(ours, "XADD") == NULL && strstr(ours, "XSETID") == NULL
               ? true
               : strcmp(ours, theirs) == 0;
}

void compare(struct run *r, uint64_t step)
{
    static char clean[1 << 17];
    size_t i;

    reply_clean(r, redis_command_array(r->redis, r->argv, r->argc), clean, sizeof clean);
    if (strcmp(clean, r->text) == 0 || errors_agree(r->text, clean)) {
        return;
    }
    printf("step %llu:", (unsigned long long)step);
    for (i = 0; i < r->argc; i++) {
        printf(" '%s'", r->argv[i]);
    }
    printf("\n--- redis\n%s--- oxbow\n%s", clean, r->text);
    fail();
}
