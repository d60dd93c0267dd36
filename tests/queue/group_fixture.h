/* SPDX-License-Identifier: Apache-2.0 */
/* Shorthands for groups with options: stream `s`, group `g`, dead letters `dead`. */
#ifndef OXBOW_TESTS_QUEUE_GROUP_FIXTURE_H
#define OXBOW_TESTS_QUEUE_GROUP_FIXTURE_H

#include "oxbow/group_options.h"
#include "tests/queue/stream_fixture.h"

static inline struct oxbow_group the_group(void)
{
    return group_of("s", "g");
}

static inline void options(struct streams *f, const struct oxbow_group_options *opt)
{
    assert_ok(oxbow_group_options_set(f->txn, the_group(), opt));
}

/* The group, from the stream's begin, with options, and n entries. */
static inline void setup(struct streams *f, const struct oxbow_group_options *opt, uint64_t n)
{
    struct oxbow_group_create_options create = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
    options(f, opt);
    streams_fill(f, "s", n);
}

/* What a consumer is given: "1-0{f=1} ...". */
static inline const char *take(struct streams *f, const char *consumer, uint64_t count)
{
    struct oxbow_group_read_options opt = {.count = count};

    assert_ok(oxbow_group_read(f->txn, the_group(), text_bytes(consumer), &opt, &f->result));
    return streams_entries(&f->result);
}

static inline void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static inline uint64_t ack(struct streams *f, uint64_t ms)
{
    struct oxbow_id id = {ms, 0};
    uint64_t acked = 99;

    assert_ok(oxbow_group_ack(f->txn, the_group(), &id, 1, &acked));
    return acked;
}

static inline uint64_t nack(struct streams *f, uint64_t ms, enum oxbow_nack how, uint64_t delay_ms)
{
    struct oxbow_id id = {ms, 0};
    struct oxbow_group_nack_options opt = {
        .ids = &id, .count = 1, .how = how, .delay_ms = delay_ms};
    uint64_t nacked = 99;

    assert_ok(oxbow_group_nack(f->txn, the_group(), &opt, &nacked));
    return nacked;
}

/* "1-0:bob:1 ..." with deliveries. */
static inline const char *pending(struct streams *f)
{
    static char text[8192];
    struct oxbow_pending rows[256];
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 256};
    struct oxbow_result names = {0};
    size_t count, i, len = 0;

    assert_ok(oxbow_group_pending(f->txn, the_group(), &filter, &names, rows, &count));
    text[0] = '\0';
    for (i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s:%.*s:%d", i > 0 ? " " : "",
                                streams_id(rows[i].id), (int)rows[i].consumer.len,
                                (const char *)rows[i].consumer.data, (int)rows[i].deliveries);
    }
    oxbow_result_fini(&names);
    return text;
}

static inline struct oxbow_group_status status(struct streams *f)
{
    struct oxbow_group_status out;

    assert_ok(oxbow_group_status(f->txn, the_group(), &out));
    return out;
}

static inline uint64_t length(struct streams *f, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_stream_len(f->txn, text_bytes(key), &len));
    return len;
}

/* The value of a field of an entry of the last result; "" when there is none. */
static inline const char *field(const struct streams *f, size_t entry, const char *name)
{
    static char text[256];
    uint32_t i;

    assert_true(entry < f->result.entry_count);
    for (i = 0; i < f->result.entries[entry].field_count; i++) {
        const struct oxbow_field *at = &f->result.entries[entry].fields[i];

        if (at->name.len == strlen(name) && memcmp(at->name.data, name, at->name.len) == 0) {
            snprintf(text, sizeof text, "%.*s", (int)at->value.len, (const char *)at->value.data);
            return text;
        }
    }
    return "";
}

#endif
