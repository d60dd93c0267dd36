/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the supervisor how it goes: datagrams to $NOTIFY_SOCKET, as systemd's sd_notify(3) says. */
#ifndef OXBOWD_NOTIFY_H
#define OXBOWD_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1". Nothing happens where nobody asked for it. */
void notify_send(const char *state);
/* How often "WATCHDOG=1" is wanted, half of what the supervisor allows; 0: never. */
uint32_t notify_watchdog_ms(void);

#endif
