/* SPDX-License-Identifier: Apache-2.0 */
/* errno to oxbow_err, by table. What is not in it is OXBOW_ESYS. */
#include "port/posix/posix.h"

#include <errno.h>

static const struct {
    int error;
    enum oxbow_err err;
} rows[] = {
    {EIO, OXBOW_EIO},         {ENXIO, OXBOW_EIO},       {ENODEV, OXBOW_EIO},
    {ESTALE, OXBOW_EIO},      {ENOSPC, OXBOW_ENOSPC},   {EDQUOT, OXBOW_ENOSPC},
    {EFBIG, OXBOW_ENOSPC},    {ENOENT, OXBOW_ENOENT},   {ENOTDIR, OXBOW_ENOENT},
    {EEXIST, OXBOW_EEXIST},   {EROFS, OXBOW_EREADONLY}, {EACCES, OXBOW_EREADONLY},
    {EPERM, OXBOW_EREADONLY}, {EAGAIN, OXBOW_ELOCKED},  {EOPNOTSUPP, OXBOW_ENOTSUP},
    {ENOSYS, OXBOW_ENOTSUP},  {EINVAL, OXBOW_ENOTSUP}, /* this kernel or file system cannot */
    {ENOMEM, OXBOW_ENOMEM},
};

enum oxbow_err posix_error(int error)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].error == error) {
            return rows[i].err;
        }
    }
    return OXBOW_ESYS;
}
