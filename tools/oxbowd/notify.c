/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify's protocol without its library. */
#include "tools/oxbowd/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_MAX 20u

void notify_send(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;
    int fd;

    if (len == 0 || len >= sizeof addr.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(addr.sun_path, path, len);
    if (path[0] == '@') {
        addr.sun_path[0] = '\0'; /* an abstract name */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    /* Whether the supervisor hears it changes nothing here. */
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&addr,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);

    if (text == NULL || text[0] == '\0' || strlen(text) > TEXT_MAX ||
        text[strspn(text, "0123456789")] != '\0') {
        return 0;
    }
    return strtoull(text, NULL, 10);
}

uint32_t notify_watchdog_ms(void)
{
    uint64_t us = number_of("WATCHDOG_USEC");
    uint64_t pid = number_of("WATCHDOG_PID");
    uint64_t ms = us / 2000;

    if (us == 0 || (pid != 0 && pid != (uint64_t)getpid())) {
        return 0;
    }
    return ms == 0 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}
