/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a table for popt, then what the table cannot say. */
#include "options.h"

#include "board.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(const char *what, const char *about)
{
    fprintf(stderr, "oxbow-sensor: %s%s%s\noxbow-sensor: --help lists the options\n",
            about != NULL ? about : "", about != NULL ? ": " : "", what);
}

static bool parse_sync(const char *text, enum oxbow_sync *out)
{
    static const struct {
        const char *name;
        enum oxbow_sync sync;
    } names[] = {{"always", OXBOW_SYNC_ALWAYS}, {"interval", OXBOW_SYNC_INTERVAL}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i].name) == 0) {
            *out = names[i].sync;
            return true;
        }
    }
    complain("--sync is always or interval", text);
    return false;
}

static bool parse_rate(const char *text, double *out)
{
    char *end = NULL;

    if (strcmp(text, "max") == 0) {
        *out = 0;
        return true;
    }
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out > 0) || *out > 1e7) {
        complain("--rate is a number of readings a second, or max", text);
        return false;
    }
    return true;
}

/* Combinations that make no sense are told, not guessed at. */
static bool check(const struct options *opt)
{
    if (opt->store == NULL) {
        complain("say where the readings are kept: --store DIR", NULL);
        return false;
    }
    if (opt->producers < 1 || opt->producers > OPTIONS_PRODUCERS_MAX) {
        complain("--producers is 1 to 64", NULL);
        return false;
    }
    if (opt->count < 0 || opt->replay_from < 1 || opt->drain_s < 0 || opt->timeout_ms < 0 ||
        !(opt->clock_set_after_s >= 0)) {
        complain("--count, --drain-s, --timeout-ms and --clock-set-after-s are 0 or more, --from "
                 "is 1 or more",
                 NULL);
        return false;
    }
    if (opt->target != NULL && (opt->device == NULL || opt->ca == NULL)) {
        complain("--target also needs --device and --ca", NULL);
        return false;
    }
    if (opt->target == NULL && (opt->user != NULL || opt->password_file != NULL)) {
        complain("--user and --password-file are for a --target", NULL);
        return false;
    }
    if ((opt->cert == NULL) != (opt->key == NULL)) {
        complain("--cert and --key go together", NULL);
        return false;
    }
    return true;
}

bool options_parse(int argc, const char **argv, struct options *out, int *status)
{
    char *sync = NULL;
    char *rate = NULL;

    *out = (struct options){
        .stream = "readings",
        .sync = BOARD_SYNC,
        .rate = 1,
        .producers = 1,
        .replay_from = 1,
        .ack_fd = -1,
        .status_fd = -1,
        .link = "lan",
    };
    /* clang-format off */
    const struct poptOption table[] = {
        {"store", 0, POPT_ARG_STRING, &out->store, 0, "directory of the store; made if absent", "DIR"},
        {"stream", 0, POPT_ARG_STRING | POPT_ARGFLAG_SHOW_DEFAULT, &out->stream, 0, "local stream to write to", "KEY"},
        {"sync", 0, POPT_ARG_STRING, &sync, 0, "always (the default): a reading counts when it is on the flash; interval: within a second", "POLICY"},
        {"rate", 0, POPT_ARG_STRING, &rate, 0, "readings a second, or max; default 1", "N"},
        {"count", 0, POPT_ARG_LONGLONG, &out->count, 0, "stop after so many readings", "N"},
        {"producers", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &out->producers, 0, "threads that take readings", "N"},
        {"replay", 0, POPT_ARG_STRING, &out->replay, 0, "take readings from a CSV file, its first line names the fields", "FILE"},
        {"from", 0, POPT_ARG_LONGLONG, &out->replay_from, 0, "first row of the file to replay, from 1", "ROW"},
        {"target", 0, POPT_ARG_STRING, &out->target, 0, "forward the stream to this Redis over TLS", "HOST:PORT"},
        {"device", 0, POPT_ARG_STRING, &out->device, 0, "this device's name at the target", "NAME"},
        {"user", 0, POPT_ARG_STRING, &out->user, 0, "ACL user at the target", "NAME"},
        {"password-file", 0, POPT_ARG_STRING, &out->password_file, 0, "file that holds that user's password", "FILE"},
        {"ca", 0, POPT_ARG_STRING, &out->ca, 0, "certificate authority of the target, PEM", "FILE"},
        {"cert", 0, POPT_ARG_STRING, &out->cert, 0, "this device's certificate, PEM", "FILE"},
        {"key", 0, POPT_ARG_STRING, &out->key, 0, "its private key, PEM", "FILE"},
        {"server-name", 0, POPT_ARG_STRING, &out->server_name, 0, "name in the target's certificate, if it is not HOST", "NAME"},
        {"link", 0, POPT_ARG_STRING | POPT_ARGFLAG_SHOW_DEFAULT, &out->link, 0, "lan, cellular or satellite", "KIND"},
        {"timeout-ms", 0, POPT_ARG_INT, &out->timeout_ms, 0, "give a silent link up after so long; also paces reconnects", "MS"},
        {"drain-s", 0, POPT_ARG_INT, &out->drain_s, 0, "at the end, wait so long until the target has everything", "S"},
        {"ack-fd", 0, POPT_ARG_INT, &out->ack_fd, 0, "write `id checksum row` there for each reading, once it is durable", "FD"},
        {"status-fd", 0, POPT_ARG_INT, &out->status_fd, 0, "write a line of JSON there five times a second", "FD"},
        {"clock-offset-s", 0, POPT_ARG_LONGLONG, &out->clock_offset_s, 0, "put the wall clock off, as on a board without a battery", "S"},
        {"clock-set-after-s", 0, POPT_ARG_DOUBLE, &out->clock_set_after_s, 0, "and set it right after so long", "S"},
        POPT_AUTOHELP
        POPT_TABLEEND
    };
    /* clang-format on */
    poptContext context = poptGetContext("oxbow-sensor", argc, argv, table, 0);
    int code = poptGetNextOpt(context);
    bool ok = false;

    *status = 2;
    if (code < -1) {
        complain(poptStrerror(code), poptBadOption(context, POPT_BADOPTION_NOALIAS));
    } else if (poptPeekArg(context) != NULL) {
        complain("not an option", poptPeekArg(context));
    } else {
        ok = (sync == NULL || parse_sync(sync, &out->sync)) &&
             (rate == NULL || parse_rate(rate, &out->rate)) && check(out);
    }
    poptFreeContext(context);
    free(sync);
    free(rate);
    return ok;
}
