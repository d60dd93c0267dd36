/* SPDX-License-Identifier: Apache-2.0 */
/* What an error reply means and what the session does about it: one table. */
#ifndef OXBOW_UPLINK_TROUBLE_H
#define OXBOW_UPLINK_TROUBLE_H

#include "oxbow/uplink.h"

enum trouble_action {
    TROUBLE_RETRY,    /* this forward waits, then tries one batch; the connection stays */
    TROUBLE_RESYNC,   /* this forward reads the position at once, and loads the script with it */
    TROUBLE_STOP,     /* this forward stops until the next connect or RESUME */
    TROUBLE_NEXT,     /* close; go on with the next target */
    TROUBLE_CLOSE,    /* close; wait as the row says */
    TROUBLE_REDIRECT, /* close; go to the address that the error names */
    TROUBLE_FALLBACK  /* the mode of sending is not to be had here: take the next one, or wait */
};

struct trouble_row {
    const char *prefix; /* first word of the error */
    const char *needle; /* must occur in it; NULL: need not */
    enum oxbow_uplink_trouble trouble;
    enum trouble_action action;
    uint32_t base_ms; /* of the waiting time; 0: the connection's own backoff */
    uint32_t cap_ms;
};

/* The row of an error reply's text (without '-'). Never NULL: what nobody knows is PROTOCOL. An
 * error that an old server wraps in "ERR Error running script" is found inside it. */
const struct trouble_row *trouble_of(const char *error);

/* "MOVED 12182 host:port" or "ASK ...": *host is what stands before the last ':' and may be empty,
 * which means the same host as now. OXBOW_EPARSE; OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err trouble_redirect(const char *error, char *host, size_t cap,
                                                 uint16_t *port);

#endif
