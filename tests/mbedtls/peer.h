/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of port/mbedtls share: a TLS server in memory that echoes, a port with a clock to
 * set, and the passing of bytes between a client and that server. Failures end the test.
 */
#ifndef OXBOW_TESTS_MBEDTLS_PEER_H
#define OXBOW_TESTS_MBEDTLS_PEER_H

#include "oxbow/tls.h"

#include <stdbool.h>

/* Why the last context or connection failed to open. */
extern struct oxbow_tls_why why;

struct peer_config {
    const char *certs; /* directory of certs_make */
    const char *cert;  /* 0: "server" */
    bool client_auth;  /* wants a certificate of `ca` */
    bool no_tickets;
};

struct peer; /* a server, for one connection after the other */

struct peer *peer_open(const struct peer_config *config);
void peer_close(struct peer *p);
/* Forgets the connection and waits for the next. */
void peer_reset(struct peer *p);
/* Takes ciphertext, echoes plaintext. Returns 0, or the library's error for good. */
int peer_feed(struct peer *p, const void *data, size_t len);
/* Ciphertext for the client; peer_taken drops it. */
struct oxbow_bytes peer_peek(const struct peer *p);
void peer_taken(struct peer *p, size_t len);
/* Sends plaintext of its own accord, or says goodbye. */
void peer_write(struct peer *p, const void *data, size_t len);
void peer_goodbye(struct peer *p);
/* Plaintext bytes that have come in. */
size_t peer_heard(const struct peer *p);

/* A port like the default one, but for a clock that stands where it is set. */
struct clocked {
    struct oxbow_port port;
    uint64_t wall_ms;
    uint64_t mono_us;
    bool set;
    char last_log[512];
};
#define NOW_MS 1800000000000ull /* 2027-01-15 */
void clocked_init(struct clocked *c);

/* The usual client: ca, client certificate, redis.test; `certs` as above. */
struct oxbow_tls_config client_config(struct clocked *c, const char *certs);

/* Passes bytes both ways, at most `chunk` at a time (0: all there is), until nothing moves any
 * more; plaintext for the client goes to `got` and *got_len (cap in, length out; may be NULL).
 * Returns what the client's last handshake or read said. */
enum oxbow_err pass(struct oxbow_tls_conn *conn, struct peer *p, size_t chunk, void *got,
                    size_t *got_len);
/* Opens a connection and passes bytes until its handshake is over or failed. */
enum oxbow_err shake(struct oxbow_tls *tls, struct peer *p, struct oxbow_tls_conn **conn);
/* Opens the context, which must succeed. */
struct oxbow_tls *must_open(const struct oxbow_tls_config *config);

#endif
