/* SPDX-License-Identifier: Apache-2.0 */
/* What INFO says, taken apart. See daemon.h. */
#include "tools/oxbow/daemon.h"

#include <string.h>

int daemon_info(struct daemon *d, const char *section, struct oxbow_bytes *text)
{
    const char *const words[] = {"INFO", section != NULL ? section : "all", NULL};
    struct daemon_answer answer;
    int code = daemon_ask(d, words, &answer);

    if (code == EXIT_DONE) {
        *text = answer.count == 1 ? answer.values[0].text : (struct oxbow_bytes){"", 0};
    }
    return code;
}

bool info_next(struct oxbow_bytes info, const char *prefix, size_t *pos, struct oxbow_bytes *name,
               struct oxbow_bytes *value)
{
    const char *text = info.data;
    size_t skip = strlen(prefix);

    while (*pos < info.len) {
        const char *line = text + *pos;
        const char *end = memchr(line, '\n', info.len - *pos);
        size_t len = end != NULL ? (size_t)(end - line) : info.len - *pos;
        const char *colon;

        *pos += len + (end != NULL);
        len -= len > 0 && line[len - 1] == '\r';
        if (len < skip || memcmp(line, prefix, skip) != 0) {
            continue;
        }
        colon = memchr(line + skip, ':', len - skip);
        if (colon == NULL) {
            continue;
        }
        *name = (struct oxbow_bytes){line + skip, (size_t)(colon - line) - skip};
        *value = (struct oxbow_bytes){colon + 1, len - (size_t)(colon - line) - 1};
        return true;
    }
    return false;
}

bool info_find(struct oxbow_bytes info, const char *name, struct oxbow_bytes *value)
{
    struct oxbow_bytes rest;
    size_t pos = 0;

    while (info_next(info, name, &pos, &rest, value)) {
        if (rest.len == 0) {
            return true;
        }
    }
    return false;
}

uint64_t info_count(struct oxbow_bytes text)
{
    const char *p = text.data;
    uint64_t n = 0;

    for (size_t i = 0; i < text.len && p[i] >= '0' && p[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(p[i] - '0');

        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    return n;
}

uint64_t info_number(struct oxbow_bytes info, const char *name)
{
    struct oxbow_bytes value;

    return info_find(info, name, &value) ? info_count(value) : 0;
}

bool info_part(struct oxbow_bytes value, const char *name, struct oxbow_bytes *part)
{
    const char *p = value.data;
    size_t len = strlen(name);
    size_t left = value.len;

    while (left > 0) {
        const char *comma = memchr(p, ',', left);
        size_t n = comma != NULL ? (size_t)(comma - p) : left;

        if (n > len && memcmp(p, name, len) == 0 && p[len] == '=') {
            *part = (struct oxbow_bytes){p + len + 1, n - len - 1};
            return true;
        }
        p += n + (comma != NULL);
        left -= n + (comma != NULL);
    }
    return false;
}
