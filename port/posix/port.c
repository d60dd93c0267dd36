/* SPDX-License-Identifier: Apache-2.0 */
/* The port of programs on POSIX systems (Linux first): one table of what its other files define. */
#include "port/posix/posix.h"

static const struct oxbow_port posix_port = {
    .alloc = {.resize = posix_resize},
    .clock = {.wall_ms = posix_wall_ms, .mono_us = posix_mono_us, .wall_is_set = posix_wall_is_set},
    .random = {.fill = posix_random},
    .log = {.line = posix_log},
    .files = {.open = posix_open,
              .close = posix_close,
              .size = posix_size,
              .read = posix_read,
              .write = posix_write,
              .truncate = posix_truncate,
              .reserve = posix_reserve,
              .punch = posix_punch,
              .occupied = posix_occupied,
              .same = posix_same,
              .sync = posix_sync,
              .sync_dir = posix_sync_dir,
              .rename = posix_rename,
              .unlink = posix_unlink,
              .mkdir = posix_mkdir,
              .lock = posix_lock,
              .space = posix_space,
              .keep_private = posix_keep_private},
    .threads = {.mutex_open = posix_mutex_open,
                .mutex_close = posix_mutex_close,
                .mutex_lock = posix_mutex_lock,
                .mutex_unlock = posix_mutex_unlock,
                .cond_open = posix_cond_open,
                .cond_close = posix_cond_close,
                .cond_wait = posix_cond_wait,
                .cond_signal = posix_cond_signal,
                .cond_broadcast = posix_cond_broadcast,
                .thread_open = posix_thread_open,
                .thread_join = posix_thread_join,
                .event_open = posix_event_open,
                .event_close = posix_event_close,
                .event_set = posix_event_set,
                .event_clear = posix_event_clear,
                .event_fd = posix_event_fd},
    .crc32c = posix_crc32c,
    .panic = posix_panic,
};

const struct oxbow_port *oxbow_port_default(void)
{
    return &posix_port;
}
