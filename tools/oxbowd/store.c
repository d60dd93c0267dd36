/* SPDX-License-Identifier: Apache-2.0 */
/* The store as the configuration has it. */
#include "tools/oxbowd/store.h"

#include <stdio.h>

#define QUOTA_DEFAULT    ((uint64_t)1 << 30) /* the library's */
#define PAGE_BYTES       4096u
#define GATHER_PART      40u   /* of the quota, in one checkpoint */
#define GATHER_PAGES_MIN 3072u /* the library's default */
#define GATHER_PAGES_MAX 16384u
#define GATHER_BYTES     (8u << 20)
#define GATHER_NAMES     (128u << 10)

static const char *store_error(const struct daemon_log *log, enum oxbow_err err, char *text,
                               size_t len)
{
    if (err == OXBOW_ELOCKED) {
        (void)snprintf(text, len, "the store is in use by %s",
                       log->owner[0] != '\0' ? log->owner : "another process");
        return text;
    }
    if (err == OXBOW_ENOENT) {
        return "it cannot be made: its parent is missing or is no directory";
    }
    if (err == OXBOW_EREADONLY) {
        return "no right to write there";
    }
    if (err == OXBOW_EEXIST) {
        return "a database that `db N memory` names has keys, a forward or rules on the device: "
               "empty "
               "it first, or name another";
    }
    if (err == OXBOW_EINVAL) {
        return "limits that contradict each other: quota, disk-limit, journal-segment-size, "
               "memory-max "
               "or stand-in";
    }
    return oxbow_err_text(err);
}

/* What a gateway affords above the library's defaults, which are firmware's: the more a checkpoint
 * gathers, the fewer pages it writes for each of many keys. Room for two of them lies above the
 * quota, so it goes by that. */
static void gather(const struct config *c, struct oxbow_config *out)
{
    uint64_t may = c->disk_limit != 0 ? c->disk_limit / 2 : QUOTA_DEFAULT;
    uint64_t quota = c->quota != 0 ? c->quota : may;
    uint64_t pages = quota / PAGE_BYTES / GATHER_PART;

    if (out->dirty_pages == 0 && pages > GATHER_PAGES_MIN) {
        out->dirty_pages = pages < GATHER_PAGES_MAX ? (uint32_t)pages : GATHER_PAGES_MAX;
    }
    if (out->memtable_bytes == 0 && quota >= QUOTA_DEFAULT) {
        out->memtable_bytes = GATHER_BYTES;
    }
    if (out->names_max == 0 && quota >= QUOTA_DEFAULT) {
        out->names_max = GATHER_NAMES;
    }
    /* A checkpoint begins, too, when a part of the ring as long as a segment is written. */
    if (out->journal_bytes == 0 && quota >= QUOTA_DEFAULT) {
        out->journal_bytes = GATHER_BYTES;
    }
}

enum oxbow_err daemon_store_open(const struct config *c, const struct oxbow_port *port,
                                 struct daemon_log *log, struct oxbow **db)
{
    struct oxbow_config config = {
        .dir = c->dir,
        .port = port,
        .sync = (enum oxbow_sync)c->appendfsync,
        .interval_ms = (uint32_t)c->interval_ms,
        .quota_bytes = c->quota,
        .disk_bytes = c->disk_limit,
        .dirty_pages = (uint32_t)c->dirty_pages,
        .memtable_bytes = (uint32_t)c->memtable,
        .names_max = (uint32_t)c->names,
        .checkpoint_ms = (uint32_t)c->checkpoint_ms,
        .entry_bytes = (uint32_t)c->entry_max,
        .endurance_bytes = c->endurance,
        .journal = (enum oxbow_journal)c->journal,
        .journal_segments = (uint32_t)c->journal_segments,
        .journal_bytes = (uint32_t)c->journal_segment_size,
        .on_foreign = (enum oxbow_on_foreign)c->on_foreign,
        .on_failure = (enum oxbow_on_failure)c->on_failure,
        .memory_max = c->memory_max,
        .members = oxbow_members(),
        .stand_in = c->stand_in[0] != '\0' ? c->stand_in : NULL,
        .cache_databases = config_databases_memory(&c->own_sync),
        .cache = {.bytes = c->maxmemory,
                  .evict = (enum oxbow_evict)c->maxmemory_policy,
                  .samples = (uint32_t)c->maxmemory_samples},
    };
    char text[128];
    enum oxbow_err err;

    gather(c, &config);
    err = oxbow_open(&config, db);

    if (err != OXBOW_OK) {
        daemon_log_say(log, OXBOW_LOG_ERROR, "%s: %s (%s)", c->dir,
                       store_error(log, err, text, sizeof text), oxbow_err_name(err));
    }
    return err;
}

enum oxbow_err daemon_store_close(struct daemon_log *log, struct oxbow **db)
{
    enum oxbow_err err = *db != NULL ? oxbow_close(*db) : OXBOW_OK;

    *db = NULL;
    if (err != OXBOW_OK) {
        daemon_log_say(log, OXBOW_LOG_ERROR, "closing the store: %s (%s)", oxbow_err_text(err),
                       oxbow_err_name(err));
    }
    return err;
}
