/* SPDX-License-Identifier: Apache-2.0 */
/* db N sync POLICY, db N memory: databases that are not as safe as the others. */
#include "tools/oxbowd/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INTERVAL_MS_MAX 3600000u

static const struct {
    const char *name;
    enum oxbow_sync sync;
} policies[] = {
    {"always", OXBOW_SYNC_ALWAYS},     {"everysec", OXBOW_SYNC_INTERVAL},
    {"interval", OXBOW_SYNC_INTERVAL}, {"no", OXBOW_SYNC_NONE},
    {"none", OXBOW_SYNC_NONE},         {"default", OXBOW_SYNC_DEFAULT},
};

#define POLICIES (sizeof policies / sizeof policies[0])

static bool wrong(struct config_why *why, const char *word, const char *text)
{
    (void)snprintf(why->text, sizeof why->text, "'%.60s' %s", word, text);
    return false;
}

static bool number_of(const char *text, uint64_t most, uint64_t *n)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' || strlen(text) > 10) {
        return false;
    }
    *n = strtoull(text, NULL, 10);
    return *n <= most;
}

/* The policy behind NUMBER sync; *taken words of all. */
static bool sync_take(struct config_own_sync *out, char *const *words, uint32_t count,
                      uint32_t *taken, struct config_why *why)
{
    struct config_own_sync own = {.said = true};
    size_t i = 0;

    while (i < POLICIES && strcasecmp(words[2], policies[i].name) != 0) {
        i++;
    }
    if (i == POLICIES) {
        return wrong(why, words[2],
                     "is no policy: they are always, everysec, interval MS, no and default");
    }
    *taken = 3;
    own.sync = policies[i].sync;
    if (strcmp(policies[i].name, "interval") == 0) {
        if (count < 4 || !number_of(words[3], INTERVAL_MS_MAX, &own.interval_ms) ||
            own.interval_ms == 0) {
            return wrong(why, count < 4 ? "" : words[3], "is no interval: it has 1 to 3600000 ms");
        }
        *taken = 4;
    }
    *out = own;
    return true;
}

/* NUMBER sync POLICY or NUMBER memory; *taken words of them. */
static bool database_take(struct config_databases *out, char *const *words, uint32_t count,
                          uint32_t *taken, struct config_why *why)
{
    bool memory = count >= 2 && strcasecmp(words[1], "memory") == 0;
    struct config_own_sync *own;
    uint64_t number;

    if (!memory && (count < 3 || strcasecmp(words[1], "sync") != 0)) {
        (void)snprintf(why->text, sizeof why->text,
                       "takes NUMBER sync POLICY or NUMBER memory, of one database or several");
        return false;
    }
    if (!number_of(words[0], CONFIG_DATABASES_COUNT - 1, &number)) {
        return wrong(why, words[0], "is no database: they are 0 to 15");
    }
    own = &out->at[number];
    if (memory ? own->said : own->memory) {
        return wrong(why, words[0],
                     "is said to be kept in memory and to have a policy of its own: a database has "
                     "one of the two");
    }
    if (memory) {
        *own = (struct config_own_sync){.memory = true};
        *taken = 2;
        return true;
    }
    return sync_take(own, words, count, taken, why);
}

bool config_databases_take(struct config_databases *out, char *const *words, uint32_t count,
                           struct config_why *why)
{
    struct config_databases all = *out;
    uint32_t taken = 0;

    for (uint32_t at = 0; at < count; at += taken) {
        if (!database_take(&all, words + at, count - at, &taken, why)) {
            return false;
        }
    }
    *out = all;
    return true;
}

bool config_databases_same(const struct config_databases *a, const struct config_databases *b)
{
    for (uint32_t i = 0; i < CONFIG_DATABASES_COUNT; i++) {
        const struct config_own_sync *one = &a->at[i];
        const struct config_own_sync *other = &b->at[i];

        if (one->memory != other->memory || one->said != other->said || one->sync != other->sync ||
            one->interval_ms != other->interval_ms) {
            return false;
        }
    }
    return true;
}

bool config_databases_none(const struct config_databases *all)
{
    bool none = false;

    for (uint32_t i = 0; i < CONFIG_DATABASES_COUNT; i++) {
        none = none || all->at[i].sync == OXBOW_SYNC_NONE;
    }
    return none;
}

uint32_t config_databases_memory(const struct config_databases *all)
{
    uint32_t databases = 0;

    for (uint32_t i = 0; i < CONFIG_DATABASES_COUNT; i++) {
        databases |= all->at[i].memory ? 1u << i : 0;
    }
    return databases;
}

void config_databases_text(const struct config_databases *all, char *out, size_t len)
{
    static const char *const names[] = {"default", "always", "everysec", "no"};
    size_t at = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < CONFIG_DATABASES_COUNT && at < len; i++) {
        const struct config_own_sync *own = &all->at[i];

        if (own->memory) {
            at += (size_t)snprintf(out + at, len - at, "%s%u memory", at > 0 ? " " : "", i);
        }
        if (!own->said) {
            continue;
        }
        at += (size_t)snprintf(out + at, len - at, "%s%u sync ", at > 0 ? " " : "", i);
        if (at < len && own->interval_ms != 0) {
            at += (size_t)snprintf(out + at, len - at, "interval %" PRIu64, own->interval_ms);
        } else if (at < len) {
            at += (size_t)snprintf(out + at, len - at, "%s", names[own->sync]);
        }
    }
}
