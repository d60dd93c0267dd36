/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

void streams_begin(struct streams *f)
{
    assert_null(f->txn);
    f->txn = rig_begin(&f->rig, 0);
}

void streams_commit(struct streams *f)
{
    struct oxbow_txn *txn = f->txn;

    f->txn = NULL;
    rig_commit(txn);
}

void streams_abort(struct streams *f)
{
    struct oxbow_txn *txn = f->txn;

    f->txn = NULL;
    rig_abort(txn);
}

void streams_reopen(struct streams *f)
{
    streams_commit(f);
    rig_reopen(&f->rig);
    streams_begin(f);
}

int streams_setup(void **state)
{
    struct streams *f = calloc(1, sizeof *f);

    assert_non_null(f);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    rig_open(&f->rig);
    streams_begin(f);
    *state = f;
    return 0;
}

int streams_teardown(void **state)
{
    struct streams *f = *state;

    if (f->txn != NULL) {
        streams_abort(f);
    }
    oxbow_result_fini(&f->result);
    rig_fini(&f->rig);
    free(f);
    return 0;
}

enum oxbow_err streams_put(struct streams *f, const char *key, struct oxbow_id id,
                           const char *value)
{
    struct oxbow_field field = {BYTES("f"), text_bytes(value)};
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = id};

    return oxbow_stream_add(f->txn, text_bytes(key), &opt, &field, 1, NULL);
}

void streams_fill(struct streams *f, const char *key, uint64_t n)
{
    uint64_t i;

    for (i = 1; i <= n; i++) {
        char value[24];

        snprintf(value, sizeof value, "%llu", (unsigned long long)i);
        assert_ok(streams_put(f, key, ID(i, 0), value));
    }
}

static size_t put_text(char *out, size_t cap, size_t len, const char *text, size_t n)
{
    assert_true(len + n < cap);
    memcpy(out + len, text, n);
    out[len + n] = '\0';
    return len + n;
}

const char *streams_id(struct oxbow_id id)
{
    static char text[4][48];
    static unsigned turn;

    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof text[turn], "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.seq);
    return text[turn];
}

const char *streams_entries(const struct oxbow_result *result)
{
    static char text[65536];
    size_t len = 0, i;
    uint32_t j;

    text[0] = '\0';
    for (i = 0; i < result->entry_count; i++) {
        const struct oxbow_entry *e = &result->entries[i];
        const char *id = streams_id(e->id);

        len = put_text(text, sizeof text, len, " ", i > 0);
        len = put_text(text, sizeof text, len, id, strlen(id));
        len = put_text(text, sizeof text, len, e->deleted ? "!" : "{", 1);
        for (j = 0; j < e->field_count; j++) {
            len = put_text(text, sizeof text, len, ",", j > 0);
            len = put_text(text, sizeof text, len, e->fields[j].name.data, e->fields[j].name.len);
            len = put_text(text, sizeof text, len, "=", 1);
            len = put_text(text, sizeof text, len, e->fields[j].value.data, e->fields[j].value.len);
        }
        len = put_text(text, sizeof text, len, "}", !e->deleted);
    }
    return text;
}

const char *streams_all(struct streams *f, const char *key)
{
    struct oxbow_stream_range range = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};

    assert_ok(oxbow_stream_range(f->txn, text_bytes(key), &range, &f->result));
    return streams_entries(&f->result);
}
