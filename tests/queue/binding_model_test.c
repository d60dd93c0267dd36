/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bindings between streams and lists that are full now and then, beside a model that looks at
 * every binding for every entry: the same entries in the same places, the same refusals, the same
 * counters, over aborts and openings.
 */
#include "tests/queue/binding_fixture.h"

#include "oxbow/policy.h"

#include <stdlib.h>

#define STREAMS 8u
#define LISTS   3u
#define NODES   (STREAMS + LISTS)
#define ROWS    60u
#define CAP     2000u
#define STEPS   5000u

struct row {
    uint32_t id; /* 0: free */
    unsigned from, to, kind, word, other;
    bool any, skip;
    uint64_t dropped;
};

struct node {
    uint32_t numbers[CAP];
    size_t count, limit; /* limit 0: none */
    bool drops;          /* keeps nothing */
    unsigned alternate;  /* 0: none */
    uint64_t entries, routed, unroutable, alternated, dropped;
};

struct model {
    struct row rows[ROWS];
    struct node nodes[NODES];
};

static struct model now, saved;
static uint64_t seed;

static const char *const names[NODES] = {"n0", "n1", "n2", "n3", "n4", "n5",
                                         "n6", "n7", "l0", "l1", "l2"};
static const char *const patterns[] = {"a.#", "#.b", "*", "*.*", "#", "a.b.c", "a.*.c", "b"};
static const char *const keys[] = {"a", "b", "a.b", "a.b.c", "a.x.c", "b.b", "c", ""};
static const char *const words[] = {"x", "y", "z"};
/* fits[pattern][key], by hand. */
static const bool fits[8][8] = {
    {1, 0, 1, 1, 1, 0, 0, 0}, {0, 1, 1, 0, 0, 1, 0, 0}, {1, 1, 0, 0, 0, 0, 1, 0},
    {0, 0, 1, 0, 0, 1, 0, 0}, {1, 1, 1, 1, 1, 1, 1, 1}, {0, 0, 0, 1, 0, 0, 0, 0},
    {0, 0, 0, 1, 1, 0, 0, 0}, {0, 1, 0, 0, 0, 0, 0, 0},
};

struct entry {
    uint32_t number;
    unsigned key, f, g;
};

static unsigned below(unsigned n)
{
    return (unsigned)(rig_random(&seed) % n);
}

/* ---- the model ---- */

static bool takes(const struct row *r, const struct entry *e)
{
    bool f = r->word == e->f, g = r->other == e->g;

    switch (r->kind) {
    case OXBOW_BIND_ALL:
        return true;
    case OXBOW_BIND_DIRECT:
        return f;
    case OXBOW_BIND_TOPIC:
        return fits[r->word][e->key];
    default:
        return r->any ? f || g : f && g;
    }
}

struct reached {
    bool there;
    struct row *row; /* NULL: an alternate, or the source itself */
};

static bool is_source(unsigned n)
{
    if (now.nodes[n].drops || now.nodes[n].alternate != 0) {
        return true;
    }
    for (unsigned i = 0; i < ROWS; i++) {
        if (now.rows[i].id != 0 && now.rows[i].from == n) {
            return true;
        }
    }
    return false;
}

static bool full(unsigned n)
{
    return now.nodes[n].limit > 0 && now.nodes[n].count >= now.nodes[n].limit;
}

/* Bindings lead to higher numbers only, so one pass finds everything. */
static void find(unsigned source, const struct entry *e, struct reached at[NODES],
                 bool unroutable[NODES])
{
    memset(at, 0, NODES * sizeof *at);
    at[source].there = true;
    for (unsigned n = source; n < STREAMS; n++) {
        bool any = false;

        unroutable[n] = false;
        for (unsigned i = 0; at[n].there && i < ROWS; i++) {
            struct row *r = &now.rows[i];

            if (r->id == 0 || r->from != n || !takes(r, e)) {
                continue;
            }
            any = true;
            at[r->to].there = true;
            if (at[r->to].row == NULL || r->id < at[r->to].row->id) {
                at[r->to].row = r;
            }
        }
        unroutable[n] = at[n].there && !any && is_source(n);
        if (unroutable[n] && now.nodes[n].alternate != 0) {
            at[now.nodes[n].alternate].there = true;
        }
    }
}

static void put(unsigned n, uint32_t number)
{
    struct node *node = &now.nodes[n];

    assert_true(node->count < CAP);
    node->numbers[node->count++] = number;
}

static void add_model(unsigned source, const struct entry *e, enum oxbow_err *err)
{
    struct reached at[NODES];
    bool unroutable[NODES];

    find(source, e, at, unroutable);
    *err = full(source) && !now.nodes[source].drops ? OXBOW_EFULL : OXBOW_OK;
    for (unsigned n = source + 1; n < NODES; n++) {
        if (at[n].there && !now.nodes[n].drops && full(n) &&
            (at[n].row == NULL || !at[n].row->skip)) {
            *err = OXBOW_EFULL;
        }
    }
    for (unsigned n = source; n < NODES && *err == OXBOW_OK; n++) {
        struct row *row = at[n].row;

        if (!at[n].there) {
            continue;
        }
        if (n < STREAMS && is_source(n)) {
            now.nodes[n].entries++;
            now.nodes[n].unroutable += unroutable[n];
            now.nodes[n].alternated += unroutable[n] && now.nodes[n].alternate != 0;
        }
        if (!now.nodes[n].drops && full(n)) {
            row->dropped++;
            now.nodes[row->from].dropped++;
            continue;
        }
        if (row != NULL) {
            now.nodes[row->from].routed++;
        }
        if (!now.nodes[n].drops) {
            put(n, e->number);
        }
    }
}

/* ---- both ---- */

static void add(struct streams *f, uint32_t number)
{
    const struct entry e = {number, below(8), below(3), below(3)};
    unsigned source = below(STREAMS);
    char text[16];
    const struct oxbow_field fields[] = {{text_bytes("key"), text_bytes(keys[e.key])},
                                         {text_bytes("n"), {text, 0}},
                                         {text_bytes("f"), text_bytes(words[e.f])},
                                         {text_bytes("g"), text_bytes(words[e.g])}};
    struct oxbow_field all[4];
    enum oxbow_err want, err;

    memcpy(all, fields, sizeof all);
    snprintf(text, sizeof text, "%u", (unsigned)number);
    all[1].value = text_bytes(text);
    add_model(source, &e, &want);
    err = oxbow_stream_add(f->txn, text_bytes(names[source]), NULL, all, 4, NULL);
    assert_err(err, want);
}

static void reset_if_none(unsigned n)
{
    struct node *node = &now.nodes[n];

    if (!is_source(n)) {
        node->entries = node->routed = node->unroutable = node->alternated = node->dropped = 0;
    }
}

static void bind_some(struct streams *f)
{
    struct row r = {.from = below(STREAMS), .kind = below(4), .any = below(2), .skip = below(2)};
    struct oxbow_field pairs[2];
    struct oxbow_binding b;
    struct row *place = NULL;
    uint32_t id;

    r.to = r.from + 1 + below(NODES - r.from - 1);
    r.any = r.any && r.kind == OXBOW_BIND_HEADERS;
    r.word = below(r.kind == OXBOW_BIND_TOPIC ? 8 : 3);
    r.other = below(3);
    if (r.kind == OXBOW_BIND_ALL) {
        r.word = r.other = 0;
    } else if (r.kind != OXBOW_BIND_HEADERS) {
        r.other = 0;
    }
    b = from_to(names[r.from], names[r.to]);
    b.kind = (enum oxbow_binding_kind)r.kind;
    b.on_full = r.skip ? OXBOW_BINDING_SKIP : OXBOW_BINDING_REFUSE;
    if (r.to >= STREAMS) {
        b.type = OXBOW_TYPE_LIST;
        b.value_field = text_bytes("n");
    }
    if (r.kind == OXBOW_BIND_DIRECT || r.kind == OXBOW_BIND_TOPIC) {
        b.field = text_bytes(r.kind == OXBOW_BIND_TOPIC ? "key" : "f");
        b.pattern = text_bytes(r.kind == OXBOW_BIND_TOPIC ? patterns[r.word] : words[r.word]);
    }
    if (r.kind == OXBOW_BIND_HEADERS) {
        pairs[0] = (struct oxbow_field){text_bytes("f"), text_bytes(words[r.word])};
        pairs[1] = (struct oxbow_field){text_bytes("g"), text_bytes(words[r.other])};
        b.headers = pairs;
        b.header_count = 2;
        b.any = r.any;
    }
    for (unsigned i = 0; i < ROWS; i++) {
        struct row *o = &now.rows[i];

        if (o->id != 0 && o->from == r.from && o->to == r.to && o->kind == r.kind &&
            o->word == r.word && o->other == r.other && o->any == r.any) {
            assert_ok(oxbow_bind(f->txn, &b, &id));
            assert_int_equal(id, o->id);
            o->skip = r.skip;
            return;
        }
        place = o->id == 0 && place == NULL ? o : place;
    }
    if (place == NULL) {
        return;
    }
    reset_if_none(r.from);
    assert_ok(oxbow_bind(f->txn, &b, &r.id));
    *place = r;
}

static void unbind_some(struct streams *f)
{
    struct row *r = &now.rows[below(ROWS)];

    if (r->id != 0) {
        assert_ok(oxbow_unbind(f->txn, r->id));
        r->id = 0;
        reset_if_none(r->from);
    }
}

static void set_some(struct streams *f)
{
    unsigned n = below(STREAMS - 1);
    struct oxbow_source s = {.keeps_nothing = below(4) == 0};
    unsigned alternate = below(2) == 0 ? n + 1 + below(STREAMS - n - 1) : 0;

    if (alternate != 0) {
        s.alternate = text_bytes(names[alternate]);
    }
    assert_ok(oxbow_source_set(f->txn, text_bytes(names[n]), &s));
    now.nodes[n].drops = s.keeps_nothing;
    now.nodes[n].alternate = alternate;
    reset_if_none(n);
}

static void limit_some(struct streams *f)
{
    unsigned n = below(NODES);
    struct oxbow_policy p = {.max_entries = below(3) == 0 ? 0 : 1 + below(20)};

    assert_ok(oxbow_policy_set(f->txn, text_bytes(names[n]), &p));
    now.nodes[n].limit = (size_t)p.max_entries;
}

static void drain_some(struct streams *f)
{
    unsigned n = below(NODES);
    struct node *node = &now.nodes[n];

    assert_ok(oxbow_key_delete(f->txn, text_bytes(names[n]), NULL));
    node->count = 0;
}

/* ---- comparing ---- */

static void check_node(struct streams *f, unsigned n)
{
    const struct node *node = &now.nodes[n];
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_source_info info;
    char text[16];
    size_t count;

    if (n < STREAMS) {
        assert_ok(oxbow_stream_range(f->txn, text_bytes(names[n]), &all, &f->result));
        count = f->result.entry_count;
    } else {
        assert_ok(oxbow_list_range(f->txn, text_bytes(names[n]), 0, -1, &f->result));
        count = f->result.item_count;
    }
    assert_int_equal(count, node->count);
    for (size_t i = 0; i < count; i++) {
        struct oxbow_bytes v =
            n < STREAMS ? f->result.entries[i].fields[1].value : f->result.items[i];

        snprintf(text, sizeof text, "%u", (unsigned)node->numbers[i]);
        assert_int_equal(v.len, strlen(text));
        assert_memory_equal(v.data, text, v.len);
    }
    if (n >= STREAMS || !is_source(n)) {
        assert_err(oxbow_source_get(f->txn, text_bytes(names[n]), &info), OXBOW_ENOENT);
        return;
    }
    info = source_of(f, names[n]);
    assert_int_equal(info.entries, node->entries);
    assert_int_equal(info.routed, node->routed);
    assert_int_equal(info.unroutable, node->unroutable);
    assert_int_equal(info.alternated, node->alternated);
    assert_int_equal(info.dropped, node->dropped);
}

static void check(struct streams *f)
{
    for (unsigned n = 0; n < NODES; n++) {
        check_node(f, n);
    }
    for (unsigned i = 0; i < ROWS; i++) {
        if (now.rows[i].id != 0) {
            assert_int_equal(binding_of(f, now.rows[i].id).dropped, now.rows[i].dropped);
        }
    }
}

static void random_work_is_what_the_model_does(void **state)
{
    struct streams *f = *state;
    uint64_t dropped = 0, routed = 0;

    seed = rig_seed("binding_model_test");
    memset(&now, 0, sizeof now);
    saved = now;
    for (uint32_t i = 0; i < STEPS; i++) {
        unsigned what = below(100);

        if (what < 70) {
            add(f, i);
        } else if (what < 78) {
            bind_some(f);
        } else if (what < 83) {
            unbind_some(f);
        } else if (what < 86) {
            set_some(f);
        } else if (what < 90) {
            limit_some(f);
        } else if (what < 95) {
            drain_some(f);
        } else if (what < 97) {
            streams_commit(f);
            streams_begin(f);
            saved = now;
        } else if (what < 99) {
            streams_abort(f);
            streams_begin(f);
            now = saved;
        } else {
            streams_reopen(f);
            saved = now;
        }
        if (i % 50 == 0) {
            check(f);
        }
        for (unsigned n = 0; i % 1000 == 999 && n < STREAMS; n++) {
            dropped += now.nodes[n].dropped;
            routed += now.nodes[n].routed;
        }
    }
    check(f);
    assert_true(routed > 100 && dropped > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_work_is_what_the_model_does, streams_setup,
                                        streams_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
