/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the POSIX port: the functions behind the tables of oxbow/port.h, which says what
 * they promise. `ctx` is unused throughout: this port keeps no state. */
#ifndef OXBOW_PORT_POSIX_H
#define OXBOW_PORT_POSIX_H

#include "oxbow/port.h"

/* The one place where errno becomes an error of oxbow's. Never gives OXBOW_OK. */
enum oxbow_err posix_error(int error);

void *posix_resize(void *ctx, void *p, size_t old_len, size_t new_len);

uint64_t posix_wall_ms(void *ctx);
uint64_t posix_mono_us(void *ctx);
bool posix_wall_is_set(void *ctx);
enum oxbow_err posix_random(void *ctx, void *out, size_t len);

void posix_log(void *ctx, enum oxbow_log_level level, const char *text);
uint32_t posix_crc32c(uint32_t crc, const void *data, size_t len);
void posix_panic(const char *file, int line, const char *what);

enum oxbow_err posix_open(void *ctx, const char *path, uint32_t flags, int *fd);
enum oxbow_err posix_close(void *ctx, int fd);
enum oxbow_err posix_size(void *ctx, int fd, uint64_t *bytes);
enum oxbow_err posix_read(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *got);
enum oxbow_err posix_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos);
enum oxbow_err posix_truncate(void *ctx, int fd, uint64_t bytes);
enum oxbow_err posix_reserve(void *ctx, int fd, uint64_t pos, uint64_t len);
enum oxbow_err posix_punch(void *ctx, int fd, uint64_t pos, uint64_t len);
enum oxbow_err posix_occupied(void *ctx, int fd, uint64_t *bytes);
enum oxbow_err posix_same(void *ctx, int fd, const char *path, bool *same);
enum oxbow_err posix_sync(void *ctx, int fd);
enum oxbow_err posix_sync_dir(void *ctx, const char *dir);
enum oxbow_err posix_rename(void *ctx, const char *from, const char *to);
enum oxbow_err posix_unlink(void *ctx, const char *path);
enum oxbow_err posix_mkdir(void *ctx, const char *path);
enum oxbow_err posix_lock(void *ctx, int fd, int64_t *owner_pid);
enum oxbow_err posix_space(void *ctx, const char *dir, uint64_t *free_bytes, uint64_t *total_bytes,
                           char kind[16]);
enum oxbow_err posix_keep_private(void *ctx, int system_fd);

enum oxbow_err posix_mutex_open(void *ctx, struct oxbow_mutex **out);
void posix_mutex_close(struct oxbow_mutex *m);
void posix_mutex_lock(struct oxbow_mutex *m);
void posix_mutex_unlock(struct oxbow_mutex *m);
enum oxbow_err posix_cond_open(void *ctx, struct oxbow_cond **out);
void posix_cond_close(struct oxbow_cond *c);
void posix_cond_wait(struct oxbow_cond *c, struct oxbow_mutex *m, uint64_t timeout_us);
void posix_cond_signal(struct oxbow_cond *c);
void posix_cond_broadcast(struct oxbow_cond *c);
enum oxbow_err posix_thread_open(void *ctx, const char *name, void (*run)(void *arg), void *arg,
                                 struct oxbow_thread **out);
void posix_thread_join(struct oxbow_thread *t);
enum oxbow_err posix_event_open(void *ctx, struct oxbow_event **out);
void posix_event_close(struct oxbow_event *e);
void posix_event_set(struct oxbow_event *e);
void posix_event_clear(struct oxbow_event *e);
int posix_event_fd(const struct oxbow_event *e);

#endif
