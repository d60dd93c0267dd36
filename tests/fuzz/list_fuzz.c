/* SPDX-License-Identifier: Apache-2.0 */
/* A list chunk's bytes: whatever they are, decoding stays within them, and what it accepts is what
 * encoding would have written. */
#include "engine/queue/list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct chunk_head head;
    uint8_t again[LIST_ENTRY_MAX];
    size_t pos = LIST_BODY;

    if (chunk_head_decode((struct oxbow_bytes){data, len}, &head) == OXBOW_OK) {
        uint8_t bytes[CHUNK_HEADER];

        chunk_head_encode(bytes, &head);
        if (memcmp(bytes, data, sizeof(bytes)) != 0) {
            abort();
        }
    }
    while (pos < len) {
        struct list_entry e;

        if (list_entry_decode(data + pos, len - pos, &e) != OXBOW_OK) {
            break;
        }
        if (e.size == 0 || e.size > len - pos || list_entry_encode(again, &e) != e.size ||
            memcmp(again, data + pos, e.size) != 0) {
            abort();
        }
        pos += e.size;
    }
    return 0;
}
