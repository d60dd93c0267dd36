/* SPDX-License-Identifier: Apache-2.0 */
/* oxbow_check: takes the directory as a reader would, walks its data file and reads its journal. */
#include "engine/store/check.h"

#include "engine/base/buf.h"
#include "engine/store/replay.h"
#include "engine/store/store.h"

#include <string.h>

static void note(const struct oxbow_check_options *options, struct oxbow_check_report *report,
                 enum oxbow_finding_kind kind, const char *text)
{
    struct oxbow_finding f = {kind, 0, text};

    report->damage++;
    if (options->finding != NULL) {
        options->finding(options->ctx, &f);
    }
}

/* Whether all of it can be understood. */
static enum oxbow_err look_at(void *ctx, uint64_t lsn, struct oxbow_bytes effects)
{
    struct effect e;
    enum oxbow_err err = OXBOW_OK;

    (void)ctx;
    (void)lsn;
    while (err == OXBOW_OK && effects.len > 0) {
        err = effect_take(&effects, &e);
    }
    return err;
}

static void note_journal(const struct oxbow_check_options *options, const char *text)
{
    struct oxbow_finding f = {OXBOW_FINDING_JOURNAL, 0, text};

    if (options->finding != NULL) {
        options->finding(options->ctx, &f);
    }
}

/* What an open would replay, and what it would miss. */
static enum oxbow_err check_journal(struct oxbow *db, const struct oxbow_check_options *options,
                                    struct oxbow_check_report *report)
{
    const struct replay_from from = {report->lsn, report->boot, report->closed};
    const struct replay_sink sink = {db, look_at};
    struct oxbow_recovery *out = &report->recovery;
    struct replay_report found;
    enum oxbow_err err;

    ring_init(&db->journal.ring, db->port, db->config.dir, db->store_id);
    db->journal.ring.unreadable_is_lost = report->closed;
    err = ring_open(&db->journal.ring, true);
    if (err != OXBOW_OK) {
        return err;
    }
    out->journal_missing = report->journal && !report->closed &&
                           (db->journal.ring.count == 0 || db->journal.ring.missing > 0);
    err = replay_run(&db->journal.ring, &from, &sink, &found);
    ring_close(&db->journal.ring);
    if (err != OXBOW_OK) {
        return err;
    }
    out->replayed = found.txns;
    out->replayed_upto = found.last;
    out->lost_from = found.lost_from;
    out->lost_upto = found.lost_upto;
    out->doubt_from = found.doubt_from;
    out->doubt_upto = found.doubt_upto;
    if (out->journal_missing) {
        note_journal(options,
                     "files of the journal are missing or cut off: what they held is lost");
    }
    if (out->lost_from != 0) {
        note_journal(options, "transactions that were acknowledged cannot be read back");
    }
    return OXBOW_OK;
}

static enum oxbow_err check_directory(struct oxbow *db, const struct oxbow_check_options *options,
                                      struct oxbow_check_report *report)
{
    struct check_file file = {.port = db->port, .options = options};
    enum oxbow_err err = directory_open(db);

    if (err == OXBOW_ECORRUPT) {
        note(options, report, OXBOW_FINDING_LENGTH, "a file of the store is missing or cut off");
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    file.fd = db->data_fd;
    err = check_walk(&file, report);
    if (err == OXBOW_OK && report->boot > 0 && report->store_id != db->store_id) {
        note(options, report, OXBOW_FINDING_HEADER,
             "FORMAT and the data file are of different stores");
    }
    if (err == OXBOW_OK && report->damage == 0 && report->boot > 0) {
        err = check_journal(db, options, report);
    }
    return err;
}

enum oxbow_err oxbow_check(const char *dir, const struct oxbow_check_options *options,
                           struct oxbow_check_report *report)
{
    static const struct oxbow_check_options plain = {0};
    const struct oxbow_port *port;
    struct oxbow *db;
    enum oxbow_err err = OXBOW_ENOMEM;

    options = options != NULL ? options : &plain;
    port = options->port != NULL ? options->port : oxbow_port_default();
    if (dir == NULL || dir[0] == '\0' || strlen(dir) > STORE_DIR_MAX) {
        return OXBOW_EINVAL;
    }
    db = mem_new(&port->alloc, sizeof *db);
    if (db == NULL) {
        return OXBOW_ENOMEM;
    }
    memset(report, 0, sizeof *report);
    db->port = port;
    db->config.dir = dir;
    db->config.flags = OXBOW_OPEN_READONLY;
    db->lock_fd = -1;
    db->data_fd = -1;
    db->path_bytes = strlen(dir) + STORE_PATH_ROOM;
    db->path = mem_new(&port->alloc, db->path_bytes);
    if (db->path != NULL) {
        err = check_directory(db, options, report);
        directory_close(db);
        mem_free(&port->alloc, db->path, db->path_bytes);
    }
    mem_free(&port->alloc, db, sizeof *db);
    return err;
}
