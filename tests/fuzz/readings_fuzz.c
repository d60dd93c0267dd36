/* SPDX-License-Identifier: Apache-2.0 */
/* The example firmware's CSV reader on any file: every row is taken, or refused, and fits. */
#include "boards/linux-gateway/readings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS_MAX 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static void look(const struct reading *r)
{
    must(r->field_count > 0 && r->field_count <= READING_FIELDS_MAX);
    for (uint32_t i = 0; i < r->field_count; i++) {
        const char *name = r->fields[i].name.data;
        const char *value = r->fields[i].value.data;

        must(memchr(name, '\n', r->fields[i].name.len) == NULL);
        must(memchr(value, '\n', r->fields[i].value.len) == NULL);
    }
    (void)reading_checksum(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct reading r;
    char path[64];
    int fd = memfd_create("readings", 0);
    struct readings *src;

    must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    src = readings_open_csv(path, 1);
    for (unsigned row = 0; src != NULL && row < ROWS_MAX; row++) {
        if (readings_take(src, &r) != READING_TAKEN) {
            break;
        }
        look(&r);
    }
    readings_close(src);
    close(fd);
    return 0;
}
