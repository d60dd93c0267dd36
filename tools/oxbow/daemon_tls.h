/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over a socket that is connected and blocks, up to the time limits that were set on it. */
#ifndef OXBOW_TOOLS_DAEMON_TLS_H
#define OXBOW_TOOLS_DAEMON_TLS_H

#include "oxbow/tls.h"

struct daemon_tls;

/* Shakes hands. `why` is written on failure. OXBOW_ETIMEDOUT, OXBOW_EPIPE: the other side ended it;
 * OXBOW_EIO: the socket; else what oxbow_tls_ops.open and .handshake give. The socket stays the
 * caller's. */
OXBOW_MUST_CHECK enum oxbow_err daemon_tls_open(const struct oxbow_tls_config *config, int fd,
                                                struct oxbow_tls_why *why, struct daemon_tls **out);
/* Says goodbye. NULL is allowed. */
void daemon_tls_close(struct daemon_tls *t);

/* All of it is sent, or 1 to `len` bytes were read. Errors as above. */
OXBOW_MUST_CHECK enum oxbow_err daemon_tls_send(struct daemon_tls *t, const void *data, size_t len);
OXBOW_MUST_CHECK enum oxbow_err daemon_tls_read(struct daemon_tls *t, void *out, size_t len,
                                                size_t *got);
/* Why that failed, in words; until the close. */
const char *daemon_tls_error(const struct daemon_tls *t);

#endif
