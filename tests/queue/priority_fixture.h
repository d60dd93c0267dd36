/* SPDX-License-Identifier: Apache-2.0 */
/* Shorthands for streams with priorities: stream `s`, group `g`; entries are ms-0. */
#ifndef OXBOW_TESTS_QUEUE_PRIORITY_FIXTURE_H
#define OXBOW_TESTS_QUEUE_PRIORITY_FIXTURE_H

#include "oxbow/policy.h"
#include "tests/queue/stream_fixture.h"

static inline void priorities(struct streams *f, uint64_t count, uint64_t weights, uint64_t wait_ms)
{
    struct oxbow_policy p = {
        .priorities = count, .priority_weights = weights, .priority_wait_ms = wait_ms};

    assert_ok(oxbow_policy_set(f->txn, BYTES("s"), &p));
}

static inline void group_make_at(struct streams *f, const char *name, struct oxbow_id id)
{
    struct oxbow_group_create_options opt = {.make_stream = true, .id = id};

    assert_ok(oxbow_group_create(f->txn, group_of("s", name), &opt));
}

static inline enum oxbow_err try_put(struct streams *f, uint64_t ms, uint32_t priority)
{
    struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}, .priority = priority};

    return oxbow_stream_add(f->txn, BYTES("s"), &opt, &field, 1, NULL);
}

/* Adds 1-0, 2-0 ... with the priorities that the digits say, from `ms` on. */
static inline void put_all(struct streams *f, uint64_t ms, const char *digits)
{
    for (; *digits != '\0'; digits++, ms++) {
        assert_ok(try_put(f, ms, (uint32_t)(*digits - '0')));
    }
}

/* Reads the group: "5 1 2" are the ids' ms; valid until the next call. */
static inline const char *take(struct streams *f, const char *group, uint64_t count)
{
    static char text[65536];
    struct oxbow_group_read_options opt = {.count = count};
    size_t len = 0;

    assert_ok(oxbow_group_read(f->txn, group_of("s", group), BYTES("c"), &opt, &f->result));
    text[0] = '\0';
    for (size_t i = 0; i < f->result.entry_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i > 0 ? " " : "",
                                (int)f->result.entries[i].id.ms);
    }
    return text;
}

static inline uint64_t done(struct streams *f, const char *group, uint64_t ms)
{
    struct oxbow_id id = {ms, 0};
    uint64_t acked = 99;

    assert_ok(oxbow_group_ack(f->txn, group_of("s", group), &id, 1, &acked));
    return acked;
}

/* Up to where the group has acked without a gap. */
static inline uint64_t prefix(struct streams *f, const char *group)
{
    struct oxbow_acked_prefix p;

    assert_ok(oxbow_group_acked_prefix(f->txn, group_of("s", group), &p));
    return p.id.ms;
}

#endif
