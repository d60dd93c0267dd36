/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's log: lines with time and level to standard error or a file; to the system's journal
 * (standard error is connected to it) with its own prefixes and without the time, which it adds.
 */
#ifndef OXBOWD_LOG_H
#define OXBOWD_LOG_H

#include "oxbow/port.h"

/* Of the process: there is one log. Any thread may write to it. */
struct daemon_log {
    int fd;
    const char *path; /* NULL: standard error */
    enum oxbow_log_level level;
    bool journal;
    char owner[64]; /* who has the store open, when the store said so */
};

/* `path` empty: standard error. False: the file cannot be opened, errno says why. */
bool daemon_log_open(struct daemon_log *log, const char *path, enum oxbow_log_level level);
/* Opens the file again, under the same descriptor: no line is lost. False: as before, errno. */
bool daemon_log_reopen(struct daemon_log *log);
void daemon_log_line(void *ctx, enum oxbow_log_level level, const char *text);
void daemon_log_say(struct daemon_log *log, enum oxbow_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
