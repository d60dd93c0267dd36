/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value that fails its checksum, each of the store in turn: queues that it is no part of are
 * served and take what comes, and what is left of the store's idle work goes on.
 */
#include "tests/queue/stream_fixture.h"

#include "engine/store/catalog.h"
#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/policy.h"

#include <lmdb.h>
#include <stdlib.h>
#include <unistd.h>

#define ELEMENTS   120u
#define VALUE      100u
#define KEYS_MAX   512u
#define IMAGE_MAX  (4u << 20)
#define PAGE       4096u
#define META_LAST  136u /* where a meta page has the number of the last page */
#define GROUP(key) group_of(key, "g")

struct places {
    uint8_t key[KEYS_MAX][KV_KEY_MAX];
    size_t len[KEYS_MAX];
    size_t count;
};

static struct places places;
static uint8_t image[IMAGE_MAX];
static size_t image_len;

static const char *file_of(const struct streams *f, const char *name)
{
    static char path[320];

    snprintf(path, sizeof path, "%s/%s", f->rig.store, name);
    return path;
}

static void log_nothing(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

/* ---- the store ---- */

static void fill_one(struct streams *f, const char *list, const char *stream)
{
    const struct oxbow_group_create_options begin = {0};
    const struct oxbow_group_read_options some = {.count = 20};
    static const uint8_t zeros[VALUE];
    const struct oxbow_bytes value = {zeros, sizeof zeros};

    for (unsigned i = 0; i < ELEMENTS; i++) {
        assert_ok(oxbow_list_push(f->txn, text_bytes(list), i % 3 == 0 ? OXBOW_LEFT : OXBOW_RIGHT,
                                  &value, 1, NULL));
        assert_ok(oxbow_stream_add(f->txn, text_bytes(stream), NULL,
                                   &(struct oxbow_field){text_bytes("f"), value}, 1, NULL));
    }
    assert_ok(oxbow_group_create(f->txn, GROUP(stream), &begin));
    assert_ok(oxbow_group_read(f->txn, GROUP(stream), text_bytes("c"), &some, &f->result));
}

/* What is asked about lies between others, in the order of keys. */
static void fill(struct streams *f)
{
    const struct oxbow_policy policy = {.max_entries = 10000};
    const struct oxbow_binding b = {.source = text_bytes("other"), .destination = text_bytes("d")};
    const struct oxbow_delay_when later = {.by = OXBOW_DELAY_FOR, .ms = 1000000};
    struct oxbow_delay_id id;
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};

    fill_one(f, "list before", "stream before");
    fill_one(f, "list", "stream");
    fill_one(f, "list behind", "stream behind");
    assert_ok(oxbow_policy_set(f->txn, text_bytes("elsewhere"), &policy));
    assert_ok(oxbow_bind(f->txn, &b, NULL));
    assert_ok(oxbow_delay_add(f->txn, text_bytes("delayed"), &later, &field, 1, &id));
    assert_ok(oxbow_key_delete(f->txn, text_bytes("stream before"), NULL)); /* for the reaper */
}

/* Everything that the two queues can be asked. */
static enum oxbow_err use(struct streams *f)
{
    static const uint8_t zeros[VALUE];
    const struct oxbow_bytes value = {zeros, sizeof zeros};
    const struct oxbow_field field = {text_bytes("f"), value};
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    const struct oxbow_stream_range back = {
        .from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX, .reverse = true};
    const struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 20};
    const struct oxbow_group_read_options rest = {.count = 1000};
    const struct oxbow_bytes list = text_bytes("list"), stream = text_bytes("stream");
    struct oxbow_pending_summary pending;
    struct oxbow_group_info info;
    uint64_t n;
    enum oxbow_err err = oxbow_list_range(f->txn, list, 0, -1, &f->result);

    if (err == OXBOW_OK) {
        assert_int_equal(f->result.item_count, ELEMENTS);
        err = oxbow_list_index(f->txn, list, 77, &f->result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_push(f->txn, list, OXBOW_RIGHT, &value, 1, NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_pop(f->txn, list, OXBOW_LEFT, 100, &f->result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_trim(f->txn, list, 1, 0);
    }
    if (err == OXBOW_OK) {
        err = oxbow_stream_range(f->txn, stream, &all, &f->result);
    }
    if (err == OXBOW_OK) {
        assert_int_equal(f->result.entry_count, ELEMENTS);
        err = oxbow_stream_range(f->txn, stream, &back, &f->result);
    }
    if (err == OXBOW_OK) {
        assert_int_equal(f->result.entry_count, ELEMENTS);
        err = oxbow_stream_add(f->txn, stream, NULL, &field, 1, NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_read(f->txn, GROUP("stream"), text_bytes("e"), &rest, &f->result);
    }
    if (err == OXBOW_OK) {
        assert_int_equal(f->result.entry_count, ELEMENTS - 19);
        err = oxbow_group_pending_summary(f->txn, GROUP("stream"), &pending);
    }
    if (err == OXBOW_OK) {
        assert_int_equal(pending.count, ELEMENTS + 1);
        err = oxbow_group_ack(f->txn, GROUP("stream"), &f->result.entries[0].id, 1, &n);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_info(f->txn, GROUP("stream"), &info);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_consumers(f->txn, GROUP("stream"), &f->result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_stream_trim(f->txn, stream, &trim, &n);
    }
    return err;
}

/* ---- damage ---- */

static MDB_txn *open_tree(const struct streams *f, MDB_env **env, MDB_dbi *dbi)
{
    MDB_txn *txn;

    assert_int_equal(mdb_env_create(env), 0);
    assert_int_equal(mdb_env_open(*env, f->rig.store, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(*env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, dbi), 0);
    return txn;
}

static void note_places(const struct streams *f)
{
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn = open_tree(f, &env, &dbi);
    MDB_cursor *c;
    MDB_val key, value;

    places.count = 0;
    assert_int_equal(mdb_cursor_open(txn, dbi, &c), 0);
    while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
        assert_true(places.count < KEYS_MAX && key.mv_size <= KV_KEY_MAX);
        memcpy(places.key[places.count], key.mv_data, key.mv_size);
        places.len[places.count++] = key.mv_size;
    }
    mdb_cursor_close(c);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

static void damage(const struct streams *f, size_t place)
{
    static uint8_t bytes[8192];
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn = open_tree(f, &env, &dbi);
    MDB_val key = {places.len[place], places.key[place]};
    MDB_val value;

    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_true(value.mv_size > 0 && value.mv_size <= sizeof bytes);
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[0] ^= 0x10; /* of its checksum */
    value.mv_data = bytes;
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void keep_image(const struct streams *f)
{
    FILE *file = fopen(file_of(f, "data.mdb"), "rb");
    size_t first, second;

    assert_non_null(file);
    image_len = fread(image, 1, sizeof image, file);
    assert_true(image_len > 2 * PAGE);
    memcpy(&first, image + META_LAST, sizeof first);
    memcpy(&second, image + PAGE + META_LAST, sizeof second);
    image_len = ((first > second ? first : second) + 1) * PAGE; /* behind lies what is reserved */
    assert_true(image_len <= sizeof image);
    assert_int_equal(fclose(file), 0);
}

static void put_image_back(const struct streams *f)
{
    FILE *file = fopen(file_of(f, "data.mdb"), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, image_len, file), image_len);
    assert_int_equal(fclose(file), 0);
    (void)unlink(file_of(f, "DOUBT"));
}

/* Whether the value belongs to what is asked about, or to the store as a whole. */
static bool is_part(struct streams *f, size_t place)
{
    const uint8_t *p = places.key[place];
    struct object list, stream;
    uint64_t id = 0;

    if (p[0] < KV_SPACE_REAP) {
        return true; /* the store's own, and names */
    }
    if (p[0] == KV_SPACE_TIME) {
        return true;
    }
    if (p[0] != KV_SPACE_OBJECT) {
        return false;
    }
    assert_ok(catalog_find(f->txn, text_bytes("list"), &list));
    assert_ok(catalog_find(f->txn, text_bytes("stream"), &stream));
    for (size_t i = 1; i <= 8; i++) {
        id = id << 8 | p[i];
    }
    return id == list.id || id == stream.id;
}

static void damage_to_others_does_not_matter(void **state)
{
    struct streams *f = *state;
    static bool part[KEYS_MAX];
    unsigned tried = 0;

    f->rig.port.log.line = log_nothing;
    f->rig.config.journal = OXBOW_JOURNAL_OFF;
    streams_reopen(f);
    fill(f);
    streams_commit(f);
    rig_close(&f->rig);
    note_places(f);
    keep_image(f);
    rig_open(&f->rig);
    streams_begin(f);
    for (size_t i = 0; i < places.count; i++) {
        part[i] = is_part(f, i);
    }
    for (size_t i = 0; i < places.count; i++) {
        enum oxbow_err err;

        if (part[i]) {
            continue;
        }
        streams_abort(f);
        rig_close(&f->rig);
        put_image_back(f);
        damage(f, i);
        rig_open(&f->rig);
        streams_begin(f);
        err = use(f);
        if (err != OXBOW_OK) {
            print_message("damaged: space %02x, %zu bytes:", places.key[i][0], places.len[i]);
            for (size_t k = 1; k < places.len[i]; k++) {
                print_message(" %02x", places.key[i][k]);
            }
            print_message("\n");
        }
        assert_ok(err);
        streams_commit(f);
        streams_begin(f);
        tried++;
    }
    print_message("%u of %zu values damaged\n", tried, places.count);
    assert_true(tried > 20);
}

#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(damage_to_others_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
