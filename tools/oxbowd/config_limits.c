/* SPDX-License-Identifier: Apache-2.0 */
/* client-output-buffer-limit: what clients may leave unread, by their class. */
#include "tools/oxbowd/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS 4u /* of one class: its name and three numbers */

static const char *const classes[CONFIG_LIMITS_CLASSES] = {"normal", "slave", "pubsub"};

static bool wrong(struct config_why *why, const char *word, const char *text)
{
    (void)snprintf(why->text, sizeof why->text, "'%.60s' is no %s", word, text);
    return false;
}

static uint32_t class_of(const char *name)
{
    uint32_t i = 0;

    if (strcasecmp(name, "replica") == 0) {
        name = "slave"; /* its older name, by which Redis tells of it */
    }
    while (i < CONFIG_LIMITS_CLASSES && strcasecmp(name, classes[i]) != 0) {
        i++;
    }
    return i;
}

static bool limit_take(struct config_limits *out, char *const words[WORDS], struct config_why *why)
{
    uint32_t at = class_of(words[0]);
    struct config_limit limit;
    uint64_t seconds;

    if (at == CONFIG_LIMITS_CLASSES) {
        return wrong(why, words[0], "class of clients: normal, replica, pubsub");
    }
    for (uint32_t i = 1; i < 3; i++) {
        if (!config_size_of(words[i], i == 1 ? &limit.hard : &limit.soft)) {
            return wrong(why, words[i], "size like 1048576, 64mb or 2gb");
        }
    }
    if (words[3][0] == '\0' || words[3][strspn(words[3], "0123456789")] != '\0' ||
        strlen(words[3]) > 10 || (seconds = strtoull(words[3], NULL, 10)) > UINT32_MAX) {
        return wrong(why, words[3], "number of seconds");
    }
    limit.soft_s = seconds;
    out->at[at] = limit;
    return true;
}

bool config_limits_take(struct config_limits *out, char *const *words, uint32_t count,
                        struct config_why *why)
{
    struct config_limits limits = *out;
    uint32_t i;

    if (count == 0 || count % WORDS != 0) {
        (void)snprintf(why->text, sizeof why->text,
                       "takes CLASS HARD SOFT SECONDS, of one class or several");
        return false;
    }
    for (i = 0; i < count; i += WORDS) {
        if (!limit_take(&limits, words + i, why)) {
            return false;
        }
    }
    *out = limits;
    return true;
}

void config_limits_text(const struct config_limits *limits, char *out, size_t len)
{
    size_t at = 0;

    for (uint32_t i = 0; i < CONFIG_LIMITS_CLASSES && at < len; i++) {
        const struct config_limit *l = &limits->at[i];

        at += (size_t)snprintf(out + at, len - at, "%s%s %" PRIu64 " %" PRIu64 " %" PRIu64,
                               i > 0 ? " " : "", classes[i], l->hard, l->soft, l->soft_s);
    }
}
