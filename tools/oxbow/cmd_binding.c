/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands on bindings. A binding is said in words, the same on the command line and in a file:
 *
 *   SOURCE DESTINATION [on-full=skip] [list=FIELD] [KIND ARGUMENTS]
 */
#include "oxbow/binding.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

/* How a kind is said. */
static const struct kind_row {
    const char *name;
    enum oxbow_binding_kind kind;
    bool any;
    const char *want; /* if its arguments are off */
} kinds[] = {
    {"all", OXBOW_BIND_ALL, false, "all has no arguments"},
    {"direct", OXBOW_BIND_DIRECT, false, "want: direct FIELD VALUE"},
    {"topic", OXBOW_BIND_TOPIC, false, "want: topic FIELD PATTERN"},
    {"headers", OXBOW_BIND_HEADERS, false, "want: headers FIELD VALUE..., at most 8 pairs"},
    {"any-header", OXBOW_BIND_HEADERS, true, "want: any-header FIELD VALUE..., at most 8 pairs"},
};

static const char *setting(const char *word, const char *name)
{
    size_t len = strlen(name);

    return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

/* "on-full=skip" and the like. NULL: it is one; else why not. */
static const char *take_setting(const char *word, struct oxbow_binding *b)
{
    const char *on_full = setting(word, "on-full");
    const char *list = setting(word, "list");

    if (on_full != NULL && strcmp(on_full, "skip") == 0) {
        b->on_full = OXBOW_BINDING_SKIP;
    } else if (on_full != NULL && strcmp(on_full, "refuse") == 0) {
        b->on_full = OXBOW_BINDING_REFUSE;
    } else if (list != NULL && *list != '\0') {
        b->type = OXBOW_TYPE_LIST;
        b->value_field = bytes_of(list);
    } else {
        return "want on-full=refuse, on-full=skip, list=FIELD, or a kind: all, direct, topic, "
               "headers, any-header";
    }
    return NULL;
}

static const char *take_kind(const struct kind_row *row, const char *const *words, size_t count,
                             struct oxbow_binding *b, struct oxbow_field *headers)
{
    size_t pairs = count / 2;

    b->kind = row->kind;
    b->any = row->any;
    switch (row->kind) {
    case OXBOW_BIND_ALL:
        return count == 0 ? NULL : row->want;
    case OXBOW_BIND_DIRECT:
    case OXBOW_BIND_TOPIC:
        if (count != 2) {
            return row->want;
        }
        b->field = bytes_of(words[0]);
        b->pattern = bytes_of(words[1]);
        return NULL;
    case OXBOW_BIND_HEADERS:
        if (pairs == 0 || count % 2 != 0 || pairs > OXBOW_BINDING_HEADERS_MAX) {
            return row->want;
        }
        for (size_t i = 0; i < pairs; i++) {
            headers[i] = (struct oxbow_field){bytes_of(words[2 * i]), bytes_of(words[2 * i + 1])};
        }
        b->headers = headers;
        b->header_count = (uint32_t)pairs;
        return NULL;
    }
    return row->want;
}

/* NULL: it is a binding; else why not. */
static const char *binding_of_words(const char *const *words, size_t count, struct oxbow_binding *b,
                                    struct oxbow_field *headers)
{
    if (count < 2) {
        return "want: SOURCE DESTINATION";
    }
    *b = (struct oxbow_binding){.source = bytes_of(words[0]), .destination = bytes_of(words[1])};
    for (size_t i = 2; i < count; i++) {
        const char *why;

        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            if (strcmp(words[i], kinds[k].name) == 0) {
                return take_kind(&kinds[k], words + i + 1, count - i - 1, b, headers);
            }
        }
        why = take_setting(words[i], b);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

enum oxbow_err binding_words(struct oxbow_txn *txn, const char *const *words, size_t count,
                             uint32_t *id, const char **why)
{
    struct oxbow_field headers[OXBOW_BINDING_HEADERS_MAX];
    struct oxbow_binding b;

    *why = binding_of_words(words, count, &b, headers);
    return *why == NULL ? oxbow_bind(txn, &b, id) : OXBOW_EPARSE;
}

enum oxbow_err source_words(struct oxbow_txn *txn, const char *const *words, size_t count,
                            const char **why)
{
    struct oxbow_source s = {0};

    *why = count < 1 ? "want: SOURCE [keep=yes|no] [alternate=STREAM]" : NULL;
    for (size_t i = 1; i < count; i++) {
        const char *keep = setting(words[i], "keep");
        const char *alternate = setting(words[i], "alternate");

        if (keep != NULL && (strcmp(keep, "yes") == 0 || strcmp(keep, "no") == 0)) {
            s.keeps_nothing = strcmp(keep, "no") == 0;
        } else if (alternate != NULL) {
            s.alternate = bytes_of(alternate);
        } else {
            *why = "want keep=yes, keep=no or alternate=STREAM";
        }
    }
    return *why == NULL ? oxbow_source_set(txn, bytes_of(words[0]), &s) : OXBOW_EPARSE;
}

/* ---- commands ---- */

static int run_bind(struct cli *cli)
{
    static const char *const columns[] = {"binding", NULL};
    struct oxbow_txn *txn;
    struct out *out;
    const char *why;
    uint32_t id = 0;
    enum oxbow_err err = cli_begin(cli, 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("bind", err);
    }
    err = binding_words(txn, cli->args, cli->arg_count, &id, &why);
    if (why != NULL) {
        oxbow_txn_abort(txn);
        return cli_usage(cli, "bind: %s", why);
    }
    code = cli_finish(txn, "bind", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, id);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_unbind(struct cli *cli)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("unbind", err);
    }
    for (size_t i = 0; i < cli->arg_count && err == OXBOW_OK; i++) {
        char *end;
        unsigned long id = strtoul(cli->args[i], &end, 10);

        if (*end != '\0' || cli->args[i][0] < '0' || cli->args[i][0] > '9' || id > UINT32_MAX) {
            oxbow_txn_abort(txn);
            return cli_usage(cli, "%s: an ID is a number, as `oxbow bindings` prints it",
                             cli->args[i]);
        }
        err = oxbow_unbind(txn, (uint32_t)id);
    }
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    return cli_finish(txn, "unbind", err);
}

static void add_word(struct oxbow_bytes word, char *text, size_t cap)
{
    size_t len = strlen(text);

    (void)snprintf(text + len, cap - len, "%s%.*s", len > 0 ? " " : "", (int)word.len,
                   word.len > 0 ? (const char *)word.data : "");
}

static void print_binding(struct out *out, const struct oxbow_binding_info *info)
{
    const struct oxbow_binding *b = &info->binding;
    char takes[8192] = "";

    if (b->kind == OXBOW_BIND_DIRECT || b->kind == OXBOW_BIND_TOPIC) {
        add_word(b->field, takes, sizeof takes);
        add_word(b->pattern, takes, sizeof takes);
    }
    for (uint32_t i = 0; i < b->header_count; i++) {
        add_word(b->headers[i].name, takes, sizeof takes);
        add_word(b->headers[i].value, takes, sizeof takes);
    }
    out_number(out, info->id);
    out_bytes(out, b->source);
    out_bytes(out, b->destination);
    out_text(out, b->any ? "any-header" : oxbow_binding_kind_name(b->kind));
    out_text(out, takes);
    if (b->type == OXBOW_TYPE_LIST) {
        out_bytes(out, b->value_field);
    } else {
        out_none(out);
    }
    out_text(out, b->on_full == OXBOW_BINDING_SKIP ? "skip" : "refuse");
    out_number(out, info->dropped);
    if (info->dropped > 0) {
        out_text(out, oxbow_err_name(info->why));
    } else {
        out_none(out);
    }
}

static bool is_arg(const struct cli *cli, uint32_t database, struct oxbow_bytes name)
{
    struct oxbow_bytes want;

    if (database != (uint32_t)cli->opt.database) {
        return false;
    }
    if (cli->arg_count == 0) {
        return true;
    }
    want = bytes_of(cli->args[0]);
    return want.len == name.len && memcmp(want.data, name.data, name.len) == 0;
}

static int run_bindings(struct cli *cli)
{
    static const char *const columns[] = {"binding", "source",  "destination", "kind", "takes",
                                          "list",    "on_full", "dropped",     "why",  NULL};
    struct oxbow_binding_info info = {.id = 0};
    struct oxbow_txn *txn;
    struct out *out;
    bool any = false;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("bindings", err);
    }
    out = out_open(cli->opt.json, false, columns);
    while ((err = oxbow_binding_next(txn, info.id, &info)) == OXBOW_OK) {
        if (is_arg(cli, info.database, info.binding.source)) {
            print_binding(out, &info);
            any = true;
        }
    }
    code = cli_finish(txn, "bindings", err == OXBOW_ENOENT ? OXBOW_OK : err);
    if (code == EXIT_DONE && (any || cli->opt.json)) {
        return out_close(out) ? (any ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
    }
    out_drop(out);
    return code == EXIT_DONE ? EXIT_NOTHING : code;
}

static int run_route(struct cli *cli)
{
    struct oxbow_txn *txn;
    const char *why;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("route", err);
    }
    err = source_words(txn, cli->args, cli->arg_count, &why);
    if (why != NULL) {
        oxbow_txn_abort(txn);
        return cli_usage(cli, "route: %s", why);
    }
    return cli_finish(txn, "route", err);
}

static void print_source(struct out *out, const struct oxbow_source_info *info)
{
    out_bytes(out, info->key);
    out_text(out, info->source.keeps_nothing ? "no" : "yes");
    if (info->source.alternate.len > 0) {
        out_bytes(out, info->source.alternate);
    } else {
        out_none(out);
    }
    out_number(out, info->bindings);
    out_number(out, info->entries);
    out_number(out, info->routed);
    out_number(out, info->unroutable);
    out_number(out, info->alternated);
    out_number(out, info->dropped);
}

static int run_routes(struct cli *cli)
{
    static const char *const columns[] = {"source",  "keep",   "alternate",  "bindings",
                                          "entries", "routed", "unroutable", "alternated",
                                          "dropped", NULL};
    struct oxbow_source_info info;
    struct oxbow_txn *txn;
    struct out *out;
    uint32_t place = 0;
    bool any = false;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("routes", err);
    }
    out = out_open(cli->opt.json, false, columns);
    while ((err = oxbow_source_next(txn, &place, &info)) == OXBOW_OK) {
        if (is_arg(cli, info.database, info.key)) {
            print_source(out, &info);
            any = true;
        }
    }
    code = cli_finish(txn, "routes", err == OXBOW_ENOENT ? OXBOW_OK : err);
    if (code == EXIT_DONE && (any || cli->opt.json)) {
        return out_close(out) ? (any ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
    }
    out_drop(out);
    return code == EXIT_DONE ? EXIT_NOTHING : code;
}

const struct command commands_binding[] = {
    {"bind", "SOURCE DESTINATION [on-full=skip] [list=FIELD] [KIND ARGUMENT...]", 2, SIZE_MAX,
     COMMAND_STORE,
     "let a stream's entries go to another queue too: all, direct FIELD VALUE, topic FIELD "
     "PATTERN, "
     "headers FIELD VALUE..., any-header FIELD VALUE...",
     run_bind, NULL},
    {"unbind", "ID...", 1, SIZE_MAX, COMMAND_EXIST, "remove bindings", run_unbind, NULL},
    {"bindings", "[SOURCE]", 0, 1, COMMAND_READ, "print bindings, and what they dropped",
     run_bindings, NULL},
    {"route", "SOURCE [keep=yes|no] [alternate=STREAM]", 1, 3, COMMAND_STORE,
     "set whether a source keeps its entries, and who gets what no binding takes", run_route, NULL},
    {"routes", "[SOURCE]", 0, 1, COMMAND_READ, "print sources of bindings, and what they counted",
     run_routes, NULL},
    {0},
};
