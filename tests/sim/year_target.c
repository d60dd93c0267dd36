/* SPDX-License-Identifier: Apache-2.0 */
/* What arrived at the target, read from the real server: entries in order, and gaps. */
#include "tests/sim/year_account.h"

#include "tests/crash/harness.h"
#include "tests/support/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000

/* Lines of a reply, one after the other. */
struct lines {
    const char *at;
};

static bool next_line(struct lines *l, char *out, size_t cap)
{
    const char *end = strchr(l->at, '\n');
    size_t len = end == NULL ? strlen(l->at) : (size_t)(end - l->at);
    if (*l->at == '\0')
        return false;
    snprintf(out, cap, "%.*s", (int)len, l->at);
    l->at += len + (end != NULL);
    return true;
}

static bool read_id(const char *text, struct oxbow_id *id)
{
    char *end;
    id->ms = strtoull(text, &end, 10);
    if (end == text || *end != '-')
        return false;
    id->seq = strtoull(end + 1, &end, 10);
    return *end == '\0';
}

static void arrived(struct account *a, enum year_queue q, uint64_t number, struct oxbow_id id,
                    uint64_t *last)
{
    struct item *it = account_item(a, number);
    const char *key = year_queues[q].key;
    if (it == NULL || (it->state == ITEM_IN && it->queue != q)) {
        account_fail(a, "%s: entry %llu arrived, and there is none such", key,
                     (unsigned long long)number);
        return;
    }
    it->at_target++;
    if (!year_queues[q].list && (it->id.ms != id.ms || it->id.seq != id.seq))
        account_fail(a, "%s: entry %llu arrived with another id", key, (unsigned long long)number);
    if (number <= *last)
        account_fail(a, "%s: entry %llu arrived after %llu", key, (unsigned long long)number,
                     (unsigned long long)*last);
    *last = number;
}

static void gap_arrived(struct account *a, enum year_queue q, const struct target_gap *g)
{
    if (a->gap_count[q] == a->gap_room[q]) {
        a->gap_room[q] = a->gap_room[q] * 2 + 16;
        a->gaps[q] = lab_grow(a->gaps[q], a->gap_room[q] * sizeof *g);
    }
    a->gaps[q][a->gap_count[q]++] = *g;
}

/* After "oxbow:gap": its cause, then from, to, entries, bytes, each with its name before it. */
static bool read_gap(struct lines *l, struct target_gap *g)
{
    char text[9][64];
    for (int i = 0; i < 9; i++)
        if (!next_line(l, text[i], sizeof text[i]))
            return false;
    g->entries = strcmp(text[6], "?") == 0 ? UINT64_MAX : strtoull(text[6], NULL, 10);
    return strcmp(text[0], "budget") == 0 && read_id(text[2], &g->from) && read_id(text[4], &g->to);
}

/* One page of a stream: how many entries; *from goes behind the last. */
static int read_page(struct account *a, enum year_queue q, const char *reply, char from[64],
                     uint64_t *last)
{
    struct lines l = {reply};
    char text[64], name[64], value[64], rest[512];
    struct oxbow_id id;
    int count = 0;
    while (next_line(&l, text, sizeof text)) {
        bool good = read_id(text, &id) && next_line(&l, name, sizeof name);
        snprintf(from, 64, "(%.60s", text);
        count++;
        if (good && strcmp(name, "oxbow:gap") == 0) {
            struct target_gap g;
            good = read_gap(&l, &g);
            if (good)
                gap_arrived(a, q, &g);
        } else if (good) {
            good = next_line(&l, value, sizeof value) && next_line(&l, rest, sizeof rest) &&
                   next_line(&l, rest, sizeof rest);
            arrived(a, q, strtoull(value, NULL, 10), id, last);
        }
        if (!good) {
            account_fail(a, "%s: the target has what is no entry at %s: %.80s", year_queues[q].key,
                         text, name);
            return 0;
        }
    }
    return count;
}

static void read_stream(struct account *a, struct redis *r, enum year_queue q, const char *key)
{
    char from[64] = "-";
    uint64_t last = 0;
    int count;
    do {
        const char *reply = redis_command(r, "XRANGE", key, from, "+", "COUNT", "1000", NULL);
        count = *reply == '-' ? 0 : read_page(a, q, reply, from, &last);
    } while (count == PAGE);
}

static void read_list(struct account *a, struct redis *r, enum year_queue q, const char *key)
{
    struct lines l = {redis_command(r, "LRANGE", key, "0", "-1", NULL)};
    char text[512];
    uint64_t last = 0;
    while (next_line(&l, text, sizeof text))
        arrived(a, q, strtoull(text, NULL, 10), OXBOW_ID_MIN, &last);
}

void target_read(struct account *a, struct redis *r)
{
    for (int q = 0; q < QUEUES; q++) {
        char key[64];
        snprintf(key, sizeof key, "oxbow:{dev}:%s", year_queues[q].key);
        if (!year_queues[q].forwarded)
            continue;
        if (year_queues[q].list)
            read_list(a, r, (enum year_queue)q, key);
        else
            read_stream(a, r, (enum year_queue)q, key);
    }
}
