/* SPDX-License-Identifier: Apache-2.0 */
/* Shorthands for tests of sets: members as text. */
#ifndef OXBOW_TESTS_KEYVAL_SET_FIXTURE_H
#define OXBOW_TESTS_KEYVAL_SET_FIXTURE_H

#include "oxbow/set.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

/* Adds each of the letters. */
static inline uint64_t sadd(struct streams *f, const char *key, const char *letters)
{
    struct oxbow_bytes members[64];
    size_t n = strlen(letters);
    uint64_t added = 99;

    for (size_t i = 0; i < n; i++) {
        members[i] = (struct oxbow_bytes){letters + i, 1};
    }
    assert_ok(oxbow_set_add(f->txn, text_bytes(key), members, n, &added));
    return added;
}

static inline int letter_order(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

/* The items of a result, each of one letter, sorted; valid until the next call. */
static inline const char *letters(const struct oxbow_result *r)
{
    static char text[256];

    assert_true(r->item_count < sizeof text);
    for (size_t i = 0; i < r->item_count; i++) {
        assert_int_equal(r->items[i].len, 1);
        text[i] = *(const char *)r->items[i].data;
    }
    text[r->item_count] = '\0';
    qsort(text, r->item_count, 1, letter_order);
    return text;
}

static inline const char *sall(struct streams *f, const char *key)
{
    uint64_t count;

    assert_ok(oxbow_set_all(f->txn, text_bytes(key), &f->result));
    assert_ok(oxbow_set_count(f->txn, text_bytes(key), &count));
    assert_int_equal(f->result.item_count, count);
    return letters(&f->result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

#endif
