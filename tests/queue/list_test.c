/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, command by command, with every error that the header promises. */
#include "tests/queue/fixture.h"

#include "oxbow/stream.h"

#include <stdlib.h>

#define KEY bytes_of("list")

static void push(struct fixture *f, const char *words, enum oxbow_end end)
{
    char copy[512];
    char *save = NULL;

    snprintf(copy, sizeof(copy), "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        struct oxbow_bytes v = bytes_of(w);

        assert_ok(oxbow_list_push(f->txn, KEY, end, &v, 1, NULL));
    }
}

static void assert_list(struct fixture *f, const char *want)
{
    assert_ok(oxbow_list_range(f->txn, KEY, 0, -1, &f->result));
    assert_items(f, want);
}

static void make_stream(struct fixture *f, const char *key)
{
    struct oxbow_stream_add_options add = {0};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, bytes_of(key), &add, &field, 1, &id));
}

static void push_adds_one_after_the_other_at_its_end(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes v[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    uint64_t len;

    assert_ok(oxbow_list_push(f->txn, KEY, OXBOW_LEFT, v, 3, &len));
    assert_int_equal(len, 3);
    assert_ok(oxbow_list_push(f->txn, KEY, OXBOW_RIGHT, v, 3, &len));
    assert_int_equal(len, 6);
    assert_list(f, "c b a a b c");
}

static void push_refuses_what_makes_no_sense(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes v = bytes_of("a");
    struct oxbow_bytes bad = {NULL, 3};
    uint64_t len = 7;

    assert_err(oxbow_list_push(f->txn, KEY, OXBOW_LEFT, &v, 0, &len), OXBOW_EINVAL);
    assert_err(oxbow_list_push(f->txn, KEY, OXBOW_LEFT, NULL, 1, &len), OXBOW_EINVAL);
    assert_err(oxbow_list_push(f->txn, KEY, OXBOW_LEFT, &bad, 1, &len), OXBOW_EINVAL);
    assert_err(oxbow_list_push(f->txn, KEY, (enum oxbow_end)2, &v, 1, &len), OXBOW_EINVAL);
    assert_int_equal(len, 7);
    make_stream(f, "list");
    assert_err(oxbow_list_push(f->txn, KEY, OXBOW_LEFT, &v, 1, &len), OXBOW_EWRONGTYPE);
    fixture_commit(f); /* the transaction goes on after all of these */
}

static void push_existing_does_nothing_without_a_list(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes v = bytes_of("a");
    enum oxbow_type type;
    uint64_t len = 7;

    assert_ok(oxbow_list_push_existing(f->txn, KEY, OXBOW_LEFT, &v, 1, &len));
    assert_int_equal(len, 0);
    assert_ok(oxbow_key_type(f->txn, KEY, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    push(f, "x", OXBOW_LEFT);
    assert_ok(oxbow_list_push_existing(f->txn, KEY, OXBOW_LEFT, &v, 1, &len));
    assert_int_equal(len, 2);
    assert_list(f, "a x");
}

static void pop_takes_up_to_count_in_the_order_they_come_off(void **state)
{
    struct fixture *f = *state;
    uint64_t count;

    assert_err(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 1, &f->result), OXBOW_ENOENT);
    assert_err(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 0, &f->result), OXBOW_ENOENT);
    push(f, "a b c d e", OXBOW_RIGHT);
    assert_ok(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 0, &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_ok(oxbow_list_pop(f->txn, KEY, OXBOW_RIGHT, 2, &f->result));
    assert_items(f, "e d");
    assert_ok(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 2, &f->result));
    assert_items(f, "a b");
    assert_ok(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 100, &f->result));
    assert_items(f, "c");
    assert_ok(oxbow_key_count(f->txn, &count));
    assert_int_equal(count, 0);
    assert_err(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 1, &f->result), OXBOW_ENOENT);
    assert_err(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_pop(f->txn, KEY, (enum oxbow_end)5, 1, &f->result), OXBOW_EINVAL);
}

static void pop_first_takes_from_the_first_key_that_is_there(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes keys[] = {bytes_of("none"), KEY, bytes_of("stream")};
    struct oxbow_list_pop_options pop = {.keys = keys, .key_count = 3};
    size_t which;

    make_stream(f, "stream");
    assert_err(oxbow_list_pop_first(f->txn, &pop, &which, &f->result), OXBOW_EWRONGTYPE);
    push(f, "a b", OXBOW_RIGHT);
    assert_ok(oxbow_list_pop_first(f->txn, &pop, &which, &f->result));
    assert_items(f, "a");
    assert_int_equal(which, 1);
    pop.end = OXBOW_RIGHT;
    pop.count = 9;
    assert_ok(oxbow_list_pop_first(f->txn, &pop, NULL, &f->result));
    assert_items(f, "b");
    pop.key_count = 2;
    assert_err(oxbow_list_pop_first(f->txn, &pop, &which, &f->result), OXBOW_ENOENT);
    pop.key_count = 0;
    assert_err(oxbow_list_pop_first(f->txn, &pop, &which, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_list_pop_first(f->txn, NULL, &which, &f->result), OXBOW_EINVAL);
}

static void ranges_and_indexes_count_from_both_ends(void **state)
{
    struct fixture *f = *state;
    uint64_t len;

    assert_list(f, "");
    assert_ok(oxbow_list_len(f->txn, KEY, &len));
    assert_int_equal(len, 0);
    assert_err(oxbow_list_index(f->txn, KEY, 0, &f->result), OXBOW_ENOENT);
    push(f, "a b c d", OXBOW_RIGHT);
    assert_ok(oxbow_list_range(f->txn, KEY, -3, 2, &f->result));
    assert_items(f, "b c");
    assert_ok(oxbow_list_range(f->txn, KEY, -100, 100, &f->result));
    assert_items(f, "a b c d");
    assert_ok(oxbow_list_range(f->txn, KEY, INT64_MIN, INT64_MAX, &f->result));
    assert_items(f, "a b c d");
    assert_ok(oxbow_list_range(f->txn, KEY, 3, 1, &f->result));
    assert_items(f, "");
    assert_ok(oxbow_list_range(f->txn, KEY, 4, 9, &f->result));
    assert_items(f, "");
    assert_ok(oxbow_list_range(f->txn, KEY, 0, -5, &f->result));
    assert_items(f, "");
    assert_ok(oxbow_list_index(f->txn, KEY, -1, &f->result));
    assert_items(f, "d");
    assert_ok(oxbow_list_index(f->txn, KEY, 3, &f->result));
    assert_items(f, "d");
    assert_err(oxbow_list_index(f->txn, KEY, 4, &f->result), OXBOW_ENOENT);
    assert_err(oxbow_list_index(f->txn, KEY, -5, &f->result), OXBOW_ENOENT);
    assert_err(oxbow_list_index(f->txn, KEY, INT64_MIN, &f->result), OXBOW_ENOENT);
    assert_err(oxbow_list_index(f->txn, KEY, INT64_MAX, &f->result), OXBOW_ENOENT);
}

static void every_command_refuses_another_type_and_missing_places_for_results(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes v = bytes_of("v");
    struct oxbow_list_info info;
    uint64_t n;
    int64_t len;
    size_t found;

    make_stream(f, "list");
    assert_err(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 1, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_push_existing(f->txn, KEY, OXBOW_LEFT, &v, 1, &n), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_len(f->txn, KEY, &n), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_range(f->txn, KEY, 0, 1, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_peek(f->txn, KEY, OXBOW_LEFT, 0, 0, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_index(f->txn, KEY, 0, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_set(f->txn, KEY, 0, v), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_insert(f->txn, KEY, true, v, v, &len), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_remove(f->txn, KEY, 0, v, &n), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_trim(f->txn, KEY, 0, 1), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_pos(f->txn, KEY, v, NULL, &n, &found), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_info(f->txn, KEY, &info), OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_move(f->txn, KEY, KEY, OXBOW_LEFT, OXBOW_LEFT, &f->result),
               OXBOW_EWRONGTYPE);
    assert_err(oxbow_list_len(f->txn, KEY, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_range(f->txn, KEY, 0, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_peek(f->txn, KEY, OXBOW_LEFT, 0, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_index(f->txn, KEY, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_info(f->txn, KEY, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_pos(f->txn, KEY, v, NULL, NULL, &found), OXBOW_EINVAL);
    assert_err(oxbow_list_pos(f->txn, KEY, v, NULL, &n, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_move(f->txn, KEY, KEY, OXBOW_LEFT, OXBOW_LEFT, NULL), OXBOW_EINVAL);
    assert_err(oxbow_list_remove(f->txn, KEY, 0, (struct oxbow_bytes){NULL, 1}, &n), OXBOW_EINVAL);
    assert_err(oxbow_list_insert(f->txn, KEY, true, (struct oxbow_bytes){NULL, 1}, v, &len),
               OXBOW_EINVAL);
    fixture_commit(f);
}

static void set_replaces_one_element(void **state)
{
    struct fixture *f = *state;

    assert_err(oxbow_list_set(f->txn, KEY, 0, bytes_of("x")), OXBOW_ENOENT);
    push(f, "a b c", OXBOW_RIGHT);
    assert_ok(oxbow_list_set(f->txn, KEY, -1, bytes_of("longer than before")));
    assert_ok(oxbow_list_set(f->txn, KEY, 0, bytes_of("x")));
    assert_ok(oxbow_list_set(f->txn, KEY, 1, bytes_of("")));
    assert_list(f, "x  longer than before");
    assert_err(oxbow_list_set(f->txn, KEY, 3, bytes_of("x")), OXBOW_ERANGE);
    assert_err(oxbow_list_set(f->txn, KEY, -4, bytes_of("x")), OXBOW_ERANGE);
    assert_err(oxbow_list_set(f->txn, KEY, INT64_MIN, bytes_of("x")), OXBOW_ERANGE);
}

static void insert_finds_its_pivot_from_the_left(void **state)
{
    struct fixture *f = *state;
    int64_t len;

    assert_ok(oxbow_list_insert(f->txn, KEY, true, bytes_of("b"), bytes_of("x"), &len));
    assert_int_equal(len, 0);
    push(f, "a b b", OXBOW_RIGHT);
    assert_ok(oxbow_list_insert(f->txn, KEY, true, bytes_of("b"), bytes_of("x"), &len));
    assert_int_equal(len, 4);
    assert_ok(oxbow_list_insert(f->txn, KEY, false, bytes_of("b"), bytes_of("y"), NULL));
    assert_list(f, "a x b y b");
    assert_ok(oxbow_list_insert(f->txn, KEY, true, bytes_of("q"), bytes_of("x"), &len));
    assert_int_equal(len, -1);
}

static void remove_counts_from_either_end(void **state)
{
    struct fixture *f = *state;
    uint64_t n;
    uint64_t count;

    assert_ok(oxbow_list_remove(f->txn, KEY, 0, bytes_of("a"), &n));
    assert_int_equal(n, 0);
    push(f, "a b a c a d a", OXBOW_RIGHT);
    assert_ok(oxbow_list_remove(f->txn, KEY, 1, bytes_of("a"), &n));
    assert_list(f, "b a c a d a");
    assert_ok(oxbow_list_remove(f->txn, KEY, -2, bytes_of("a"), &n));
    assert_int_equal(n, 2);
    assert_list(f, "b a c d");
    assert_ok(oxbow_list_remove(f->txn, KEY, 0, bytes_of("z"), &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_list_remove(f->txn, KEY, INT64_MIN, bytes_of("a"), &n));
    assert_int_equal(n, 1);
    for (const char *w = "bcd"; *w != '\0'; w++) {
        assert_ok(oxbow_list_remove(f->txn, KEY, 0, (struct oxbow_bytes){w, 1}, NULL));
    }
    assert_ok(oxbow_key_count(f->txn, &count));
    assert_int_equal(count, 0);
}

static void trim_keeps_a_range(void **state)
{
    struct fixture *f = *state;
    uint64_t count;

    assert_ok(oxbow_list_trim(f->txn, KEY, 0, -1));
    push(f, "a b c d e f", OXBOW_RIGHT);
    assert_ok(oxbow_list_trim(f->txn, KEY, 1, -2));
    assert_list(f, "b c d e");
    assert_ok(oxbow_list_trim(f->txn, KEY, -100, 2));
    assert_list(f, "b c d");
    assert_ok(oxbow_list_trim(f->txn, KEY, 2, 1));
    assert_ok(oxbow_key_count(f->txn, &count));
    assert_int_equal(count, 0);
}

static void a_lone_element_that_goes_round_keeps_its_lists_time_to_live(void **state)
{
    struct fixture *f = *state;
    enum oxbow_expire_done done;
    uint64_t left;

    push(f, "a", OXBOW_RIGHT);
    assert_ok(oxbow_key_expire(f->txn, KEY, 100000, 0, &done));
    assert_int_equal(done, OXBOW_EXPIRE_SET);
    assert_ok(oxbow_list_move(f->txn, KEY, KEY, OXBOW_LEFT, OXBOW_RIGHT, &f->result));
    assert_items(f, "a");
    assert_list(f, "a");
    assert_ok(oxbow_key_ttl(f->txn, KEY, &left));
    assert_in_range(left, 1, 100000);
}

static void move_goes_between_lists_and_round_one(void **state)
{
    struct fixture *f = *state;
    uint64_t count;

    assert_err(oxbow_list_move(f->txn, KEY, bytes_of("to"), OXBOW_LEFT, OXBOW_LEFT, &f->result),
               OXBOW_ENOENT);
    push(f, "a b c", OXBOW_RIGHT);
    assert_ok(oxbow_list_move(f->txn, KEY, bytes_of("to"), OXBOW_RIGHT, OXBOW_LEFT, &f->result));
    assert_items(f, "c");
    assert_ok(oxbow_list_move(f->txn, KEY, KEY, OXBOW_LEFT, OXBOW_RIGHT, &f->result));
    assert_list(f, "b a");
    make_stream(f, "stream");
    assert_err(oxbow_list_move(f->txn, KEY, bytes_of("stream"), OXBOW_LEFT, OXBOW_LEFT, &f->result),
               OXBOW_EWRONGTYPE);
    assert_list(f, "b a");
    assert_ok(oxbow_list_move(f->txn, bytes_of("to"), bytes_of("to"), OXBOW_LEFT, OXBOW_LEFT,
                              &f->result)); /* a list of one */
    assert_items(f, "c");
    assert_ok(oxbow_key_count(f->txn, &count));
    assert_int_equal(count, 3);
}

static void pos_honours_rank_count_and_maxlen(void **state)
{
    struct fixture *f = *state;
    struct oxbow_list_pos_options opt = {.max = 8};
    uint64_t pos[8];
    size_t found;

    assert_ok(oxbow_list_pos(f->txn, KEY, bytes_of("a"), &opt, pos, &found));
    assert_int_equal(found, 0);
    push(f, "a b a c a", OXBOW_RIGHT);
    assert_ok(oxbow_list_pos(f->txn, KEY, bytes_of("a"), NULL, pos, &found));
    assert_int_equal(found, 1);
    assert_int_equal(pos[0], 0);
    assert_ok(oxbow_list_pos(f->txn, KEY, bytes_of("a"), &opt, pos, &found));
    assert_int_equal(found, 3);
    assert_int_equal(pos[2], 4);
    opt.rank = -2;
    assert_ok(oxbow_list_pos(f->txn, KEY, bytes_of("a"), &opt, pos, &found));
    assert_int_equal(found, 2);
    assert_int_equal(pos[0], 2);
    assert_int_equal(pos[1], 0);
    opt.rank = 2;
    opt.maxlen = 2;
    assert_ok(oxbow_list_pos(f->txn, KEY, bytes_of("a"), &opt, pos, &found));
    assert_int_equal(found, 0);
    opt.rank = INT64_MIN;
    assert_err(oxbow_list_pos(f->txn, KEY, bytes_of("a"), &opt, pos, &found), OXBOW_EINVAL);
}

static void peek_stops_by_count_and_by_bytes_but_gives_one(void **state)
{
    struct fixture *f = *state;

    assert_ok(oxbow_list_peek(f->txn, KEY, OXBOW_LEFT, 0, 0, &f->result));
    assert_items(f, "");
    push(f, "aaaa bbbb cccc", OXBOW_RIGHT);
    assert_ok(oxbow_list_peek(f->txn, KEY, OXBOW_LEFT, 0, 1, &f->result));
    assert_items(f, "aaaa");
    assert_ok(oxbow_list_peek(f->txn, KEY, OXBOW_LEFT, 0, 5, &f->result));
    assert_items(f, "aaaa bbbb");
    assert_ok(oxbow_list_peek(f->txn, KEY, OXBOW_RIGHT, 2, 0, &f->result));
    assert_items(f, "cccc bbbb");
    assert_err(oxbow_list_peek(f->txn, KEY, (enum oxbow_end)2, 0, 0, &f->result), OXBOW_EINVAL);
}

static void values_of_every_size_come_back(void **state)
{
    struct fixture *f = *state;
    static const size_t lens[] = {0,    1,    190,  191,   192,   193,   1999,
                                  2000, 2001, 4075, 65535, 65536, 65537, 1 << 20};
    char *data = malloc(1 << 20);

    for (size_t i = 0; i < 1 << 20; i++) {
        data[i] = (char)(i * 7 + i / 251);
    }
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct oxbow_bytes v = {data + i, lens[i] > 100 ? lens[i] - i : lens[i]};

        assert_ok(oxbow_list_push(f->txn, KEY, i % 2 == 0 ? OXBOW_LEFT : OXBOW_RIGHT, &v, 1, NULL));
    }
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    for (size_t i = sizeof(lens) / sizeof(lens[0]); i-- > 0;) {
        size_t len = lens[i] > 100 ? lens[i] - i : lens[i];

        assert_ok(
            oxbow_list_pop(f->txn, KEY, i % 2 == 0 ? OXBOW_LEFT : OXBOW_RIGHT, 1, &f->result));
        assert_int_equal(f->result.items[0].len, len);
        assert_memory_equal(f->result.items[0].data, data + i, len);
    }
    free(data);
}

static void a_value_over_the_limit_is_refused_and_changes_nothing(void **state)
{
    struct oxbow_config config = {.sync = OXBOW_SYNC_INTERVAL, .entry_bytes = 5000};
    struct fixture f;
    static char data[5001];
    struct oxbow_bytes v[2] = {{data, 4999}, {data, 5000}};
    struct oxbow_bytes over = {data, 5001};
    struct oxbow_bytes mixed[2] = {{data, 1}, {data, 5001}};
    int64_t n;

    (void)state;
    fixture_init(&f, &config);
    fixture_begin(&f);
    assert_ok(oxbow_list_push(f.txn, KEY, OXBOW_LEFT, v, 2, NULL));
    assert_err(oxbow_list_push(f.txn, KEY, OXBOW_LEFT, &over, 1, NULL), OXBOW_ETOOBIG);
    assert_err(oxbow_list_push(f.txn, KEY, OXBOW_LEFT, mixed, 2, NULL), OXBOW_ETOOBIG);
    assert_err(oxbow_list_set(f.txn, KEY, 0, over), OXBOW_ETOOBIG);
    assert_err(oxbow_list_insert(f.txn, KEY, true, v[0], over, &n), OXBOW_ETOOBIG);
    assert_ok(oxbow_list_len(f.txn, KEY, (uint64_t *)&n));
    assert_int_equal(n, 2);
    fixture_commit(&f);
    fixture_fini(&f);
}

static void a_long_list_is_reached_by_index_and_in_the_middle(void **state)
{
    enum { N = 20000 };
    struct fixture *f = *state;
    char text[24];
    uint64_t n;
    int64_t len;

    for (int i = 0; i < N; i++) {
        struct oxbow_bytes v = {text, (size_t)snprintf(text, sizeof(text), "%d", i)};

        assert_ok(oxbow_list_push(f->txn, KEY, OXBOW_RIGHT, &v, 1, NULL));
    }
    for (int i = 0; i < N; i += 777) {
        snprintf(text, sizeof(text), "%d", i);
        assert_ok(oxbow_list_index(f->txn, KEY, i, &f->result));
        assert_items(f, text);
        assert_ok(oxbow_list_index(f->txn, KEY, i - N, &f->result));
        assert_items(f, text);
    }
    assert_ok(oxbow_list_insert(f->txn, KEY, false, bytes_of("10000"), bytes_of("new"), &len));
    assert_int_equal(len, N + 1);
    assert_ok(oxbow_list_remove(f->txn, KEY, 1, bytes_of("5000"), &n));
    assert_ok(oxbow_list_index(f->txn, KEY, 10000, &f->result));
    assert_items(f, "new");
    assert_ok(oxbow_list_index(f->txn, KEY, 4999, &f->result));
    assert_items(f, "4999");
    assert_ok(oxbow_list_index(f->txn, KEY, 5000, &f->result));
    assert_items(f, "5001");
    assert_ok(oxbow_list_trim(f->txn, KEY, -3, -1));
    assert_list(f, "19997 19998 19999");
}

static void a_read_only_transaction_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_bytes v = bytes_of("v");
    uint64_t n;
    int64_t len;

    push(f, "a b", OXBOW_RIGHT);
    fixture_commit(f);
    assert_ok(oxbow_txn_begin(f->db, &opt, &f->txn));
    assert_err(oxbow_list_push(f->txn, KEY, OXBOW_LEFT, &v, 1, &n), OXBOW_EREADONLY);
    assert_err(oxbow_list_push_existing(f->txn, KEY, OXBOW_LEFT, &v, 1, &n), OXBOW_EREADONLY);
    assert_err(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 1, &f->result), OXBOW_EREADONLY);
    assert_err(oxbow_list_set(f->txn, KEY, 0, v), OXBOW_EREADONLY);
    assert_err(oxbow_list_insert(f->txn, KEY, true, v, v, &len), OXBOW_EREADONLY);
    assert_err(oxbow_list_remove(f->txn, KEY, 0, v, &n), OXBOW_EREADONLY);
    assert_err(oxbow_list_trim(f->txn, KEY, 0, 0), OXBOW_EREADONLY);
    assert_err(oxbow_list_move(f->txn, KEY, KEY, OXBOW_LEFT, OXBOW_LEFT, &f->result),
               OXBOW_EREADONLY);
    assert_err(oxbow_key_delete(f->txn, KEY, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_key_rename(f->txn, KEY, v, false), OXBOW_EREADONLY);
    assert_err(oxbow_key_flush(f->txn), OXBOW_EREADONLY);
    assert_err(oxbow_key_swap(f->txn, 0, 1), OXBOW_EREADONLY);
    assert_list(f, "a b");
    fixture_commit(f);
}

static void what_is_popped_empty_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;
    struct oxbow_bytes v = bytes_of("x");

    for (int i = 0; i < 50; i++) {
        assert_ok(oxbow_list_push(f->txn, KEY, i % 2 == 0 ? OXBOW_LEFT : OXBOW_RIGHT, &v, 1, NULL));
        assert_ok(oxbow_list_pop(f->txn, KEY, OXBOW_LEFT, 1, &f->result));
    }
    fixture_commit(f);
    assert_ok(oxbow_flush(f->db));
    oxbow_stat(f->db, &before);
    fixture_begin(f);
    push(f, "a b c", OXBOW_LEFT);
    assert_ok(oxbow_list_pop(f->txn, KEY, OXBOW_RIGHT, 3, &f->result));
    fixture_commit(f);
    assert_ok(oxbow_flush(f->db));
    oxbow_stat(f->db, &after);
    assert_int_equal(after.keys, before.keys);
}

static void info_tells_length_bytes_and_time(void **state)
{
    struct fixture *f = *state;
    struct oxbow_list_info info;

    assert_err(oxbow_list_info(f->txn, KEY, &info), OXBOW_ENOENT);
    push(f, "a bb ccc", OXBOW_RIGHT);
    assert_ok(oxbow_list_info(f->txn, KEY, &info));
    assert_int_equal(info.length, 3);
    assert_int_equal(info.bytes, 6);
    assert_true(info.first_ms > 1700000000000u);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(push_adds_one_after_the_other_at_its_end),
        TEST(push_refuses_what_makes_no_sense),
        TEST(push_existing_does_nothing_without_a_list),
        TEST(pop_takes_up_to_count_in_the_order_they_come_off),
        TEST(pop_first_takes_from_the_first_key_that_is_there),
        TEST(ranges_and_indexes_count_from_both_ends),
        TEST(every_command_refuses_another_type_and_missing_places_for_results),
        TEST(set_replaces_one_element),
        TEST(insert_finds_its_pivot_from_the_left),
        TEST(remove_counts_from_either_end),
        TEST(trim_keeps_a_range),
        TEST(a_lone_element_that_goes_round_keeps_its_lists_time_to_live),
        TEST(move_goes_between_lists_and_round_one),
        TEST(pos_honours_rank_count_and_maxlen),
        TEST(peek_stops_by_count_and_by_bytes_but_gives_one),
        TEST(values_of_every_size_come_back),
        cmocka_unit_test(a_value_over_the_limit_is_refused_and_changes_nothing),
        TEST(a_long_list_is_reached_by_index_and_in_the_middle),
        TEST(a_read_only_transaction_writes_nothing),
        TEST(what_is_popped_empty_leaves_nothing_behind),
        TEST(info_tells_length_bytes_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
