/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program with a loop needs beside its server: the loop itself, signals, and something that
 * is done now and then. For programs that have no business with libuv otherwise.
 */
#ifndef OXBOW_UV_PROGRAM_H
#define OXBOW_UV_PROGRAM_H

#include "oxbow/error.h"
#include "oxbow/port.h"

#include <stdbool.h>

struct uv_loop_s;
struct uvprogram;

#define UVPROGRAM_SIGNALS_MAX 8u

/* All zero means default. Copied. */
struct uvprogram_config {
    const struct oxbow_port *port; /* 0: oxbow_port_default() */
    int signals
        [UVPROGRAM_SIGNALS_MAX]; /* that `signal` is called for, on the loop; ends with a 0 */
    void (*signal)(void *ctx, int number);
    uint32_t tick_ms; /* how often `tick` is called; 0: never */
    void (*tick)(void *ctx);
    void *ctx;
};

/* OXBOW_ENOMEM, OXBOW_ESYS. */
OXBOW_MUST_CHECK enum oxbow_err uvprogram_open(const struct uvprogram_config *config,
                                               struct uvprogram **out);
struct uv_loop_s *uvprogram_loop(struct uvprogram *p);
/* Runs the loop until uvprogram_stop was called. */
void uvprogram_run(struct uvprogram *p);
/* On the loop. */
void uvprogram_stop(struct uvprogram *p);
/* Lets all handles that are being closed go, and frees the program. Others must have closed theirs. */
void uvprogram_close(struct uvprogram *p);

#endif
