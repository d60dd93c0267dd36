/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow repair: looks at every value, mends what is damaged, and lists what a store has lost. The
 * mending itself is the library's: any open of a damaged store does it, this one looks closer.
 */
#include "oxbow/loss.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <stdio.h>

#define LINE_BYTES 700u

const struct option_row repair_options[] = {
    {"dry-run", 0, OPTION_FLAG, offsetof(struct options, dry_run), NULL,
     "only look: change nothing, mend nothing"},
    {"forget", 0, OPTION_FLAG, offsetof(struct options, forget), NULL,
     "take what is listed off the record"},
    {0}};

struct lister {
    struct out *out;
    uint64_t count;
};

static void out_count(struct out *out, uint64_t n)
{
    if (n == UINT64_MAX) {
        out_none(out);
    } else {
        out_number(out, n);
    }
}

static enum oxbow_err print_loss(void *ctx, const struct oxbow_loss *l)
{
    struct lister *list = ctx;
    char line[LINE_BYTES];

    (void)oxbow_loss_text(l, line, sizeof line);
    out_text(list->out, oxbow_loss_kind_name(l->kind));
    out_number(list->out, l->database);
    out_bytes(list->out, l->key);
    out_bytes(list->out, l->group);
    out_count(list->out, l->entries);
    out_id(list->out, l->first);
    out_id(list->out, l->last);
    out_number(list->out, l->object);
    out_number(list->out, l->boot);
    out_number(list->out, l->wall_ms);
    out_text(list->out, line);
    list->count++;
    return OXBOW_OK;
}

/* What is on record; `done` is what to say when it is nothing. */
static int list_losses(struct cli *cli, uint64_t *count)
{
    static const char *const columns[] = {"kind", "database", "key",  "group",   "entries", "first",
                                          "last", "object",   "boot", "wall_ms", "text",    NULL};
    struct lister list = {.out = out_open(cli->opt.json, false, columns)};
    enum oxbow_err err = oxbow_losses(cli->db, print_loss, &list);

    if (err != OXBOW_OK) {
        out_drop(list.out);
        return cli_fail("repair", err);
    }
    *count = list.count;
    if (list.count == 0 && !cli->opt.json) {
        out_drop(list.out);
        puts("sound, and nothing was ever lost, or it was forgotten");
        return EXIT_DONE;
    }
    return out_close(list.out) ? EXIT_DONE : EXIT_FAILED;
}

int repair_main(struct cli *cli)
{
    uint32_t flags = OXBOW_OPEN_EXISTING | (cli->opt.forget != 0 ? 0 : OXBOW_OPEN_REPAIR);
    uint64_t count = 0;
    enum oxbow_err err;
    int code;

    if (cli->opt.dry_run != 0 && cli->opt.forget != 0) {
        return cli_usage(cli, "--forget changes something, --dry-run does not");
    }
    if (cli->opt.dry_run != 0) {
        return check_main(cli);
    }
    err = cli_open(cli, cli_dir(cli), flags, &cli->db);
    if (err != OXBOW_OK) {
        return cli_fail_open(cli, false, err);
    }
    code = list_losses(cli, &count);
    if (code == EXIT_DONE && cli->opt.forget != 0 && count > 0) {
        err = oxbow_losses_forget(cli->db);
        code = err == OXBOW_OK ? EXIT_DONE : cli_fail("repair", err);
    }
    return code;
}
