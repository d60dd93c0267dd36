/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration says of the uplink: targets, forwards, and whether it goes together. A
 * complaint is written to `why` without the option's name, which the caller puts before it.
 */
#include "tools/oxbowd/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct config_why *why, const char *text)
{
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    return false;
}

/* ---- uplink-target ---- */

static bool port_of(const char *text, uint16_t *port)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n == 0 || n > 65535) {
        return false;
    }
    *port = (uint16_t)n;
    return true;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static bool host_of(const char *text, struct config_target *out)
{
    const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *colon = strchr(close != NULL ? close : text, ':');
    const char *end = close != NULL ? close : colon != NULL ? colon : text + strlen(text);
    const char *begin = close != NULL ? text + 1 : text;
    size_t len = (size_t)(end - begin);

    if ((text[0] == '[') != (close != NULL) || len == 0 || len > OXBOW_UPLINK_HOST_MAX ||
        (close != NULL && close[1] != '\0' && close[1] != ':') ||
        (colon != NULL && !port_of(colon + 1, &out->port))) {
        return false;
    }
    memcpy(out->host, begin, len);
    out->host[len] = '\0';
    return true;
}

static bool target_of(const char *text, struct config_target *out, struct config_why *why)
{
    bool tls = strncasecmp(text, "rediss://", 9) == 0;
    const char *rest = tls ? text + 9 : text + 8;

    *out = (struct config_target){.tls = tls};
    if (strncasecmp(text, "unix:", 5) == 0) {
        if (strlen(text) <= 5 || strlen(text) > OXBOW_UPLINK_HOST_MAX) {
            return refuse(why, "unix: wants the path of a socket behind it");
        }
        (void)snprintf(out->host, sizeof out->host, "unix:%s", text + 5);
        return true;
    }
    if (!tls && strncasecmp(text, "redis://", 8) != 0) {
        (void)snprintf(why->text, sizeof why->text,
                       "'%.60s' is none of rediss://HOST[:PORT] (with TLS), redis://HOST[:PORT] "
                       "(without) and unix:PATH",
                       text);
        return false;
    }
    if (strchr(rest, '@') != NULL) {
        return refuse(why, "a user and a password do not stand here: uplink-user and "
                           "uplink-password-file");
    }
    if (strchr(rest, '/') != NULL) {
        return refuse(why, "a database does not stand here: uplink-database");
    }
    if (!host_of(rest, out)) {
        (void)snprintf(why->text, sizeof why->text,
                       "'%.60s' names no host and port, as in rediss://redis.example:6380 or "
                       "rediss://[2001:db8::1]:6380",
                       text);
        return false;
    }
    return true;
}

bool config_targets_take(struct config_targets *out, char *const *words, uint32_t count,
                         struct config_why *why)
{
    struct config_targets targets = {.count = 0};

    if (count == 1 && words[0][0] == '\0') {
        *out = targets; /* none */
        return true;
    }
    if (count > OXBOW_UPLINK_TARGETS_MAX) {
        (void)snprintf(why->text, sizeof why->text, "more than %u targets",
                       OXBOW_UPLINK_TARGETS_MAX);
        return false;
    }
    for (; targets.count < count; targets.count++) {
        if (!target_of(words[targets.count], &targets.at[targets.count], why)) {
            return false;
        }
        if (targets.at[targets.count].tls != targets.at[0].tls) {
            return refuse(why, "all targets are with TLS, or none is");
        }
    }
    *out = targets;
    return true;
}

/* ---- uplink-forward ---- */

static bool database_of(const char *text, uint32_t *database)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *database = (uint32_t)n;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n < OXBOW_RESP_DATABASES;
}

bool config_forward_parse(char *const *words, uint32_t count, struct config_forward *out,
                          struct config_why *why)
{
    struct oxbow_bytes rest[CONFIG_WORDS_MAX];
    struct oxbow_forward_why wrong = {.text = ""};
    size_t rest_count = 0;

    if (count < 3) {
        return refuse(why, "wants NAME stream|list KEY [OPTION VALUE]...");
    }
    *out = (struct config_forward){
        .name = words[0],
        .options = {.key = {words[2], strlen(words[2])},
                    .type =
                        strcasecmp(words[1], "list") == 0 ? OXBOW_TYPE_LIST : OXBOW_TYPE_STREAM},
    };
    if (out->options.type != OXBOW_TYPE_LIST && strcasecmp(words[1], "stream") != 0) {
        (void)snprintf(why->text, sizeof why->text, "'%.60s' is neither stream nor list", words[1]);
        return false;
    }
    for (uint32_t i = 3; i < count; i++) {
        bool name = (i - 3) % 2 == 0;

        if (!name || strcasecmp(words[i], "db") != 0) {
            rest[rest_count++] = (struct oxbow_bytes){words[i], strlen(words[i])};
        } else if (++i == count || !database_of(words[i], &out->database)) {
            return refuse(why, "db: want a database from 0 to 15");
        }
    }
    if (oxbow_forward_words(rest, rest_count, &out->options, &wrong) != OXBOW_OK ||
        oxbow_forward_check(out->name, &out->options, &wrong) != OXBOW_OK) {
        return refuse(why, wrong.text);
    }
    return true;
}

uint32_t config_forward_words(const struct config_forwards *all, size_t *pos,
                              char *words[CONFIG_WORDS_MAX])
{
    uint32_t count = 0;

    while (*pos < all->len && all->text[*pos] != '\0' && count < CONFIG_WORDS_MAX) {
        words[count++] = (char *)all->text + *pos; /* nobody writes there */
        *pos += strlen(all->text + *pos) + 1;
    }
    *pos += 1;
    return count;
}

static bool is_taken(const struct config_forwards *all, const struct config_forward *one,
                     struct config_why *why)
{
    size_t pos = 0;

    while (pos < all->len) {
        char *words[CONFIG_WORDS_MAX];
        struct config_forward other;
        uint32_t count = config_forward_words(all, &pos, words);

        if (config_forward_parse(words, count, &other, why) && strcmp(other.name, one->name) == 0) {
            (void)snprintf(why->text, sizeof why->text, "there is a forward '%.60s' already",
                           one->name);
            return true;
        }
    }
    return false;
}

bool config_forwards_take(struct config_forwards *out, char *const *words, uint32_t count,
                          struct config_why *why)
{
    struct config_forward one;
    size_t len = out->len;

    if (!config_forward_parse(words, count, &one, why) || is_taken(out, &one, why)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t word = strlen(words[i]) + 1;

        if (word == 1) {
            return refuse(why, "a word is empty");
        }
        if (len + word + 1 > sizeof out->text) {
            return refuse(why, "forwards take more than 65535 bytes");
        }
        memcpy(out->text + len, words[i], word);
        len += word;
    }
    out->text[len++] = '\0';
    out->len = len;
    out->count++;
    return true;
}

/* ---- what goes together ---- */

static bool device_fits(const char *device)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-:";

    return strlen(device) <= OXBOW_DEVICE_MAX && strspn(device, allowed) == strlen(device);
}

static bool hosts_differ(const struct config_targets *t)
{
    for (uint32_t i = 1; i < t->count; i++) {
        if (strcasecmp(t->at[i].host, t->at[0].host) != 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with the option that it names; NULL: nothing. */
static const char *wrong_tls(const struct config *c, const char **name)
{
    const struct config_uplink *u = &c->uplink;

    *name = "uplink-target";
    if (u->targets.at[0].tls && u->tls_ca[0] == '\0') {
        return "rediss:// needs uplink-tls-ca-cert-file: the authority that signs the target's "
               "certificate";
    }
    if (!u->targets.at[0].tls && (u->tls_ca[0] != '\0' || u->tls_cert[0] != '\0')) {
        return "is not with TLS (rediss://), so there are no certificates";
    }
    if (u->targets.at[0].tls && hosts_differ(&u->targets) && u->tls_server_name[0] == '\0') {
        return "names several hosts: say whom their certificates must name by "
               "uplink-tls-server-name";
    }
    *name = "uplink-tls-cert-file";
    if ((u->tls_cert[0] == '\0') != (u->tls_key[0] == '\0')) {
        return "goes with uplink-tls-key-file";
    }
    return NULL;
}

/* Whether none of the forwards carries a database that is kept in memory. */
static bool forwards_check(const struct config *c, struct config_why *why)
{
    const uint32_t memory = config_databases_memory(&c->own_sync);
    const struct config_forwards *all = &c->uplink.forwards;
    size_t pos = 0;

    while (memory != 0 && pos < all->len) {
        char *words[CONFIG_WORDS_MAX];
        struct config_forward f;
        uint32_t count = config_forward_words(all, &pos, words);

        if (!config_forward_parse(words, count, &f, why)) {
            return false; /* it was taken before */
        }
        if ((memory >> f.database & 1u) != 0) {
            (void)snprintf(why->text, sizeof why->text,
                           "'%.60s' would carry what is in database %u, which is kept in memory",
                           f.name, f.database);
            return false;
        }
    }
    return true;
}

/* The first option that is given although there is no target; NULL: none. */
static const char *without_target(const struct config_uplink *u)
{
    return u->forwards.count > 0         ? "uplink-forward"
           : u->device[0] != '\0'        ? "uplink-device"
           : u->user[0] != '\0'          ? "uplink-user"
           : u->password_file[0] != '\0' ? "uplink-password-file"
           : u->tls_ca[0] != '\0'        ? "uplink-tls-ca-cert-file"
           : u->tls_cert[0] != '\0'      ? "uplink-tls-cert-file"
                                         : NULL;
}

bool config_uplink_check(const struct config *c, const char **name, struct config_why *why)
{
    const struct config_uplink *u = &c->uplink;
    const char *text;

    if (u->targets.count == 0) {
        *name = without_target(u);
        return *name == NULL || refuse(why, "needs uplink-target");
    }
    text = wrong_tls(c, name);
    if (text != NULL) {
        return refuse(why, text);
    }
    *name = "uplink-device";
    if (!device_fits(u->device)) {
        return refuse(why, "has at most 63 letters, digits, '_', '.', '-' and ':'");
    }
    *name = "uplink-machine";
    if (!device_fits(u->machine)) {
        return refuse(why, "has at most 63 letters, digits, '_', '.', '-' and ':'");
    }
    if (u->machine[0] != '\0' && u->device[0] == '\0') {
        return refuse(why, "goes with uplink-device");
    }
    *name = "uplink-forward";
    if (!forwards_check(c, why)) {
        return false;
    }
    *name = "uplink-max-rate";
    if (u->max_rate != 0 && u->max_rate < OXBOW_UPLINK_RATE_MIN) {
        return refuse(why, "is at least 64 bytes a second, or 0");
    }
    return true;
}
