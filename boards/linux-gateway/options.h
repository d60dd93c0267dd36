/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line of oxbow-sensor says. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

#define OPTIONS_PRODUCERS_MAX 64

struct options {
    const char *store;  /* directory */
    const char *stream; /* local key */
    enum oxbow_sync sync;
    double rate;     /* readings a second, all producers together; 0: as fast as it goes */
    long long count; /* stop after so many; 0: never */
    int producers;
    const char *replay;    /* CSV file; NULL: this machine's own readings */
    long long replay_from; /* first row */
    int ack_fd;            /* -1: none */
    int status_fd;         /* -1: none */
    long long clock_offset_s;
    double clock_set_after_s; /* 0: never */

    const char *target; /* HOST:PORT; NULL: no uplink */
    const char *device;
    const char *user;
    const char *password_file;
    const char *ca;
    const char *cert;
    const char *key;
    const char *server_name;
    const char *link; /* preset */
    int timeout_ms;   /* 0: the preset's */
    int drain_s;      /* wait so long for the target at the end */
};

/* Fills *out with texts that live as long as the program. When it returns false it is to exit
 * with *status: after --help, or after an error which has been told on stderr. */
bool options_parse(int argc, const char **argv, struct options *out, int *status);

#endif
