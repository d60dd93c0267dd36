/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, time, random bytes, log and panic of the POSIX port: what is neither file nor thread. */
#include "port/posix/posix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define WALL_SET_FROM_MS UINT64_C(1704067200000) /* 2024-01-01 00:00:00 UTC */

void *posix_resize(void *ctx, void *p, size_t old_len, size_t new_len)
{
    (void)ctx;
    (void)old_len;
    if (new_len == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_len);
}

uint64_t posix_wall_ms(void *ctx)
{
    struct timespec now = {0};

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

uint64_t posix_mono_us(void *ctx)
{
    struct timespec now = {0};

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

bool posix_wall_is_set(void *ctx)
{
    return posix_wall_ms(ctx) >= WALL_SET_FROM_MS;
}

enum oxbow_err posix_random(void *ctx, void *out, size_t len)
{
    uint8_t *p = out;

    (void)ctx;
    while (len > 0) {
        ssize_t got = getrandom(p, len, 0);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return posix_error(errno);
        }
        p += got;
        len -= (size_t)got;
    }
    return OXBOW_OK;
}

/* One call, so that lines of several threads do not mix. When even standard error cannot be
 * written, there is nobody left to tell. */
static void line_write(const char *prefix, const char *text)
{
    struct iovec part[3] = {
        {.iov_base = (void *)prefix, .iov_len = strlen(prefix)},
        {.iov_base = (void *)text, .iov_len = strlen(text)},
        {.iov_base = (void *)"\n", .iov_len = 1},
    };
    ssize_t ignored = writev(STDERR_FILENO, part, 3);

    (void)ignored;
}

void posix_log(void *ctx, enum oxbow_log_level level, const char *text)
{
    static const char *const prefixes[] = {
        [OXBOW_LOG_ERROR] = "oxbow: error: ",
        [OXBOW_LOG_WARN] = "oxbow: warning: ",
        [OXBOW_LOG_INFO] = "oxbow: ",
    };

    (void)ctx;
    if (level < OXBOW_LOG_DEBUG) {
        line_write(prefixes[level], text);
    }
}

void posix_panic(const char *file, int line, const char *what)
{
    char prefix[256];

    (void)snprintf(prefix, sizeof prefix, "oxbow: panic: %s:%d: ", file, line);
    line_write(prefix, what);
    abort();
}
