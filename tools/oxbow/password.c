/* SPDX-License-Identifier: Apache-2.0 */
/* See password.h. */
#include "tools/oxbow/password.h"

#include <stdio.h>
#include <string.h>

bool password_read(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "re");
    bool ok = f != NULL && fgets(out, (int)room, f) != NULL;
    size_t len = ok ? strcspn(out, "\r\n") : 0;

    ok = len > 0 && (out[len] != '\0' || feof(f) != 0);
    if (f != NULL) {
        (void)fclose(f); /* it was only read */
    }
    out[len] = '\0';
    return ok;
}
