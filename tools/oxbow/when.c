/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/oxbow/when.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIGITS_MAX 18u

static bool number(const char **text, uint64_t *out)
{
    size_t len = strspn(*text, "0123456789");

    if (len == 0 || len > DIGITS_MAX) {
        return false;
    }
    *out = strtoull(*text, NULL, 10);
    *text += len;
    return true;
}

bool when_age(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000},
                 {"ms", 1},        {"m", 60000},    {"s", 1000}};
    uint64_t sum = 0;
    uint64_t last = UINT64_MAX;

    do {
        uint64_t n;
        size_t i = 0;

        if (!number(&text, &n)) {
            return false;
        }
        if (*text == '\0' && last == UINT64_MAX && n <= INT64_MAX / 1000) {
            *ms = n * 1000;
            return true;
        }
        while (i < sizeof units / sizeof units[0] &&
               strncmp(text, units[i].name, strlen(units[i].name)) != 0) {
            i++;
        }
        if (i == sizeof units / sizeof units[0] || units[i].ms >= last ||
            n > (INT64_MAX - sum) / units[i].ms) {
            return false;
        }
        sum += n * units[i].ms;
        last = units[i].ms;
        text += strlen(units[i].name);
    } while (*text != '\0');
    *ms = sum;
    return true;
}

bool when_date(const char *text, uint64_t *ms)
{
    const char *p = text;
    struct tm tm = {0};
    time_t seconds;

    if (number(&p, ms) && *p == '\0') {
        return true;
    }
    p = strptime(text, "%Y-%m-%d", &tm);
    if (p != NULL && *p == 'T') {
        p = strptime(p, "T%H:%M:%S", &tm);
    }
    if (p == NULL || (*p != '\0' && strcmp(p, "Z") != 0)) {
        return false;
    }
    seconds = timegm(&tm);
    *ms = (uint64_t)seconds * 1000;
    return seconds >= 0;
}
