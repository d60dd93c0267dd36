/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is told that keys which it has read, and may keep a copy of, have changed: CLIENT TRACKING.
 *
 *   tracking.c       what was read by whom, and what has changed
 *   tracking_send.c  the messages that say so
 *   cmd_tracking.c   the subcommands of CLIENT, and prefixes
 */
#ifndef OXBOW_RESP_TRACKING_H
#define OXBOW_RESP_TRACKING_H

#include "engine/base/buf.h"
#include "engine/resp/command.h"
#include "engine/resp/link.h"

#include <stdbool.h>

#define RESP_TRACKED_KEYS      1000000u /* when nothing else is set: tracking-table-max-keys */
#define RESP_TRACKED_BYTES_MAX ((size_t)256 << 20) /* of keys and of who has read them */
#define RESP_CHANGED_BYTES_MAX ((size_t)4 << 20) /* of names that changed in one batch, for BCAST */
#define RESP_CHANGED_HEAD      12u               /* le64 of a client, le32 of a length */
#define RESP_PREFIXES_MAX      1024u             /* of one client */
#define RESP_PREFIX_BYTES_MAX  4096u

/* A key that was read. */
struct resp_tracked {
    struct resp_tracked *next; /* in its slot */
    struct link link;          /* in track->oldest, changed or told */
    uint64_t hash;
    uint64_t by; /* whose command has changed it; 0: nobody's */
    uint64_t *readers;
    uint32_t reader_count;
    uint32_t reader_cap;
    uint32_t len;
    uint8_t name[];
};

/* A prefix of a client in BCAST mode. */
struct resp_prefix {
    struct link of_client; /* struct resp_tracking.prefixes, in their order */
    uint32_t len;
    uint8_t text[];
};

/* Of a client. */
struct resp_tracking {
    bool on;
    bool bcast;            /* it is told of all keys that begin so, read or not */
    bool optin;            /* only what is read after CACHING YES counts */
    bool optout;           /* what is read after CACHING NO does not */
    bool noloop;           /* its own changes are not told */
    bool broken;           /* a message could not be sent: the one that it goes to is gone */
    bool caching;          /* CACHING was given */
    uint64_t caching_upto; /* number of the request that it is for; 0: that has not come yet */
    uint64_t redirect;     /* number of the client that gets the messages; 0: itself */
    struct link prefixes;
    uint32_t prefix_count;
    struct link bcasts; /* in server->track.bcasts */
};

/* Of a server. */
struct resp_track {
    bool some;                   /* something has changed since the last batch */
    uint32_t clients;            /* that track */
    uint32_t prefixes;           /* of all of them */
    struct resp_tracked **slots; /* NULL: nothing was ever read so */
    uint32_t slot_count;         /* a power of two */
    uint64_t keys;
    uint64_t items; /* readers, of all keys */
    size_t bytes;
    uint64_t keys_max;   /* 0: no limit but that of bytes */
    struct link oldest;  /* of all keys, the one first that was read first */
    struct link changed; /* keys that are not in the table any more: their readers are to be told */
    struct link told;    /* they were, and the batch is not committed yet */
    struct link bcasts;  /* clients in BCAST mode */
    struct buf
        names; /* of changed keys for those: le64 of the client that changed it, le32, bytes */
    size_t names_told; /* bytes of them */
    size_t names_last; /* where the last one begins */
    bool names_lost;   /* there was no room for one */
    bool lost_told;
    bool all; /* everything has changed */
    bool all_told;
};

struct oxbow_resp;
struct oxbow_resp_client;

void resp_track_init(struct oxbow_resp *s);
void resp_track_fini(struct oxbow_resp *s);
void resp_track_client_init(struct oxbow_resp_client *c);
/* Ends the client's tracking, if it does track. */
void resp_track_end(struct oxbow_resp_client *c);

/* Notes what the command reads, before it does. OXBOW_ENOMEM: then it may not be read. */
OXBOW_MUST_CHECK enum oxbow_err resp_track_read(const struct resp_call *call);
/* Notes that a key has changed; `by`: whose command did it, NULL: nobody's. */
void resp_track_changed(struct oxbow_resp *s, const struct oxbow_resp_client *by,
                        struct oxbow_bytes key);
/* Notes that all keys have, or may have. */
void resp_track_all(struct oxbow_resp *s);
/* Forgets the keys of a ring of `changed`'s kind. */
void resp_tracked_free(struct oxbow_resp *s, struct link *ring);
/* Tells of what has changed since, as part of the batch if there is one. */
void resp_track_tell(struct oxbow_resp *s);
/* The batch has ended: what was told counts, or was taken back and is told without it. */
void resp_track_settle(struct oxbow_resp *s, bool committed);
/* Notes which request CACHING was for, after the client's request was carried out; NULL: it was refused. */
void resp_track_ran(struct oxbow_resp_client *c, const struct resp_command *row);
/* Whether CACHING holds for the client's request. */
bool resp_track_caching(const struct oxbow_resp_client *c);

/* The setting. */
void resp_get_track_keys(struct oxbow_resp *s, char *out);
bool resp_set_track_keys(struct oxbow_resp *s, struct oxbow_bytes value);

/* ---- cmd_tracking.c ---- */

OXBOW_MUST_CHECK enum oxbow_err resp_client_tracking(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_client_caching(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_client_getredir(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_client_trackinginfo(struct resp_call *call);

#endif
