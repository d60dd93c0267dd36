/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system of its own on a loop device, in a private mount namespace, that can be shut down:
 * as if its device had been pulled, the kernel forgets what was not written, and the next mount
 * recovers the file system's own journal.
 */
#ifndef OXBOW_TESTS_RIGS_MOUNTS_H
#define OXBOW_TESTS_RIGS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mounts {
    const char *kind; /* "ext4" or "xfs" */
    char image[256], dir[256];
    char device[32]; /* of the newest mount */
    bool keep;       /* the image is somebody else's */
};

/* How the shutdown treats the file system's journal; the numbers of both kernels' ioctls. */
enum shutdown_how {
    SHUTDOWN_FLUSH_ALL = 0, /* everything is written first: as if unmounted */
    SHUTDOWN_FLUSH_LOG = 1, /* the journal is written */
    SHUTDOWN_NOW = 2        /* nothing is */
};

/* Enters a private mount namespace. False: `why` says what this machine lacks. */
bool mounts_enter(char *why, size_t why_len);
/* Makes image (sparse), folder and file system below `base`, and mounts it once to see whether it
 * can be done. */
bool mounts_init(struct mounts *m, const char *kind, const char *base, char *why, size_t why_len);
/* The same with an image that is there, which is kept. */
bool mounts_init_image(struct mounts *m, const char *kind, const char *image, const char *base,
                       char *why, size_t why_len);
void mounts_fini(struct mounts *m);
bool mounts_mount(struct mounts *m);
/* With flags of mount(2). */
bool mounts_mount_as(struct mounts *m, unsigned long flags);
/* Retries while somebody who is dying still holds it. */
bool mounts_unmount(const struct mounts *m);
bool mounts_shutdown(const struct mounts *m, enum shutdown_how how);
/* A fresh file system on the unmounted image. */
bool mounts_format(const struct mounts *m);

/* Runs a program found in PATH, its output discarded. True when it succeeded. */
bool run_quietly(const char *const argv[]);

#endif
