/* SPDX-License-Identifier: Apache-2.0 */
/* oxbow compact: says what it needs, makes the data file dense, says what came of it. */
#include "tools/oxbow/command.h"

#include "oxbow/compact.h"
#include "tools/oxbow/out.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct compactor {
    const struct cli *cli;
    bool progress;
};

static void on_begin(void *ctx, const struct oxbow_compact_report *r)
{
    const struct compactor *c = ctx;

    if (c->cli->opt.json) {
        return;
    }
    fprintf(stderr,
            "the data file has %" PRIu64 " bytes, %" PRIu64 " records; %" PRIu64
            " bytes must be free beside it",
            r->file_bytes, r->keys, r->need_bytes);
    if (r->free_bytes != UINT64_MAX) {
        fprintf(stderr, ", %" PRIu64 " are", r->free_bytes);
    }
    fputc('\n', stderr);
}

static void on_progress(void *ctx, uint64_t done, uint64_t keys)
{
    const struct compactor *c = ctx;

    if (c->progress) {
        fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " records", done, keys);
    }
}

int compact_main(struct cli *cli)
{
    static const char *const columns[] = {"records", "before", "after", "needed", NULL};
    struct compactor c = {cli, isatty(STDERR_FILENO) != 0};
    const struct oxbow_compact_options options = {
        .port = cli_port(cli), .ctx = &c, .begin = on_begin, .progress = on_progress};
    struct oxbow_compact_report report;
    enum oxbow_err err = oxbow_compact(cli_dir(cli), &options, &report);
    struct out *out;

    if (c.progress) {
        fputs("\r\033[K", stderr);
    }
    if (err == OXBOW_ENOSPC && report.need_bytes != 0) {
        fprintf(stderr, "oxbow: compact: %s: %" PRIu64 " bytes must be free, %" PRIu64 " are\n",
                oxbow_err_name(err), report.need_bytes, report.free_bytes);
        return EXIT_FAILED;
    }
    if (err != OXBOW_OK) {
        return cli_fail_open(cli, false, err);
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, report.keys);
    out_size(out, report.file_bytes);
    out_size(out, report.new_bytes);
    out_size(out, report.need_bytes);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}
