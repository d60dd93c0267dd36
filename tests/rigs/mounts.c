/* SPDX-License-Identifier: Apache-2.0 */
/* In a private namespace no other process keeps the dead file system mounted: elsewhere it would
 * live on, and the next mount would give the same dead one. For the same reason the loop device goes
 * with each unmount: one that stays keeps buffers of metadata that the dead file system had changed
 * and never logged, and the next mount would find them instead of what is on the device. */
#include "tests/rigs/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXT4_BYTES ((off_t)96 << 20)
#define XFS_BYTES  ((off_t)320 << 20) /* mkfs.xfs refuses less than 300 MiB; the file is sparse */
/* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)

bool run_quietly(const char *const argv[])
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++)
            dup2(null, fd);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool lacks(char *why, size_t why_len, const char *what)
{
    snprintf(why, why_len, "%s: %s", what, strerror(errno));
    return false;
}

bool mounts_enter(char *why, size_t why_len)
{
    if (unshare(CLONE_NEWNS) != 0)
        return lacks(why, why_len, "no mount namespace of its own");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return lacks(why, why_len, "cannot make mounts private");
    return true;
}

/* A free loop device over the image; it is gone with the last who holds it, the mount in the end.
 * Another process may take the same free one: then again. -1: none. */
static int attach(struct mounts *m)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int image = open(m->image, O_RDWR | O_CLOEXEC);
    int fd = -1;

    for (int i = 0; i < 20 && control >= 0 && image >= 0 && fd < 0; i++) {
        struct loop_config config = {.fd = (uint32_t)image,
                                     .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
        int idx = ioctl(control, LOOP_CTL_GET_FREE);
        if (idx < 0)
            break;
        snprintf(m->device, sizeof m->device, "/dev/loop%d", idx);
        fd = open(m->device, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (control >= 0)
        close(control);
    if (image >= 0)
        close(image);
    return fd;
}

bool mounts_format(const struct mounts *m)
{
    const char *const ext4[] = {"mkfs.ext4", "-q", "-F", m->image, NULL};
    const char *const xfs[] = {"mkfs.xfs", "-q", "-f", m->image, NULL};

    return run_quietly(strcmp(m->kind, "xfs") == 0 ? xfs : ext4);
}

bool mounts_init(struct mounts *m, const char *kind, const char *base, char *why, size_t why_len)
{
    bool xfs = strcmp(kind, "xfs") == 0;
    int fd;

    *m = (struct mounts){.kind = kind};
    snprintf(m->image, sizeof m->image, "%s/%s.image", base, kind);
    snprintf(m->dir, sizeof m->dir, "%s/%s", base, kind);
    fd = open(m->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, xfs ? XFS_BYTES : EXT4_BYTES) != 0 || close(fd) != 0 ||
        mkdir(m->dir, 0700) != 0)
        return lacks(why, why_len, m->image);
    if (!mounts_format(m)) {
        snprintf(why, why_len, "mkfs.%s is not there or does not work", kind);
        return false;
    }
    if (!mounts_mount(m))
        return lacks(why, why_len, "cannot mount it on a loop device");
    return mounts_unmount(m) || lacks(why, why_len, "cannot unmount it");
}

bool mounts_init_image(struct mounts *m, const char *kind, const char *image, const char *base,
                       char *why, size_t why_len)
{
    *m = (struct mounts){.kind = kind, .keep = true};
    snprintf(m->image, sizeof m->image, "%s", image);
    snprintf(m->dir, sizeof m->dir, "%s/mounted-%ld", base, (long)getpid());
    if (mkdir(m->dir, 0700) != 0)
        return lacks(why, why_len, m->dir);
    return mounts_mount(m) || lacks(why, why_len, "cannot mount it on a loop device");
}

void mounts_fini(struct mounts *m)
{
    (void)umount2(m->dir, MNT_DETACH);
    if (!m->keep)
        (void)unlink(m->image);
    (void)rmdir(m->dir);
}

bool mounts_mount_as(struct mounts *m, unsigned long flags)
{
    int fd = attach(m);
    bool ok = fd >= 0 && mount(m->device, m->dir, m->kind, flags, NULL) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

bool mounts_mount(struct mounts *m)
{
    return mounts_mount_as(m, MS_NOATIME);
}

bool mounts_unmount(const struct mounts *m)
{
    for (int i = 0; i < 1000; i++) {
        if (umount(m->dir) == 0)
            return true;
        if (errno != EBUSY)
            return false;
        usleep(1000);
    }
    return false;
}

bool mounts_shutdown(const struct mounts *m, enum shutdown_how how)
{
    uint32_t flags = (uint32_t)how;
    int fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && ioctl(fd, IOC_SHUTDOWN, &flags) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}
