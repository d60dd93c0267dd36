/* SPDX-License-Identifier: Apache-2.0 */
/* Replies in both versions byte for byte, late headers, marks, taking in steps, and the cap. */
#include "engine/resp/reply.h"

#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define B(text) ((struct oxbow_bytes){(text), sizeof(text) - 1})

static struct resp_reply begin(uint8_t version)
{
    struct resp_reply r;

    resp_reply_init(&r, &oxbow_port_default()->alloc, 0);
    r.version = version;
    return r;
}

/* What was written is exactly `expect`; takes it. */
static void assert_written(struct resp_reply *r, struct oxbow_bytes expect)
{
    struct oxbow_bytes got = resp_reply_peek(r, UINT64_MAX);

    assert_false(resp_reply_failed(r));
    if (got.len != expect.len || memcmp(got.data, expect.data, got.len) != 0) {
        print_error("wrote %.*s\nexpected %.*s\n", (int)got.len, (const char *)got.data,
                    (int)expect.len, (const char *)expect.data);
        fail();
    }
    resp_reply_taken(r, got.len);
    assert_int_equal(resp_reply_pending(r), 0);
}

static void scalars(struct resp_reply *r)
{
    resp_ok(r);
    resp_simple(r, "PONG");
    resp_error(r, "ERR a\r\nb\r\n");
    resp_error_format(r, "ERR no '%s' of %d", "x", 3);
    resp_error_of(r, OXBOW_EWRONGTYPE);
    resp_int(r, 0);
    resp_int(r, 10);
    resp_int(r, -1);
    resp_int(r, INT64_MIN);
    resp_bulk(r, B("a\r\n\0b"));
    resp_bulk(r, (struct oxbow_bytes){NULL, 0});
    resp_bulk_text(r, "text of ten+");
    resp_bulk_int(r, INT64_MAX);
    resp_bulk_id(r, (struct oxbow_id){UINT64_MAX, 0});
    memcpy(resp_bulk_space(r, 3), "abc", 3);
    resp_raw(r, B(":7\r\n"));
    resp_raw(r, B(""));
}

static const char scalars_written[] =
    "+OK\r\n+PONG\r\n-ERR a  b\r\n-ERR no 'x' of 3\r\n"
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
    ":0\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n"
    "$5\r\na\r\n\0b\r\n$0\r\n\r\n$12\r\ntext of ten+\r\n$19\r\n9223372036854775807\r\n"
    "$22\r\n18446744073709551615-0\r\n$3\r\nabc\r\n:7\r\n";

static void scalars_are_the_same_in_both_versions(void **state)
{
    (void)state;
    for (uint8_t version = 2; version <= 3; version++) {
        struct resp_reply r = begin(version);

        scalars(&r);
        assert_written(&r, B(scalars_written));
        resp_reply_fini(&r);
    }
}

static void typed(struct resp_reply *r)
{
    resp_null(r);
    resp_null_array(r);
    resp_bool(r, true);
    resp_bool(r, false);
    resp_verbatim(r, B("hello"));
    resp_bignum(r, B("123456789012345678901"));
    resp_array(r, 2);
    resp_map(r, 6);
    resp_set(r, 10);
    resp_push(r, 0);
}

static void types_of_resp3_are_said_as_redis_says_them_in_resp2(void **state)
{
    struct resp_reply r = begin(2);

    (void)state;
    typed(&r);
    assert_written(&r, B("$-1\r\n*-1\r\n:1\r\n:0\r\n$5\r\nhello\r\n$21\r\n123456789012345678901\r\n"
                         "*2\r\n*12\r\n*10\r\n*0\r\n"));
    r.version = 3;
    typed(&r);
    assert_written(&r, B("_\r\n_\r\n#t\r\n#f\r\n=9\r\ntxt:hello\r\n(123456789012345678901\r\n"
                         "*2\r\n%6\r\n~10\r\n>0\r\n"));
    resp_reply_fini(&r);
}

static void doubles_have_17_digits_as_in_redis_7_0(void **state)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {3, "3"},
        {-1.5, "-1.5"},
        {0.1, "0.10000000000000001"},
        {1e16, "10000000000000000"},
        {1e17, "1e+17"},
        {123456789012345678.0, "1.2345678901234568e+17"},
        {1795262984.8513463, "1795262984.8513463"},
        {1e-5, "1.0000000000000001e-05"},
        {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct resp_reply r = begin(2);
        char expect[64];
        int len;

        resp_double(&r, rows[i].v);
        len = snprintf(expect, sizeof expect, "$%zu\r\n%s\r\n", strlen(rows[i].text), rows[i].text);
        assert_written(&r, (struct oxbow_bytes){expect, (size_t)len});
        r.version = 3;
        resp_double(&r, rows[i].v);
        len = snprintf(expect, sizeof expect, ",%s\r\n", rows[i].text);
        assert_written(&r, (struct oxbow_bytes){expect, (size_t)len});
        resp_reply_fini(&r);
    }
}

static void a_length_that_comes_later_is_written_as_if_known(void **state)
{
    static const size_t counts[] = {0, 1, 9, 10, 99, 100, 12345};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint8_t version = 2; version <= 3; version++) {
            struct resp_reply now = begin(version), later = begin(version);
            struct resp_later outer, inner, pairs, set;
            struct oxbow_bytes expect;

            resp_ok(&now);
            resp_array(&now, counts[i]);
            resp_map(&now, counts[i]);
            resp_int(&now, 1);
            resp_set(&now, counts[i]);
            resp_int(&now, 2);
            resp_array(&now, 3);
            resp_bulk_text(&now, "end");

            resp_ok(&later);
            outer = resp_array_later(&later);
            pairs = resp_map_later(&later);
            resp_int(&later, 1);
            resp_later_set(&later, pairs, counts[i]);
            set = resp_set_later(&later);
            resp_int(&later, 2);
            resp_later_set(&later, set, counts[i]);
            inner = resp_array_later(&later);
            resp_bulk_text(&later, "end");
            resp_later_set(&later, inner, 3);
            resp_later_set(&later, outer, counts[i]);

            expect = resp_reply_peek(&now, UINT64_MAX);
            assert_written(&later, expect);
            resp_reply_fini(&now);
            resp_reply_fini(&later);
        }
    }
}

static void what_was_written_after_a_mark_can_be_taken_back(void **state)
{
    struct resp_reply r = begin(2);
    uint64_t mark;

    (void)state;
    resp_ok(&r);
    assert_written(&r, B("+OK\r\n"));
    resp_int(&r, 1);
    mark = resp_reply_mark(&r);
    assert_int_equal(mark, 9);
    resp_array(&r, 2);
    resp_int(&r, 2);
    resp_reply_rewind(&r, mark);
    resp_reply_rewind(&r, mark);
    assert_int_equal(resp_reply_mark(&r), mark);
    resp_null_array(&r);
    assert_written(&r, B(":1\r\n*-1\r\n"));
    resp_reply_fini(&r);
}

static void bytes_leave_in_steps_and_stay_in_place_meanwhile(void **state)
{
    struct resp_reply r = begin(2);
    struct oxbow_bytes first, bytes;
    uint64_t mark;

    (void)state;
    assert_int_equal(resp_reply_peek(&r, UINT64_MAX).len, 0);
    resp_simple(&r, "one");
    mark = resp_reply_mark(&r);
    resp_simple(&r, "two");
    assert_int_equal(resp_reply_peek(&r, 0).len, 0);
    first = resp_reply_peek(&r, mark);
    assert_int_equal(first.len, mark);
    for (int i = 0; i < 10000; i++) {
        resp_simple(&r, "three");
    }
    assert_memory_equal(first.data, "+one\r\n", 6);
    assert_ptr_equal(resp_reply_peek(&r, mark).data, first.data);
    resp_reply_taken(&r, 2);
    bytes = resp_reply_peek(&r, mark);
    assert_int_equal(bytes.len, 4);
    assert_memory_equal(bytes.data, "ne\r\n", 4);
    resp_reply_taken(&r, 4);
    assert_int_equal(resp_reply_peek(&r, mark).len, 0);
    bytes = resp_reply_peek(&r, UINT64_MAX);
    assert_int_equal(bytes.len, 6);
    assert_memory_equal(bytes.data, "+two\r\n", 6);
    assert_int_equal(resp_reply_pending(&r), 6 + 10000 * 8);
    resp_reply_taken(&r, 6);
    bytes = resp_reply_peek(&r, mark + 6 + 8);
    assert_int_equal(bytes.len, 8);
    bytes = resp_reply_peek(&r, UINT64_MAX);
    assert_int_equal(bytes.len, 80000);
    assert_int_equal(resp_reply_mark(&r), 80012);
    resp_reply_taken(&r, 80000);
    assert_int_equal(resp_reply_pending(&r), 0);
    resp_reply_fini(&r);
}

static void the_cap_is_exact_and_failure_is_for_good(void **state)
{
    (void)state;
    for (size_t cap = 9; cap <= 11; cap++) {
        struct resp_reply r;

        resp_reply_init(&r, &oxbow_port_default()->alloc, cap);
        resp_ok(&r);
        resp_simple(&r, "ab");
        assert_int_equal(resp_reply_failed(&r), cap < 10);
        assert_int_equal(resp_reply_pending(&r), cap < 10 ? 5 : 10);
        if (cap < 10) {
            resp_reply_taken(&r, resp_reply_peek(&r, UINT64_MAX).len);
            resp_ok(&r);
            assert_null(resp_bulk_space(&r, 1));
            assert_true(resp_reply_failed(&r));
            assert_int_equal(resp_reply_pending(&r), 0);
        }
        resp_reply_fini(&r);
    }
}

static void what_waits_to_be_sent_counts_against_the_cap(void **state)
{
    struct resp_reply r;

    (void)state;
    resp_reply_init(&r, &oxbow_port_default()->alloc, 10);
    resp_ok(&r);
    (void)resp_reply_peek(&r, UINT64_MAX);
    resp_ok(&r);
    assert_false(resp_reply_failed(&r));
    resp_reply_taken(&r, 5);
    resp_ok(&r);
    assert_false(resp_reply_failed(&r));
    resp_reply_limit(&r, 5);
    resp_ok(&r);
    assert_true(resp_reply_failed(&r));
    resp_reply_fini(&r);
    resp_reply_init(&r, &oxbow_port_default()->alloc, 100);
    assert_null(resp_bulk_space(&r, SIZE_MAX - 3));
    assert_true(resp_reply_failed(&r));
    resp_reply_fini(&r);
}

static void a_late_length_that_finds_no_room_fails_the_reply(void **state)
{
    struct resp_reply r;
    struct resp_later later;

    (void)state;
    resp_reply_init(&r, &oxbow_port_default()->alloc, 4);
    later = resp_array_later(&r);
    resp_later_set(&r, later, 9);
    assert_false(resp_reply_failed(&r));
    resp_later_set(&r, later, 10);
    assert_true(resp_reply_failed(&r));
    resp_later_set(&r, later, 1);
    resp_reply_fini(&r);
}

static void when_memory_is_out_the_reply_fails_and_nothing_leaks(void **state)
{
    int points = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct fault f;
        struct resp_reply r;
        struct resp_later later;

        fault_init(&f, oxbow_port_default());
        fault_arm_alloc(&f, n, 1);
        resp_reply_init(&r, &f.port.alloc, 0);
        later = resp_array_later(&r);
        for (int i = 0; i < 100; i++) {
            resp_bulk_text(&r, "some text");
            resp_double(&r, 1.25);
            if (i == 50) {
                resp_reply_taken(&r, resp_reply_peek(&r, 1).len);
            }
        }
        (void)later;
        assert_int_equal(resp_reply_failed(&r), f.alloc_failed > 0);
        assert_int_equal(resp_reply_memory(&r), f.live_bytes);
        resp_reply_fini(&r);
        assert_int_equal(f.live_bytes, 0);
        if (f.alloc_failed == 0) {
            break;
        }
        points++;
    }
    assert_in_range(points, 4, 100);
}

static void a_steady_connection_allocates_nothing_and_an_idle_one_holds_nothing(void **state)
{
    struct fault f;
    struct resp_reply r;

    (void)state;
    fault_init(&f, oxbow_port_default());
    resp_reply_init(&r, &f.port.alloc, 0);
    for (int i = 0; i < 1000; i++) {
        if (i == 10) {
            fault_arm_alloc(&f, 0, 0);
        }
        scalars(&r);
        assert_written(&r, B(scalars_written));
    }
    assert_int_equal(f.alloc_calls, 0);
    assert_true(f.live_bytes > 0);
    assert_non_null(resp_bulk_space(&r, 1000000));
    resp_reply_taken(&r, resp_reply_peek(&r, UINT64_MAX).len);
    assert_true(f.live_bytes < 2048);
    resp_ok(&r);
    resp_reply_idle(&r);
    assert_written(&r, B("+OK\r\n"));
    resp_reply_idle(&r);
    assert_int_equal(f.live_bytes, 0);
    resp_reply_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_the_same_in_both_versions),
        cmocka_unit_test(types_of_resp3_are_said_as_redis_says_them_in_resp2),
        cmocka_unit_test(doubles_have_17_digits_as_in_redis_7_0),
        cmocka_unit_test(a_length_that_comes_later_is_written_as_if_known),
        cmocka_unit_test(what_was_written_after_a_mark_can_be_taken_back),
        cmocka_unit_test(bytes_leave_in_steps_and_stay_in_place_meanwhile),
        cmocka_unit_test(the_cap_is_exact_and_failure_is_for_good),
        cmocka_unit_test(what_waits_to_be_sent_counts_against_the_cap),
        cmocka_unit_test(a_late_length_that_finds_no_room_fails_the_reply),
        cmocka_unit_test(when_memory_is_out_the_reply_fails_and_nothing_leaks),
        cmocka_unit_test(a_steady_connection_allocates_nothing_and_an_idle_one_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
