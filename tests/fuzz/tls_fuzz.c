/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds garbage to the TLS client, from its first byte on, cut as the input says: whatever a peer
 * sends, the client ends in an error or waits for more, and says why. The first byte of the input
 * is the size of the pieces.
 */
#include "oxbow/tls.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A root that signs nothing that a fuzzer could show. */
static const char ca[] = "-----BEGIN CERTIFICATE-----\n"
                         "MIIBdDCCARqgAwIBAgIUXGF8weg0upX847oOHEL3pmgY9ogwCgYIKoZIzj0EAwIw\n"
                         "GDEWMBQGA1UEAwwNb3hib3cgdGVzdCBDQTAeFw0yNjExMjExNDM1MTJaFw0zNjEx\n"
                         "MTgxNDM1MTJaMBgxFjAUBgNVBAMMDW94Ym93IHRlc3QgQ0EwWTATBgcqhkjOPQIB\n"
                         "BggqhkjOPQMBBwNCAARpXg1ZkNWZGuZf6J1EmOKYZn9q36kms2Pu1YoTE1Pnw2+F\n"
                         "mfRyOl6KkZLHqROi0rn6Sqayq61Ubj7Krttpd3fBo0IwQDAPBgNVHRMBAf8EBTAD\n"
                         "AQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUXMJYruqXFDxhAZCKjRMRngRA\n"
                         "9aMwCgYIKoZIzj0EAwIDSAAwRQIhAL5d7D7nlmBVDW+kTa+iCHsiBaZHwFHg7IzP\n"
                         "lHs9t5kOAiBhfIQtTAGXX/DHgLyIMq/9mSObKMqc5V71ivsL2qGWGw==\n"
                         "-----END CERTIFICATE-----\n";

static struct oxbow_tls *context(void)
{
    static struct oxbow_tls *tls;
    const struct oxbow_tls_config config = {
        .ca.bytes = {ca, sizeof ca - 1},
        .server_name = "redis.test",
    };
    struct oxbow_tls_why why;

    if (tls == NULL && oxbow_tls_mbedtls()->open(&config, &why, &tls) != OXBOW_OK) {
        abort();
    }
    return tls;
}

/* Reads all there is; true while the connection lives. */
static int drain(struct oxbow_tls_conn *conn)
{
    const struct oxbow_tls_ops *ops = oxbow_tls_mbedtls();
    uint8_t plain[512];
    size_t got;
    enum oxbow_err err;

    do {
        err = ops->read(conn, plain, sizeof plain, &got);
    } while (err == OXBOW_OK);
    ops->sent(conn, ops->peek(conn).len);
    if (err != OXBOW_EAGAIN && ops->error(conn)[0] == '\0') {
        abort();
    }
    return err == OXBOW_EAGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct oxbow_tls_ops *ops = oxbow_tls_mbedtls();
    struct oxbow_tls_conn *conn;
    size_t piece = len > 0 && data[0] > 0 ? data[0] : 4096;
    size_t at = 1;

    if (ops->conn_open(context(), &conn) != OXBOW_OK) {
        abort();
    }
    while (drain(conn) && at < len) {
        size_t n = len - at < piece ? len - at : piece;
        size_t used = 0;

        if (ops->feed(conn, data + at, n, &used) != OXBOW_OK || used == 0) {
            abort();
        }
        at += used;
    }
    ops->end(conn);
    ops->conn_close(conn);
    return 0;
}
