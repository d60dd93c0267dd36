/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences for people, put together in a buffer of fixed size: what does not fit is left out. */
#ifndef OXBOW_UPLINK_TEXT_H
#define OXBOW_UPLINK_TEXT_H

#include "engine/base/id.h"
#include "engine/base/num.h"

#include <stdbool.h>
#include <string.h>

struct text {
    char *data;
    size_t cap; /* at least 1 */
    size_t len; /* data[len] is 0 */
    bool cut;   /* something was left out */
};

static inline struct text text_in(char *data, size_t cap)
{
    data[0] = 0;
    return (struct text){data, cap, 0, false};
}

static inline void text_bytes(struct text *t, const char *s, size_t len)
{
    size_t room = t->cap - 1 - t->len;

    t->cut = t->cut || len > room;
    len = len < room ? len : room;
    memcpy(t->data + t->len, s, len);
    t->len += len;
    t->data[t->len] = 0;
}

static inline void text_add(struct text *t, const char *s)
{
    text_bytes(t, s, strlen(s));
}

static inline void text_u64(struct text *t, uint64_t v)
{
    char number[NUM_TEXT_MAX];

    text_bytes(t, number, num_u64_text(number, v));
}

static inline void text_id(struct text *t, struct oxbow_id id)
{
    char text[ID_TEXT_MAX];

    text_bytes(t, text, id_to_text(text, id));
}

/* Replaces *data by a copy of `s`, cut to the buffer. */
static inline void text_copy(char *data, size_t cap, const char *s)
{
    struct text t = text_in(data, cap);

    text_add(&t, s);
}

#endif
