/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for the uplink and for the server, without sockets: ciphertext in, ciphertext out. A driver
 * moves the bytes.
 *
 * This is the contract between a driver (uplink_uv.h) and a TLS library behind a table of
 * functions; `oxbow_tls_mbedtls()` is the table for mbedTLS. TLS 1.2 and newer. A client always
 * verifies the server: authority, name, revocation; what its dates are held against is the clock
 * policy. A server verifies its clients as `clients` says, by authority, revocation and dates.
 *
 * A context holds certificates, policy and the session to resume; connections are made from it.
 * One thread uses a context and all of its connections. A driver's loop:
 *
 *   conn_open, handshake           the first call makes the client's hello
 *   bytes from the peer -> feed    takes what it has room for; then, until they say OXBOW_EAGAIN:
 *     handshake                    OXBOW_OK once it is over
 *     read                         plaintext
 *   write                          plaintext to send
 *   peek, sent                     after every call above: ciphertext for the peer, also when the
 *                                  call failed (the alert tells the peer why)
 *   end                            says goodbye (close_notify); then the last peek, then conn_close
 */
#ifndef OXBOW_TLS_H
#define OXBOW_TLS_H

#include "oxbow/error.h"
#include "oxbow/port.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a certificate's dates are held against. Boards wake up in 1970.
 * floor     the wall clock when it is set and not behind the floor; otherwise dates to come are
 *           ignored, and what ended before the floor is refused. The floor is the newest of: when
 *           oxbow was built, `floor_ms`, and what raise_floor was told
 * strict    the wall clock, whatever it says
 * insecure  dates are ignored; authority, name and revocation are checked all the same */
enum oxbow_tls_clock {
    OXBOW_TLS_CLOCK_FLOOR = 0,
    OXBOW_TLS_CLOCK_STRICT,
    OXBOW_TLS_CLOCK_INSECURE
};

/* Where the session for the next, shorter handshake is kept. It holds a secret: on disk it lies in
 * a file of the process' own, written at most every ten minutes. */
enum oxbow_tls_sessions {
    OXBOW_TLS_SESSIONS_MEMORY = 0,
    OXBOW_TLS_SESSIONS_OFF,
    OXBOW_TLS_SESSIONS_DISK
};

/* Whose certificates a server wants. One that is shown is verified in any case. */
enum oxbow_tls_clients {
    OXBOW_TLS_CLIENTS_ALL = 0, /* every client's */
    OXBOW_TLS_CLIENTS_OPTIONAL,
    OXBOW_TLS_CLIENTS_NONE /* nobody is asked for one */
};

/* PEM text: in a file, read at open and reload, or in memory. Both empty: none. */
struct oxbow_tls_pem {
    const char *path;
    struct oxbow_bytes bytes; /* used when path is NULL */
};

/* All zero means default, but for `ca` and `server_name`; a server's `cert` and `key`, and `ca` unless it
 * asks for no certificates. Copied by open. */
struct oxbow_tls_config {
    const struct oxbow_port *port;    /* 0: oxbow_port_default() */
    struct oxbow_tls_pem ca;          /* the authorities that may sign the server's certificate */
    struct oxbow_tls_pem crl;         /* revocation list(s) of those authorities; may be none */
    struct oxbow_tls_pem cert;        /* our own certificate and its chain; none: anonymous */
    struct oxbow_tls_pem key;         /* its key; both or neither */
    const char *key_password;         /* if the key is encrypted */
    const char *server_name;          /* whom the server's certificate must name, and SNI */
    enum oxbow_tls_clock clock;       /* 0: floor */
    uint64_t floor_ms;                /* a time that has passed for sure, ms since 1970 */
    enum oxbow_tls_sessions sessions; /* 0: memory */
    const char *session_path;         /* for disk: the file; its directory must exist */
    uint32_t session_age_max_s;       /* a session is not used beyond; 0: 86,400 */
    uint32_t fragment_max;            /* 512, 1024, 2048 or 4096: ask for short records; 0: no */
    bool server;                      /* connections are a server's. server_name, sessions and
                                         fragment_max mean nothing then */
    enum oxbow_tls_clients clients;   /* of a server; 0: all must show a certificate */
};

/* Why something failed, for an operator: names the file, the certificate, the date. */
#define OXBOW_TLS_WHY_MAX 320u
struct oxbow_tls_why {
    char text[OXBOW_TLS_WHY_MAX];
};

struct oxbow_tls_info {
    const char *version; /* "TLSv1.2"; borrowed until the connection closes */
    const char *suite;   /* the cipher suite's name; likewise */
    bool resumed;        /* the handshake was the short one */
};

struct oxbow_tls;      /* a context */
struct oxbow_tls_conn; /* a connection */

struct oxbow_tls_ops {
    const char *name; /* the library and its version */

    /* Reads the files, checks them against each other and makes a context. `why` is written on
     * failure.
     * OXBOW_EINVAL   no ca, no server_name, a server without cert, cert without key, fragment_max not of the list
     * OXBOW_ENOENT   a file is missing
     * OXBOW_ECERT    a file is not what it should be, or the key is another certificate's
     * OXBOW_EIO      a file cannot be read
     * OXBOW_ENOMEM, OXBOW_ESYS (no randomness) */
    enum oxbow_err (*open)(const struct oxbow_tls_config *config, struct oxbow_tls_why *why,
                           struct oxbow_tls **out);
    /* Reads the files again, for connections opened from now on; open ones keep what they have.
     * A session that was made with other files is not used any more. On failure (errors as open)
     * everything stays as it was. */
    enum oxbow_err (*reload)(struct oxbow_tls *tls, struct oxbow_tls_why *why);
    /* All its connections must be closed. NULL is allowed. */
    void (*close)(struct oxbow_tls *tls);
    /* Time has certainly passed this point (ms since 1970). Never lowers the floor. */
    void (*raise_floor)(struct oxbow_tls *tls, uint64_t wall_ms);

    /* OXBOW_ENOMEM. */
    enum oxbow_err (*conn_open)(struct oxbow_tls *tls, struct oxbow_tls_conn **out);
    /* Frees it at once, whatever its state. NULL is allowed. */
    void (*conn_close)(struct oxbow_tls_conn *conn);

    /* Hands over ciphertext; *used says how much of it was taken, which is 0 only while there is
     * something to read. Never looks into it: what is wrong shows in handshake and read. */
    enum oxbow_err (*feed)(struct oxbow_tls_conn *conn, const void *data, size_t len, size_t *used);
    /* OXBOW_OK: it is over, and stays so. OXBOW_EAGAIN: it needs more from the peer.
     * OXBOW_ECERT    one side's certificate was refused; error tells whose and why
     * OXBOW_EPARSE   the peer does not speak TLS, or not this TLS
     * OXBOW_EPIPE    the peer ended it
     * OXBOW_ENOMEM
     * After an error every further call gives it again. OXBOW_OK is not yet a welcome: in TLS 1.3
     * the server's word on our certificate comes with the first read. */
    enum oxbow_err (*handshake)(struct oxbow_tls_conn *conn);
    /* Gives 1 to len bytes. OXBOW_EAGAIN: nothing there yet, also during the handshake.
     * OXBOW_EPIPE: the peer said goodbye. Otherwise errors as handshake. */
    enum oxbow_err (*read)(struct oxbow_tls_conn *conn, void *out, size_t len, size_t *got);
    /* Encrypts the first bytes of data; *took says how many, often fewer than len. OXBOW_EAGAIN:
     * none now; send what peek gives, then call again with the same bytes first and no fewer.
     * Errors as handshake. */
    enum oxbow_err (*write)(struct oxbow_tls_conn *conn, const void *data, size_t len,
                            size_t *took);
    /* Ciphertext for the peer, valid until the next call on the connection; len 0: none. */
    struct oxbow_bytes (*peek)(const struct oxbow_tls_conn *conn);
    /* The first len bytes of it were sent. */
    void (*sent)(struct oxbow_tls_conn *conn, size_t len);
    /* Says goodbye to the peer, if that makes sense in this state; nothing is written any more. */
    void (*end)(struct oxbow_tls_conn *conn);

    /* Why handshake, read or write failed; "" if none did. Valid until conn_close. */
    const char *(*error)(const struct oxbow_tls_conn *conn);
    /* The transport ended or timed out before anything was read. If this returns true, or after
     * an error of handshake or read, the failure may be due to the session that was offered: it
     * was dropped, and connecting again at once, without a backoff, is worth one try. */
    bool (*retry_without_session)(struct oxbow_tls_conn *conn);
    /* What was agreed on; meaningful once handshake gave OXBOW_OK. */
    struct oxbow_tls_info (*info)(const struct oxbow_tls_conn *conn);
};

/* The table for mbedTLS 2.28 and 3.6 (port/mbedtls, archive liboxbow_mbedtls). */
const struct oxbow_tls_ops *oxbow_tls_mbedtls(void);

#ifdef __cplusplus
}
#endif

#endif
