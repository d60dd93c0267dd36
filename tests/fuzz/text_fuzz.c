/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, ids and varints from any bytes: what is taken must come back as the same bytes. */
#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/base/num.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static void try_numbers(struct oxbow_bytes text)
{
    char back[NUM_TEXT_MAX];
    uint64_t u;
    int64_t s;

    if (num_u64(text, &u) == OXBOW_OK) {
        must(num_u64_text(back, u) == text.len && memcmp(back, text.data, text.len) == 0);
    }
    if (num_i64(text, &s) == OXBOW_OK) {
        must(num_i64_text(back, s) == text.len && memcmp(back, text.data, text.len) == 0);
    }
}

static void try_id(struct oxbow_bytes text)
{
    char back[ID_TEXT_MAX];
    uint8_t key[ID_KEY_LEN];
    struct oxbow_id id;
    struct oxbow_id again;
    size_t len;

    if (id_from_text(text, 7, &id) != OXBOW_OK) {
        return;
    }
    len = id_to_text(back, id);
    must(len < ID_TEXT_MAX);
    must(id_from_text((struct oxbow_bytes){back, len}, 0, &again) == OXBOW_OK);
    must(id_compare(id, again) == 0);
    id_to_key(key, id);
    must(id_compare(id, id_from_key(key)) == 0);
}

static void try_varint(const uint8_t *data, size_t len)
{
    uint8_t back[VARINT_MAX];
    uint64_t v;
    size_t taken = varint_get(data, len, &v);

    if (taken > 0) {
        must(taken <= len && varint_put(back, v) == taken && memcmp(back, data, taken) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    /* A copy of exactly this length: one byte too far is seen. */
    uint8_t *copy = malloc(len > 0 ? len : 1);

    must(copy != NULL);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    try_numbers((struct oxbow_bytes){copy, len});
    try_id((struct oxbow_bytes){copy, len});
    try_varint(copy, len);
    free(copy);
    return 0;
}
