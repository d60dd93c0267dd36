/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEBUG RELOAD: the store is closed and opened again while its clients stay connected.
 *
 *   flush -> replies that waited for it leave -> the program closes and opens (config.reopen)
 *         -> lines of those who wait, what expires, policies: made anew in the store
 *
 * 1. Between two commands, with no batch under way. When the store is closed everything that was committed is
 *    on the device, or nothing is closed at all.
 * 2. An LSN means something to the opening that gave it alone: nobody keeps one over it.
 * 3. Who waits for a key goes on waiting, in the order of arrival, and until the same time.
 * 4. What was set since the start (CONFIG SET) holds on; databases that are kept in memory are empty, and who
 *    watches a key of theirs is told by EXEC. Who tracks is told that everything has changed: so it has there,
 *    and names of keys that have expired, and that nobody was told of yet, are lost with the old opening.
 * 5. Without a store there is no server: if it does not open all connections are closed, and the program is
 *    told to end (config.shutdown). server->db is NULL then, and turns do nothing any more.
 */
#include "engine/resp/server.h"

#include <stdio.h>

/* All that was committed is on the device. */
static void let_go(struct oxbow_resp *s)
{
    struct link *next;

    for (struct link *l = s->gated.next; l != &s->gated; l = next) {
        next = l->next;
        resp_client_open_gates(LINK_OF(l, struct oxbow_resp_client, gated), UINT64_MAX);
    }
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        LINK_OF(l, struct oxbow_resp_client, all)->shown_lsn = 0;
    }
    s->committed_lsn = 0;
    s->unasked_lsn = 0;
}

/* Whoever watches a key that is kept in memory: nobody looks whether it was there. */
static void caches_are_lost(struct oxbow_resp *s)
{
    for (size_t n = 0; s->cache.databases != 0 && n < RESP_INTEREST_SLOTS; n++) {
        for (struct resp_interest *i = s->interests[n]; i != NULL; i = i->next) {
            if (!resp_cache_has(s, i->database)) {
                continue;
            }
            for (struct link *l = i->watchers.next; l != &i->watchers; l = l->next) {
                LINK_OF(l, struct resp_watch, line)->client->multi.dirty = true;
            }
        }
    }
    s->cache.full = false;
    s->cache.more = false;
}

/* What the server has in a store: of the new one as of the old one. */
static enum oxbow_err take_up(struct oxbow_resp *s, enum oxbow_sync sync)
{
    enum oxbow_err err = resp_store_begin(s);

    if (err == OXBOW_OK) {
        err = resp_sync_again(s, sync);
    }
    if (err == OXBOW_OK && s->cache.databases != 0) {
        err = oxbow_cache_limit_set(s->db, &s->cache.limit);
    }
    if (err == OXBOW_OK) {
        err = resp_expired_again(s);
    }
    if (err == OXBOW_OK) {
        resp_block_again(s);
        resp_settle_turn(s);
    }
    return err;
}

static void end(struct oxbow_resp *s, enum oxbow_err err)
{
    char line[128];

    (void)snprintf(line, sizeof line, "resp: DEBUG RELOAD: there is no store any more: %s (%s)",
                   oxbow_err_text(err), oxbow_err_name(err));
    s->port->log.line(s->port->log.ctx, OXBOW_LOG_ERROR, line);
    s->db = NULL;
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        resp_client_kill(LINK_OF(l, struct oxbow_resp_client, all));
    }
    if (s->config.shutdown != NULL) {
        s->config.shutdown(s->config.ctx);
    }
}

enum oxbow_err resp_reload(struct oxbow_resp *s)
{
    struct oxbow_stat stat;
    struct oxbow *db = NULL;
    enum oxbow_err err = oxbow_flush(s->db);

    if (err != OXBOW_OK) {
        return err;
    }
    oxbow_stat(s->db, &stat);
    let_go(s);
    caches_are_lost(s);
    resp_track_all(s);
    oxbow_result_fini(&s->result);
    s->db = NULL;
    err = s->config.reopen(s->config.ctx, &db);
    resp_block_left(s);
    if (err == OXBOW_OK) {
        s->db = db;
        err = take_up(s, stat.sync);
    }
    if (err != OXBOW_OK) {
        end(s, err);
    }
    return OXBOW_OK;
}
