/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meta pages have no checksum. What one says of its commit can be held against the trees that it
 * names: a flipped bit in the number would else bring back an older state, whole and without a word.
 */
#include "engine/store/check.h"

#include <string.h>

#define LEVELS_MAX 32u

enum oxbow_err check_meta_commit(const struct check_file *file, const struct page_meta *meta,
                                 uint8_t *page, uint64_t *commit)
{
    const struct oxbow_files *files = &file->port->files;
    uint64_t number = meta->free_list.root;
    uint64_t bytes = 0;
    struct page_node n;
    size_t depth;
    enum oxbow_err err = files->size(files->ctx, file->fd, &bytes);

    if (err != OXBOW_OK) {
        return err;
    }
    *commit = 0;
    for (depth = 0; depth < LEVELS_MAX && number >= 2 && number <= meta->last_page &&
                    number < bytes / PAGE_BYTES;
         depth++) {
        size_t got = 0;
        size_t count = 0;
        size_t key;

        err = files->read(files->ctx, file->fd, page, PAGE_BYTES, number * PAGE_BYTES, &got);
        if (err != OXBOW_OK) {
            return err;
        }
        if (got < PAGE_BYTES || !page_check(page, number, &count) || count == 0 ||
            !page_node(page, count - 1, &n)) {
            return OXBOW_OK; /* the walk will tell, if it is of the tree that counts */
        }
        number = n.child;
        if (page_flags(page) == PAGE_LEAF && n.key.len == sizeof key) {
            memcpy(&key, n.key.data, sizeof key);
            *commit = key;
            return OXBOW_OK;
        }
    }
    return OXBOW_OK;
}
