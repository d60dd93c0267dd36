/* SPDX-License-Identifier: Apache-2.0 */
/* Shorthands for tests of bindings. */
#ifndef OXBOW_TESTS_QUEUE_BINDING_FIXTURE_H
#define OXBOW_TESTS_QUEUE_BINDING_FIXTURE_H

#include "engine/queue/binding.h"
#include "tests/queue/stream_fixture.h"

static inline struct oxbow_binding from_to(const char *source, const char *destination)
{
    return (struct oxbow_binding){.source = text_bytes(source),
                                  .destination = text_bytes(destination)};
}

static inline uint32_t bind_it(struct streams *f, const struct oxbow_binding *b)
{
    uint32_t id = 0;

    assert_ok(oxbow_bind(f->txn, b, &id));
    assert_true(id > 0);
    return id;
}

static inline uint32_t bind_all(struct streams *f, const char *source, const char *destination)
{
    const struct oxbow_binding b = from_to(source, destination);

    return bind_it(f, &b);
}

static inline uint32_t bind_direct(struct streams *f, const char *source, const char *destination,
                                   const char *field, const char *value)
{
    struct oxbow_binding b = from_to(source, destination);

    b.kind = OXBOW_BIND_DIRECT;
    b.field = text_bytes(field);
    b.pattern = text_bytes(value);
    return bind_it(f, &b);
}

static inline uint32_t bind_topic(struct streams *f, const char *source, const char *destination,
                                  const char *pattern)
{
    struct oxbow_binding b = from_to(source, destination);

    b.kind = OXBOW_BIND_TOPIC;
    b.field = text_bytes("key");
    b.pattern = text_bytes(pattern);
    return bind_it(f, &b);
}

/* Adds {key: value, n: n} and gives what the add gave. */
static inline enum oxbow_err route_one(struct streams *f, const char *source, const char *value,
                                       const char *n)
{
    const struct oxbow_field fields[] = {{text_bytes("key"), text_bytes(value)},
                                         {text_bytes("n"), text_bytes(n)}};

    return oxbow_stream_add(f->txn, text_bytes(source), NULL, fields, 2, NULL);
}

static inline uint64_t stream_count(struct streams *f, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_stream_len(f->txn, text_bytes(key), &len));
    return len;
}

/* Values of `n` in a stream, joined by a blank. */
static inline const char *stream_numbers(struct streams *f, const char *key)
{
    static char text[4096];
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    size_t len = 0;

    text[0] = '\0';
    assert_ok(oxbow_stream_range(f->txn, text_bytes(key), &all, &f->result));
    for (size_t i = 0; i < f->result.entry_count; i++) {
        const struct oxbow_bytes v = f->result.entries[i].fields[1].value;

        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i > 0 ? " " : "",
                                (int)v.len, (const char *)v.data);
    }
    return text;
}

static inline struct oxbow_source_info source_of(struct streams *f, const char *key)
{
    struct oxbow_source_info info;

    assert_ok(oxbow_source_get(f->txn, text_bytes(key), &info));
    return info;
}

static inline struct oxbow_binding_info binding_of(struct streams *f, uint32_t id)
{
    struct oxbow_binding_info info;

    assert_ok(oxbow_binding_next(f->txn, id - 1, &info));
    assert_int_equal(info.id, id);
    return info;
}

#define assert_numbers(f, key, want) assert_string_equal(stream_numbers(f, key), want)

#endif
