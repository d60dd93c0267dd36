/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one file as pages, of which an image shares those that it does not change. */
#ifndef OXBOW_TESTS_CRASH_CONTENT_H
#define OXBOW_TESTS_CRASH_CONTENT_H

#include "tests/crash/disk.h"

/* A file's bytes. A NULL page is zeros. */
struct content {
    uint64_t bytes;
    uint8_t **pages;
    uint64_t *hashes; /* of the pages; 0: not known */
    size_t count;
};

/* Pages that belong to one content alone. */
struct owned {
    uint8_t **pages;
    size_t count;
};

struct writer {
    struct content *content;
    struct owned *own; /* collects new pages; NULL: all pages are the content's own */
};

void content_resize(struct content *c, uint64_t bytes);
/* `data` NULL writes zeros. */
void content_write(struct writer *w, uint64_t pos, const uint8_t *data, uint64_t len);
/* A new length. A shorter file forgets what was behind its end. */
void content_cut(struct writer *w, uint64_t bytes);
/* The same for the same bytes. Remembers the pages' hashes. */
uint64_t content_hash(struct content *c);

/* Writes it to a file of its own. content_hash is called before. */
void content_save(const struct content *c, const char *path);

#endif
