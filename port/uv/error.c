/* SPDX-License-Identifier: Apache-2.0 */
/* libuv's errors as oxbow's: the one place that knows both. */
#include "port/uv/error.h"

#include <uv.h>

enum oxbow_err uverror_of(int status)
{
    switch (status) {
    case 0:
        return OXBOW_OK;
    case UV_ENOMEM:
    case UV_EAI_MEMORY:
        return OXBOW_ENOMEM;
    case UV_EAGAIN:
        return OXBOW_EAGAIN;
    case UV_ECANCELED:
    case UV_EAI_CANCELED:
        return OXBOW_ECANCELED;
    case UV_ETIMEDOUT:
        return OXBOW_ETIMEDOUT;
    case UV_EOF:
    case UV_EPIPE:
    case UV_ECONNRESET:
    case UV_ECONNREFUSED:
    case UV_ECONNABORTED:
    case UV_ENOTCONN:
        return OXBOW_EPIPE;
    case UV_ENOENT: /* a unix socket that is not there */
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
    case UV_EAI_FAMILY:
    case UV_EAI_ADDRFAMILY:
    case UV_EAI_SERVICE:
        return OXBOW_ENOENT;
    default:
        return OXBOW_ESYS;
    }
}
