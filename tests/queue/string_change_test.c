/* SPDX-License-Identifier: Apache-2.0 */
/* Strings that are changed in part, short ones and long ones, against a model; what is refused; what a lack
 * of memory or room leaves. That replies are those of Redis: string_redis_test.c. */
#include "engine/queue/string.h"

#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#include <stdlib.h>

#define MODEL_MAX 200000u

struct model {
    uint8_t *bytes;
    size_t len;
};

static void assert_model(struct streams *f, const struct model *m)
{
    struct string s;
    uint64_t len;

    assert_ok(oxbow_string_len(f->txn, text_bytes("k"), &len));
    assert_int_equal(len, m->len);
    assert_ok(string_find(f->txn, text_bytes("k"), &s));
    assert_int_equal(s.blob != 0, m->len > STRING_INLINE_MAX);
    if (m->len > 0) {
        assert_ok(oxbow_string_get(f->txn, text_bytes("k"), &f->result));
        assert_int_equal(f->result.items[0].len, m->len);
        assert_memory_equal(f->result.items[0].data, m->bytes, m->len);
    }
}

static void random_change(struct streams *f, struct model *m, uint64_t *rng)
{
    size_t len = 1 + (size_t)(rig_random(rng) % 9000);
    size_t pos = (size_t)(rig_random(rng) % (m->len + 3000));
    uint8_t *bytes = malloc(len);
    uint64_t got;
    bool old;

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rig_random(rng);
    }
    switch (rig_random(rng) % 4) {
    case 0:
    case 1:
        assert_ok(
            oxbow_string_append(f->txn, text_bytes("k"), (struct oxbow_bytes){bytes, len}, &got));
        memcpy(m->bytes + m->len, bytes, len);
        m->len += len;
        assert_int_equal(got, m->len);
        break;
    case 2:
        assert_ok(oxbow_string_write(f->txn, text_bytes("k"), pos, (struct oxbow_bytes){bytes, len},
                                     &got));
        memcpy(m->bytes + pos, bytes, len);
        m->len = pos + len > m->len ? pos + len : m->len;
        assert_int_equal(got, m->len);
        break;
    default:
        assert_ok(oxbow_string_bit_set(f->txn, text_bytes("k"), pos * 8 + len % 8, true, &old));
        assert_int_equal(old, pos < m->len && (m->bytes[pos] & 0x80u >> len % 8) != 0);
        m->bytes[pos] |= (uint8_t)(0x80u >> len % 8);
        m->len = pos + 1 > m->len ? pos + 1 : m->len;
    }
    free(bytes);
}

static void values_are_changed_in_part_whatever_their_length(void **state)
{
    struct streams *f = *state;
    struct model m = {calloc(1, MODEL_MAX), 0};
    uint64_t rng = rig_seed("string_change_test");

    assert_non_null(m.bytes);
    for (int i = 0; i < 400; i++) {
        random_change(f, &m, &rng);
        if (i % 10 == 0) {
            assert_model(f, &m);
        }
        if (i % 50 == 0) {
            streams_reopen(f);
        }
        if (m.len > MODEL_MAX - 30000) {
            bool existed;

            assert_ok(oxbow_key_delete(f->txn, text_bytes("k"), &existed));
            memset(m.bytes, 0, MODEL_MAX);
            m.len = 0;
        }
    }
    streams_reopen(f);
    assert_model(f, &m);
    free(m.bytes);
}

static void counters_keep_their_value_over_aborts_and_reopening(void **state)
{
    struct streams *f = *state;
    int64_t value;

    assert_ok(oxbow_string_add(f->txn, text_bytes("n"), 9, &value));
    assert_ok(oxbow_string_add(f->txn, text_bytes("n"), 1, NULL));
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_string_add(f->txn, text_bytes("n"), -8, &value)); /* a shorter text */
    assert_int_equal(value, 2);
    streams_abort(f);
    streams_begin(f);
    streams_reopen(f);
    assert_ok(oxbow_string_add(f->txn, text_bytes("n"), 1, &value));
    assert_int_equal(value, 11);
    assert_ok(oxbow_string_add_float(f->txn, text_bytes("n"), text_bytes("0.5"), &f->result));
    assert_memory_equal(f->result.items[0].data, "11.5", 4);
}

static void a_set_with_a_time_that_is_over_leaves_no_key(void **state)
{
    struct streams *f = *state;
    const struct oxbow_string_set_options past = {.expire_wall_ms = 1000};
    const struct oxbow_string_set_options keep = {.flags = OXBOW_SET_KEEPTTL};
    const struct oxbow_string_set_options timed = {.ttl_ms = 500};
    enum oxbow_type type;
    uint64_t left;
    bool done;

    assert_ok(oxbow_string_set(f->txn, text_bytes("k"), text_bytes("v")));
    assert_ok(oxbow_string_set_with(f->txn, text_bytes("k"), text_bytes("w"), &past, &done, NULL));
    assert_true(done);
    assert_ok(oxbow_key_type(f->txn, text_bytes("k"), &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    assert_ok(oxbow_string_set_with(f->txn, text_bytes("k"), text_bytes("w"), &timed, &done, NULL));
    assert_ok(oxbow_string_set_with(f->txn, text_bytes("k"), text_bytes("x"), &keep, &done, NULL));
    assert_ok(oxbow_string_append(f->txn, text_bytes("k"), text_bytes("y"), NULL));
    assert_ok(oxbow_key_ttl(f->txn, text_bytes("k"), &left));
    assert_int_equal(left, 500);
    streams_commit(f);
    rig_pass_ms(&f->rig, 500);
    streams_begin(f);
    assert_ok(oxbow_string_append(f->txn, text_bytes("k"), text_bytes("new"), &left));
    assert_int_equal(left, 3); /* to nothing */
    assert_ok(oxbow_key_ttl(f->txn, text_bytes("k"), &left));
    assert_true(left == UINT64_MAX);
}

static void what_does_not_make_sense_is_refused_and_changes_nothing(void **state)
{
    struct streams *f = *state;
    const struct oxbow_bytes k = text_bytes("k");
    const struct oxbow_bytes null = {NULL, 3};
    const struct oxbow_string_set_options bad[] = {{.flags = OXBOW_SET_NX | OXBOW_SET_XX},
                                                   {.flags = 16},
                                                   {.flags = OXBOW_SET_KEEPTTL, .ttl_ms = 1},
                                                   {.ttl_ms = 1, .expire_wall_ms = 1},
                                                   {.ttl_ms = -1},
                                                   {.expire_wall_ms = -1},
                                                   {.flags = OXBOW_SET_GET}};
    struct oxbow_bit_field fields[] = {{.bits = 0},
                                       {.bits = 64},
                                       {.bits = 65, .is_signed = true},
                                       {.bits = 8, .bit = UINT64_MAX - 3}};
    uint64_t n;
    bool on;

    assert_ok(oxbow_string_set(f->txn, k, text_bytes("v")));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_err(oxbow_string_set_with(f->txn, k, text_bytes("w"), &bad[i], &on, NULL),
                   OXBOW_EINVAL);
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        assert_err(oxbow_string_bit_fields(f->txn, k, &fields[i], 1), OXBOW_EINVAL);
    }
    assert_err(oxbow_string_append(f->txn, k, null, &n), OXBOW_EINVAL);
    assert_err(oxbow_string_write(f->txn, k, 0, null, &n), OXBOW_EINVAL);
    assert_err(oxbow_string_write(f->txn, k, (uint64_t)1 << 40, text_bytes("x"), &n),
               OXBOW_ETOOBIG);
    assert_err(oxbow_string_write(f->txn, k, UINT64_MAX, text_bytes("x"), &n), OXBOW_ETOOBIG);
    assert_err(oxbow_string_bit_set(f->txn, k, UINT64_MAX, true, &on), OXBOW_ETOOBIG);
    assert_err(oxbow_string_bit_set(f->txn, k, (uint64_t)UINT32_MAX * 8 - 1, true, &on),
               OXBOW_ETOOBIG);
    assert_err(oxbow_string_bit_op(f->txn, OXBOW_BIT_AND, k, &k, 0, &n), OXBOW_EINVAL);
    assert_err(oxbow_string_bit_op(f->txn, OXBOW_BIT_NOT, k, (struct oxbow_bytes[]){k, k}, 2, &n),
               OXBOW_EINVAL);
    assert_err(oxbow_string_add_float(f->txn, k, null, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_string_range(f->txn, k, 0, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_string_bit_count(f->txn, k, NULL, NULL), OXBOW_EINVAL);
    streams_commit(f); /* all that left it as it was */
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_string_add(f->txn, k, 1, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_string_add_float(f->txn, k, text_bytes("1"), &f->result), OXBOW_EREADONLY);
    assert_err(oxbow_string_append(f->txn, k, text_bytes("1"), NULL), OXBOW_EREADONLY);
    assert_err(oxbow_string_write(f->txn, k, 0, text_bytes("1"), NULL), OXBOW_EREADONLY);
    assert_err(oxbow_string_bit_set(f->txn, k, 0, true, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_string_bit_op(f->txn, OXBOW_BIT_OR, k, &k, 1, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_string_take(f->txn, k, &f->result), OXBOW_EREADONLY);
    fields[0] = (struct oxbow_bit_field){.kind = OXBOW_BIT_SET, .bits = 8};
    assert_err(oxbow_string_bit_fields(f->txn, k, fields, 1), OXBOW_EREADONLY);
    fields[0].kind = OXBOW_BIT_GET;
    assert_ok(oxbow_string_bit_fields(f->txn, k, fields, 1));
    assert_int_equal(fields[0].result, 'v');
}

static void a_full_store_refuses_what_grows_and_still_deletes(void **state)
{
    static uint8_t bytes[60000];
    struct streams *f = calloc(1, sizeof *f);
    enum oxbow_err err = OXBOW_OK;
    char name[16];
    int i = 0;

    (void)state;
    assert_non_null(f);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.config.quota_bytes = (uint64_t)4 << 20;
    rig_open(&f->rig);
    streams_begin(f);
    for (; err == OXBOW_OK && i < 1000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        err = oxbow_string_append(f->txn, text_bytes(name),
                                  (struct oxbow_bytes){bytes, sizeof bytes}, NULL);
        streams_commit(f);
        streams_begin(f);
    }
    assert_err(err, OXBOW_EQUOTA);
    assert_err(oxbow_string_append(f->txn, text_bytes("k0"),
                                   (struct oxbow_bytes){bytes, sizeof bytes}, NULL),
               OXBOW_EQUOTA);
    assert_ok(oxbow_string_take(f->txn, text_bytes("k1"), &f->result));
    assert_int_equal(f->result.items[0].len, sizeof bytes);
    streams_commit(f);
    rig_fini(&f->rig);
    oxbow_result_fini(&f->result);
    free(f);
}

/* One transaction with all of it; what it gave. */
static enum oxbow_err change_all(struct oxbow_txn *txn, struct oxbow_result *result)
{
    static uint8_t bytes[70000];
    const struct oxbow_string_set_options timed = {.flags = OXBOW_SET_GET, .ttl_ms = 1000};
    struct oxbow_bit_field field = {.kind = OXBOW_BIT_ADD, .bits = 8, .value = 1, .bit = 9};
    const struct oxbow_bytes keys[] = {BYTES("a"), BYTES("b")};
    enum oxbow_err err = oxbow_string_set_with(txn, keys[0], BYTES("1"), &timed, NULL, result);

    err = err == OXBOW_OK ? oxbow_string_add(txn, keys[0], 1, NULL) : err;
    err = err == OXBOW_OK ? oxbow_string_add_float(txn, keys[0], BYTES("0.5"), result) : err;
    err = err == OXBOW_OK
              ? oxbow_string_append(txn, keys[1], (struct oxbow_bytes){bytes, sizeof bytes}, NULL)
              : err;
    err = err == OXBOW_OK ? oxbow_string_write(txn, keys[1], 5, BYTES("x"), NULL) : err;
    err = err == OXBOW_OK ? oxbow_string_bit_op(txn, OXBOW_BIT_OR, BYTES("c"), keys, 2, NULL) : err;
    err = err == OXBOW_OK ? oxbow_string_bit_fields(txn, BYTES("d"), &field, 1) : err;
    return err == OXBOW_OK ? oxbow_string_take(txn, BYTES("c"), result) : err;
}

static void a_lack_of_memory_leaves_all_or_nothing(void **state)
{
    uint64_t points = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct oxbow_result result = {0};
        struct oxbow_txn *txn;
        struct fault fault;
        struct rig rig;
        uint64_t count;
        enum oxbow_err err;
        bool met;

        rig_init(&rig, OXBOW_SYNC_INTERVAL);
        fault_init(&fault, &rig.port);
        rig.config.port = &fault.port;
        rig_open(&rig);
        txn = rig_begin(&rig, 0);
        assert_ok(oxbow_string_set(txn, BYTES("a"), BYTES("0")));
        rig_commit(txn);
        txn = rig_begin(&rig, 0);
        fault_arm_alloc(&fault, n, 1);
        err = change_all(txn, &result);
        met = fault.alloc_failed > 0;
        fault_disarm(&fault);
        assert_true(err == OXBOW_OK || (met && err == OXBOW_ENOMEM));
        if (err == OXBOW_OK) {
            rig_commit(txn);
        } else {
            rig_abort(txn);
        }
        txn = rig_begin(&rig, OXBOW_TXN_READ);
        assert_ok(oxbow_key_count(txn, &count));
        assert_int_equal(count, err == OXBOW_OK ? 3 : 1);
        assert_ok(oxbow_string_get(txn, BYTES("a"), &result));
        assert_memory_equal(result.items[0].data, err == OXBOW_OK ? "2.5" : "0",
                            err == OXBOW_OK ? 3 : 1);
        rig_abort(txn);
        oxbow_result_fini(&result);
        rig_fini(&rig);
        assert_int_equal(fault.live_bytes, 0);
        if (!met) {
            break;
        }
        points++;
    }
    assert_true(points > 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_changed_in_part_whatever_their_length),
        TEST(counters_keep_their_value_over_aborts_and_reopening),
        TEST(a_set_with_a_time_that_is_over_leaves_no_key),
        TEST(what_does_not_make_sense_is_refused_and_changes_nothing),
        cmocka_unit_test(a_full_store_refuses_what_grows_and_still_deletes),
        cmocka_unit_test(a_lack_of_memory_leaves_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
