/* SPDX-License-Identifier: Apache-2.0 */
/* Options by the table: values in, complaints out. Reads no files (config_file.c). */
#include "tools/oxbowd/config.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 19

static bool refuse(struct config_why *why, const char *where, const char *name, const char *fmt,
                   ...) __attribute__((format(printf, 4, 5)));

static bool refuse(struct config_why *why, const char *where, const char *name, const char *fmt,
                   ...)
{
    char text[CONFIG_WHY_MAX / 2];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)snprintf(why->text, sizeof why->text, "%.120s: %.100s: %s", where, name, text);
    return false;
}

/* ---- values ---- */

static bool number_of(const char *text, int base, const char **end, uint64_t *n)
{
    size_t len = strspn(text, base == 8 ? "01234567" : "0123456789");

    if (len == 0 || len > DIGITS_MAX) {
        return false;
    }
    *n = strtoull(text, NULL, base);
    *end = text + len;
    return true;
}

bool config_size_of(const char *text, uint64_t *n)
{
    static const char units[] = "kmgt";
    const char *end;
    const char *unit;
    uint64_t times = 1;

    if (!number_of(text, 10, &end, n)) {
        return false;
    }
    if (*end == '\0' || strcasecmp(end, "b") == 0) {
        return true;
    }
    unit = strchr(units, *end | 0x20);
    if (unit == NULL || (end[1] != '\0' && strcasecmp(end + 1, "b") != 0)) {
        return false;
    }
    for (const char *u = units; u <= unit; u++) {
        times *= end[1] != '\0' ? 1024 : 1000;
    }
    if (*n > UINT64_MAX / times) {
        return false;
    }
    *n *= times;
    return true;
}

static bool set_number(const struct config_row *row, const char *where, const char *text,
                       uint64_t *out, struct config_why *why)
{
    const char *end = "";
    uint64_t n = 0;

    if (row->kind == CONFIG_NUMBER_OR_NONE && strcmp(text, "-1") == 0) {
        *out = UINT64_MAX; /* a signed field's -1 */
        return true;
    }
    bool ok = row->kind == CONFIG_SIZE
                  ? config_size_of(text, &n)
                  : number_of(text, row->kind == CONFIG_OCTAL ? 8 : 10, &end, &n) && *end == '\0';

    if (!ok) {
        return refuse(why, where, row->name, "'%.60s' is no %s", text,
                      row->kind == CONFIG_SIZE    ? "size like 1048576, 64mb or 2gb"
                      : row->kind == CONFIG_OCTAL ? "octal number like 700"
                                                  : "number");
    }
    if (n < row->least || n > row->most) {
        return refuse(why, where, row->name,
                      row->kind == CONFIG_OCTAL ? "%s is not from %" PRIo64 " to %" PRIo64
                                                : "%s is not from %" PRIu64 " to %" PRIu64,
                      text, row->least, row->most);
    }
    *out = n;
    return true;
}

static bool set_word(const struct config_row *row, const char *where, const char *text,
                     uint64_t *out, struct config_why *why)
{
    char all[CONFIG_TEXT_MAX] = "";
    const struct config_word *w;
    size_t len = 0;

    for (w = row->words; w->name != NULL; w++) {
        if (strcasecmp(w->name, text) == 0) {
            *out = w->value;
            return true;
        }
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", len > 0 ? ", " : "", w->name);
    }
    return refuse(why, where, row->name, "'%.60s' is not one of: %s", text, all);
}

static bool set_yesno(const struct config_row *row, const char *where, const char *text, bool *out,
                      struct config_why *why)
{
    *out = strcasecmp(text, "yes") == 0;
    if (!*out && strcasecmp(text, "no") != 0) {
        return refuse(why, where, row->name, "'%.60s' is neither yes nor no", text);
    }
    return true;
}

static bool set_text(const struct config_row *row, const char *where, const char *text, char *out,
                     struct config_why *why)
{
    if (strlen(text) >= CONFIG_TEXT_MAX) {
        return refuse(why, where, row->name, "longer than %u bytes", CONFIG_TEXT_MAX - 1);
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool set_addresses(const struct config_row *row, const char *where, char *const *words,
                          uint32_t count, struct config_binds *out, struct config_why *why)
{
    struct config_binds binds = {.count = 0};

    if (count > OXBOW_RESP_UV_BINDS_MAX) {
        return refuse(why, where, row->name, "more than %u addresses", OXBOW_RESP_UV_BINDS_MAX);
    }
    for (; binds.count < count; binds.count++) {
        if (words[binds.count][0] == '\0') {
            return refuse(why, where, row->name, "an address is empty");
        }
        if (!set_text(row, where, words[binds.count], binds.text[binds.count], why)) {
            return false;
        }
    }
    *out = binds;
    return true;
}

/* Puts a blank between them. */
static bool set_names(const struct config_row *row, const char *where, char *const *words,
                      uint32_t count, char *out, struct config_why *why)
{
    char names[OXBOW_RESP_NAMES_MAX + 1] = "";
    size_t len = 0;
    uint32_t i;
    uint32_t other;

    for (i = 0; i < count; i++) {
        const char *name = words[i];

        if (name[0] == '\0' || name[strspn(name, OXBOW_RESP_NAME_LETTERS)] != '\0') {
            return refuse(why, where, row->name,
                          "'%.60s' is no name: they consist of letters, digits and . - _", name);
        }
        for (other = 0; other < i; other++) {
            if (strcmp(words[other], name) == 0) {
                return refuse(why, where, row->name, "'%.60s' is given twice", name);
            }
        }
        if (len + strlen(name) + 1 >= sizeof names) {
            return refuse(why, where, row->name, "the names are longer than %u bytes",
                          OXBOW_RESP_NAMES_MAX);
        }
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i > 0 ? " " : "", name);
    }
    memcpy(out, names, sizeof names);
    return true;
}

/* Adds the line. */
static bool set_user(const struct config_row *row, const char *where, char *const *words,
                     uint32_t count, char *out, struct config_why *why)
{
    size_t len = strlen(out);
    uint32_t i;

    for (i = 0; i < count && len < CONFIG_USERS_MAX; i++) {
        if (words[i][0] == '\0' || strpbrk(words[i], "\r\n") != NULL) {
            return refuse(why, where, row->name, "a word is empty or has a line's end");
        }
        len += (size_t)snprintf(out + len, CONFIG_USERS_MAX - len, "%s%s%s", i == 0 ? "user " : " ",
                                words[i], i + 1 == count ? "\n" : "");
    }
    return len < CONFIG_USERS_MAX ||
           refuse(why, where, row->name,
                  "users take more than %u bytes: put them into a file, and "
                  "its path into aclfile",
                  CONFIG_USERS_MAX - 1);
}

static bool set_uplink(const struct config_row *row, const char *where, char *const *words,
                       uint32_t count, void *field, struct config_why *why)
{
    struct config_why wrong;
    bool ok = row->kind == CONFIG_TARGETS ? config_targets_take(field, words, count, &wrong)
                                          : config_forwards_take(field, words, count, &wrong);

    return ok || refuse(why, where, row->name, "%s", wrong.text);
}

static bool set_rules(const struct config_row *row, const char *where, char *const *words,
                      uint32_t count, struct config_rules *rules, struct config_why *why)
{
    struct config_why wrong;
    bool ok = row->kind == CONFIG_QUEUES ? config_queues_take(rules, words, count, &wrong)
                                         : config_groups_take(rules, words, count, &wrong);

    return ok || refuse(why, where, row->name, "%s", wrong.text);
}

static bool set_limits(const struct config_row *row, const char *where, char *const *words,
                       uint32_t count, struct config_limits *limits, struct config_why *why)
{
    struct config_why wrong;

    return config_limits_take(limits, words, count, &wrong) ||
           refuse(why, where, row->name, "%s", wrong.text);
}

static bool set_databases(const struct config_row *row, const char *where, char *const *words,
                          uint32_t count, struct config_databases *all, struct config_why *why)
{
    struct config_why wrong;

    return config_databases_take(all, words, count, &wrong) ||
           refuse(why, where, row->name, "%s", wrong.text);
}

/* ---- rows ---- */

const struct config_row *config_row_of(const char *name)
{
    const struct config_row *row = config_rows;

    while (row->name != NULL && strcasecmp(row->name, name) != 0) {
        row++;
    }
    return row->name != NULL ? row : NULL;
}

bool config_same(const struct config_row *row, const struct config *a, const struct config *b)
{
    const void *one = (const char *)a + row->offset;
    const void *other = (const char *)b + row->offset;

    switch (row->kind) {
    case CONFIG_NUMBER:
    case CONFIG_NUMBER_OR_NONE:
    case CONFIG_OCTAL:
    case CONFIG_SIZE:
    case CONFIG_WORD:
        return memcmp(one, other, sizeof(uint64_t)) == 0;
    case CONFIG_YESNO:
        return *(const bool *)one == *(const bool *)other;
    case CONFIG_TEXT:
    case CONFIG_NAMES:
        return strcmp(one, other) == 0;
    case CONFIG_LIMITS:
        return memcmp(one, other, sizeof(struct config_limits)) == 0;
    case CONFIG_DATABASES:
        return config_databases_same(one, other);
    default:
        return false;
    }
}

static bool is_without_meaning(const char *name)
{
    const char *const *at = config_without_meaning;

    while (*at != NULL && strcasecmp(*at, name) != 0) {
        at++;
    }
    return *at != NULL;
}

static bool set_row(struct config *c, const struct config_row *row, const char *where,
                    char *const *values, uint32_t count, struct config_why *why)
{
    void *field = (char *)c + row->offset;

    if (row->kind == CONFIG_ADDRESSES && count > 0) {
        return set_addresses(row, where, values, count, field, why);
    }
    if (row->kind == CONFIG_NAMES && count > 0) {
        return set_names(row, where, values, count, field, why);
    }
    if (row->kind == CONFIG_USERS && count > 0) {
        return set_user(row, where, values, count, field, why);
    }
    if ((row->kind == CONFIG_TARGETS || row->kind == CONFIG_FORWARDS) && count > 0) {
        return set_uplink(row, where, values, count, field, why);
    }
    if ((row->kind == CONFIG_QUEUES || row->kind == CONFIG_GROUPS) && count > 0) {
        return set_rules(row, where, values, count, field, why);
    }
    if (row->kind == CONFIG_LIMITS && count > 0) {
        return set_limits(row, where, values, count, field, why);
    }
    if (row->kind == CONFIG_DATABASES && count > 0) {
        return set_databases(row, where, values, count, field, why);
    }
    if (count != 1) {
        return refuse(why, where, row->name, count == 0 ? "has no value" : "has too many values");
    }
    switch (row->kind) {
    case CONFIG_TEXT:
        return set_text(row, where, values[0], field, why);
    case CONFIG_WORD:
        return set_word(row, where, values[0], field, why);
    case CONFIG_YESNO:
        return set_yesno(row, where, values[0], field, why);
    default:
        return set_number(row, where, values[0], field, why);
    }
}

bool config_set(struct config *c, const char *where, char *const *words, uint32_t count,
                struct config_why *why)
{
    const struct config_row *row = config_row_of(words[0]);

    if (row != NULL) {
        return set_row(c, row, where, words + 1, count - 1, why);
    }
    if (is_without_meaning(words[0])) {
        if (c->without_meaning++ == 0) {
            (void)snprintf(c->without_meaning_first, sizeof c->without_meaning_first, "%s",
                           words[0]);
        }
        return true;
    }
    return refuse(why, where, words[0], "no such option (oxbowd --help lists them)");
}

void config_init(struct config *c)
{
    const struct config_row *row;
    struct config_why why;

    memset(c, 0, sizeof *c);
    for (row = config_rows; row->name != NULL; row++) {
        char line[CONFIG_TEXT_MAX];
        char *words[CONFIG_WORDS_MAX];
        uint32_t count = 0;

        (void)snprintf(line, sizeof line, "%s", row->standard);
        if (line[0] == '\0') {
            continue; /* all zero */
        }
        if (!config_split(line, words, &count) || !set_row(c, row, "default", words, count, &why)) {
            fprintf(stderr, "oxbowd: %s\n", why.text);
            abort(); /* the table contradicts itself */
        }
    }
}

/* ---- what goes together ---- */

static bool is_loopback(const char *bind)
{
    const char *host = bind[0] == '-' ? bind + 1 : bind;
    struct in_addr in;
    struct in6_addr in6;

    if (inet_pton(AF_INET, host, &in) == 1) {
        return ntohl(in.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &in6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&in6);
    }
    return strcasecmp(host, "localhost") == 0;
}

bool config_is_public(const struct config *c)
{
    for (uint32_t i = 0; (c->port != 0 || c->tls_port != 0) && i < c->bind.count; i++) {
        if (!is_loopback(c->bind.text[i])) {
            return true;
        }
    }
    return false;
}

static bool sentinel_check(const struct config *c, struct config_why *why)
{
    if (c->sentinel_port != 0 && c->port == 0 && c->tls_port == 0) {
        return refuse(why, "oxbowd", "sentinel-port", "needs port or tls-port to tell of");
    }
    if (c->sentinel_port != 0 && (c->sentinel_port == c->port || c->sentinel_port == c->tls_port)) {
        return refuse(why, "oxbowd", "sentinel-port", "is %s: one of them must be another",
                      c->sentinel_port == c->port ? "port" : "tls-port");
    }
    if (strlen(c->announce_ip) > OXBOW_RESP_HOST_MAX ||
        c->announce_ip[strspn(c->announce_ip, OXBOW_RESP_HOST_LETTERS)] != '\0') {
        return refuse(why, "oxbowd", "replica-announce-ip", "'%.60s' is no address and no name",
                      c->announce_ip);
    }
    return true;
}

/* Whether what is said of databases in memory has one that it is about. */
static bool memory_check(const struct config *c, struct config_why *why)
{
    static const char none[] = "is about databases that are kept in memory, and there is none: say "
                               "db N memory, too. What is on the device has quota";

    if (config_databases_memory(&c->own_sync) != 0) {
        return true;
    }
    if (c->maxmemory != 0) {
        return refuse(why, "oxbowd", "maxmemory", none);
    }
    return c->maxmemory_policy == OXBOW_EVICT_NONE ||
           refuse(why, "oxbowd", "maxmemory-policy", none);
}

static bool names_check(const struct config *c, struct config_why *why)
{
    return c->names == 0 || c->names >= CONFIG_NAMES_MIN ||
           refuse(why, "oxbowd", "names-max", "is 0 or from %u", CONFIG_NAMES_MIN);
}

bool config_check(const struct config *c, struct config_why *why)
{
    struct config_why wrong;
    const char *name;

    if (!config_uplink_check(c, &name, &wrong)) {
        return refuse(why, "oxbowd", name, "%s", wrong.text);
    }
    if (c->tls_port != 0 && (c->tls_cert[0] == '\0' || c->tls_key[0] == '\0')) {
        return refuse(why, "oxbowd", "tls-port", "needs tls-cert-file and tls-key-file");
    }
    if (c->tls_port != 0 && c->tls_ca[0] == '\0' && c->tls_clients != OXBOW_TLS_CLIENTS_NONE) {
        return refuse(why, "oxbowd", "tls-port",
                      "needs tls-ca-cert-file, for clients' certificates, or tls-auth-clients no");
    }
    if (c->tls_port != 0 && c->tls_port == c->port) {
        return refuse(why, "oxbowd", "tls-port", "is port: one of them must be another");
    }
    if (c->port == 0 && c->tls_port == 0 && c->unixsocket[0] == '\0') {
        return refuse(why, "oxbowd", "port", "is 0 and there is no unixsocket: nobody could come");
    }
    if (!sentinel_check(c, why) || !memory_check(c, why) || !names_check(c, why)) {
        return false;
    }
    if (c->keyspace_events[strspn(c->keyspace_events, "KEg$lshzxetdmnA")] != '\0') {
        return refuse(why, "oxbowd", "notify-keyspace-events",
                      "'%.60s': classes of events are K E g $ l s h z x e t d m n and A",
                      c->keyspace_events);
    }
    if (c->stand_in[0] != '\0' && c->on_failure != OXBOW_FAILURE_MEMORY) {
        return refuse(why, "oxbowd", "stand-in", "goes with on-failure memory");
    }
    if (c->appendfsync == OXBOW_SYNC_NONE && c->journal == OXBOW_JOURNAL_OFF) {
        return refuse(why, "oxbowd", "appendfsync", "no needs the journal");
    }
    if (config_databases_none(&c->own_sync) && c->journal == OXBOW_JOURNAL_OFF) {
        return refuse(why, "oxbowd", "db", "the policy no needs the journal");
    }
    if (c->aclfile[0] != '\0' && c->users[0] != '\0') {
        return refuse(why, "oxbowd", "aclfile",
                      "does not go with user: move the users into the file");
    }
    if (c->aclfile[0] != '\0' && c->requirepass[0] != '\0') {
        return refuse(why, "oxbowd", "aclfile",
                      "does not go with requirepass: the file says who the default user is");
    }
    return true;
}

/* ---- for people ---- */

static const char *value_of(const struct config_row *row)
{
    switch (row->kind) {
    case CONFIG_NUMBER:
    case CONFIG_NUMBER_OR_NONE:
        return "NUMBER";
    case CONFIG_OCTAL:
        return "OCTAL";
    case CONFIG_SIZE:
        return "SIZE";
    case CONFIG_YESNO:
        return "yes|no";
    case CONFIG_ADDRESSES:
        return "ADDRESS...";
    case CONFIG_NAMES:
        return "NAME...";
    case CONFIG_USERS:
        return "NAME RULE...";
    case CONFIG_TARGETS:
        return "TARGET...";
    case CONFIG_FORWARDS:
        return "NAME TYPE KEY [OPTION VALUE]...";
    case CONFIG_QUEUES:
        return "PATTERN [FIELD VALUE]...";
    case CONFIG_GROUPS:
        return "PATTERN PATTERN [OPTION VALUE]...";
    case CONFIG_LIMITS:
        return "CLASS HARD SOFT SECONDS...";
    case CONFIG_DATABASES:
        return "NUMBER sync POLICY, NUMBER memory...";
    case CONFIG_WORD:
    case CONFIG_TEXT:
        break;
    }
    return "TEXT";
}

static void value_text(const struct config_row *row, const char *between, char *out, size_t len)
{
    const struct config_word *w;
    size_t at = 0;

    if (row->kind != CONFIG_WORD) {
        (void)snprintf(out, len, "%s", value_of(row));
        return;
    }
    for (w = row->words; w->name != NULL; w++) {
        at += (size_t)snprintf(out + at, len - at, "%s%s", at > 0 ? between : "",
                               w->name[0] != '\0' ? w->name : "\"\"");
    }
}

void config_print_help(void)
{
    const struct config_row *row;
    char value[CONFIG_TEXT_MAX];
    char left[CONFIG_TEXT_MAX + 64];

    for (row = config_rows; row->name != NULL; row++) {
        value_text(row, "|", value, sizeof value);
        (void)snprintf(left, sizeof left, "--%s %s", row->name, value);
        printf("  %-38s %s%s%s%s\n", left, row->help, row->standard[0] != '\0' ? " (" : "",
               row->standard, row->standard[0] != '\0' ? ")" : "");
    }
}

void config_print_markdown(void)
{
    const struct config_row *row;
    char value[CONFIG_TEXT_MAX];

    puts("| option | value | default | |\n|---|---|---|---|");
    for (row = config_rows; row->name != NULL; row++) {
        value_text(row, ", ", value, sizeof value);
        printf("| `%s` | %s | %s%s%s | %s |\n", row->name, value,
               row->standard[0] != '\0' ? "`" : "none", row->standard,
               row->standard[0] != '\0' ? "`" : "", row->help);
    }
}
