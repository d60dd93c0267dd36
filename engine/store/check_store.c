/* SPDX-License-Identifier: Apache-2.0 */
/* oxbow_check: takes the directory as a reader would, and walks its data file. */
#include "engine/store/check.h"

#include "engine/base/buf.h"
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
