/* SPDX-License-Identifier: Apache-2.0 */
/* Each line is one write to a descriptor opened for appending: threads do not mix theirs. */
#include "tools/oxbowd/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

/* $JOURNAL_STREAM names the device and inode of a standard error that is the journal's. */
static bool is_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    struct stat at;
    char own[64];

    if (text == NULL || fstat(STDERR_FILENO, &at) != 0) {
        return false;
    }
    (void)snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)at.st_dev,
                   (unsigned long long)at.st_ino);
    return strcmp(text, own) == 0;
}

static int file_open(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

bool daemon_log_open(struct daemon_log *log, const char *path, enum oxbow_log_level level)
{
    *log = (struct daemon_log){.fd = STDERR_FILENO, .level = level};
    if (path[0] == '\0') {
        log->journal = is_journal();
        return true;
    }
    log->path = path;
    log->fd = file_open(path);
    return log->fd >= 0;
}

bool daemon_log_reopen(struct daemon_log *log)
{
    bool ok;
    int error;
    int fd;

    if (log->path == NULL) {
        return true;
    }
    fd = file_open(log->path);
    if (fd < 0) {
        return false;
    }
    ok = dup3(fd, log->fd, O_CLOEXEC) >= 0;
    error = errno;
    (void)close(fd); /* the other one stays */
    errno = error;
    return ok;
}

static int prefix(const struct daemon_log *log, enum oxbow_log_level level, char *line, size_t len)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const int syslog[] = {3, 4, 6, 7};
    struct timespec now = {0};
    struct tm parts = {0};

    if (log->journal) {
        return snprintf(line, len, "<%d>", syslog[level]);
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    return snprintf(line, len, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s ", parts.tm_year + 1900,
                    parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                    now.tv_nsec / 1000000, names[level]);
}

void daemon_log_line(void *ctx, enum oxbow_log_level level, const char *text)
{
    static const char locked[] = "store: locked by ";
    struct daemon_log *log = ctx;
    char line[LINE_MAX_BYTES];
    int len;

    if (strncmp(text, locked, sizeof locked - 1) == 0) {
        (void)snprintf(log->owner, sizeof log->owner, "%s", text + sizeof locked - 1);
        return; /* the one who could not open the store tells it */
    }
    if (level > log->level) {
        return;
    }
    len = prefix(log, level, line, sizeof line);
    len += snprintf(line + len, sizeof line - (size_t)len, "%s", text);
    if (len > LINE_MAX_BYTES - 2) {
        len = LINE_MAX_BYTES - 2;
    }
    line[len++] = '\n';
    if (write(log->fd, line, (size_t)len) < 0) {
        return; /* there is nowhere to tell it */
    }
}

void daemon_log_say(struct daemon_log *log, enum oxbow_log_level level, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    daemon_log_line(log, level, text);
}
