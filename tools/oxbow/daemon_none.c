/* SPDX-License-Identifier: Apache-2.0 */
/* In place of daemon.c in a build without libhiredis. */
#include "tools/oxbow/daemon.h"

#include <stdio.h>

int daemon_open(struct cli *cli, const char *what, struct daemon **out)
{
    (void)cli;
    (void)out;
    fprintf(stderr,
            "oxbow: %s: this program was built without libhiredis and cannot ask a daemon\n", what);
    return EXIT_FAILED;
}

void daemon_close(struct daemon *d)
{
    (void)d;
}

const char *daemon_where(const struct daemon *d)
{
    (void)d;
    return "";
}

int daemon_ask(struct daemon *d, const char *const *words, struct daemon_answer *answer)
{
    (void)d;
    (void)words;
    (void)answer;
    return EXIT_FAILED;
}
