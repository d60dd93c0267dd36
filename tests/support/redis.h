/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real redis-server for a test: in a fresh directory, on free ports, checked to be the one that
 * was started. It dies with the test. And a certificate authority made by certs.sh.
 *
 * Nothing here returns an error: what fails prints why and ends the program with failure, since a
 * test without its server can prove nothing.
 */
#ifndef OXBOW_TESTS_SUPPORT_REDIS_H
#define OXBOW_TESTS_SUPPORT_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All zero: plain TCP and a unix socket, no persistence, no password. */
struct redis_config {
    const char *certs;    /* a directory of certs_make: serve TLS from it as well */
    const char *cert;     /* which certificate of it; 0: "server" */
    bool client_optional; /* TLS clients need no certificate */
    bool aof;             /* append-only file, fsync always */
    const char *password; /* of the default user */
    const char *users;    /* lines of an ACL file ("user dev on >secret ~* +@all\n") */
    const char *extra;    /* more lines for its configuration file */
};

struct redis; /* a server */

struct redis *redis_open(const struct redis_config *config);
/* Stops the server and removes its directory. NULL is allowed. */
void redis_close(struct redis *r);

uint16_t redis_port(const struct redis *r);      /* plain TCP on 127.0.0.1 */
uint16_t redis_tls_port(const struct redis *r);  /* 0 without certs */
const char *redis_socket(const struct redis *r); /* the unix socket's path */
const char *redis_dir(const struct redis *r);    /* its directory; has redis.log */
pid_t redis_pid(const struct redis *r);          /* 0 after redis_kill */

/* SIGKILL, and start again on the same ports and files; ready when it returns. */
void redis_kill(struct redis *r);
void redis_start(struct redis *r);

/* Runs one command as an administrator over the unix socket and gives its reply as text: bulk and
 * simple strings as they are, errors with a '-' before them, integers in digits, nil as "(nil)",
 * an array's elements one a line. Valid until the next command. Arguments end with NULL. */
const char *redis_command(struct redis *r, ...) __attribute__((sentinel));
/* The same with the arguments in an array. */
const char *redis_command_array(struct redis *r, const char *const *argv, size_t argc);
/* The same for an integer reply; INT64_MIN if the reply is none. */
int64_t redis_integer(struct redis *r, ...) __attribute__((sentinel));
/* One field of INFO as text ("" if absent); valid until the next command. */
const char *redis_info(struct redis *r, const char *field);

/* Makes a new directory under $TMPDIR or /tmp with the certificates that certs.sh lists. The
 * caller hands it to certs_remove. */
char *certs_make(void);
void certs_remove(char *dir);
/* `dir`/`name`, in one of 64 rotating buffers. */
const char *certs_file(const char *dir, const char *name);

#endif
