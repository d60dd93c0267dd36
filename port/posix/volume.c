/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What concerns a file as a whole: who owns it, and the file system below it.
 *
 * The lock is an open-file-description lock: it belongs to the handle, so two handles in one
 * process exclude each other too and closing another handle of the file does not drop it. The
 * kernel does not tell its owner's pid; the owner writes it into the file, at a fixed width, so
 * that one text replaces the other whole. Where a file system knows no such locks, flock serves.
 * Not on NFS without a lock daemon, and not across fork: parent and child then share the lock.
 */
#include "port/posix/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PID_TEXT_LEN 21 /* 20 digits, newline */

static int64_t owner_read(int fd)
{
    char text[PID_TEXT_LEN + 1] = {0};
    size_t got;

    if (posix_read(NULL, fd, text, PID_TEXT_LEN, 0, &got) != OXBOW_OK || got != PID_TEXT_LEN) {
        return 0;
    }
    return strtoll(text, NULL, 10);
}

/* The lock is held whether or not this can be written: on a full disk a store must still open. */
static void owner_write(int fd)
{
    char text[PID_TEXT_LEN + 1];
    enum oxbow_err ignored;

    (void)snprintf(text, sizeof text, "%20lld\n", (long long)getpid());
    ignored = posix_write(NULL, fd, text, PID_TEXT_LEN, 0);
    (void)ignored;
}

enum oxbow_err posix_lock(void *ctx, int fd, int64_t *owner_pid)
{
    bool reader = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
    struct flock whole = {.l_type = reader ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    int rc = fcntl(fd, F_OFD_SETLK, &whole);

    (void)ctx;
    if (rc != 0 && (errno == EINVAL || errno == ENOLCK || errno == ENOSYS)) {
        rc = flock(fd, (reader ? LOCK_SH : LOCK_EX) | LOCK_NB);
    }
    if (rc == 0) {
        if (!reader) {
            owner_write(fd);
        }
        return OXBOW_OK;
    }
    /* fcntl may say EACCES for a lock that is held, as POSIX allows. */
    if (errno == EAGAIN || errno == EACCES) {
        *owner_pid = owner_read(fd);
        return OXBOW_ELOCKED;
    }
    return posix_error(errno);
}

static const struct {
    unsigned long magic;
    const char *name;
} kinds[] = {
    {0xef53, "ext4"},        {0x58465342, "xfs"},      {0x9123683e, "btrfs"},
    {0xf2f52010, "f2fs"},    {0x01021994, "tmpfs"},    {0x858458f6, "ramfs"},
    {0x794c7630, "overlay"}, {0x24051905, "ubifs"},    {0x72b6, "jffs2"},
    {0x4d44, "vfat"},        {0x2011bab0, "exfat"},    {0x6969, "nfs"},
    {0xff534d42, "cifs"},    {0xfe534d42, "smb2"},     {0x65735546, "fuse"},
    {0x01021997, "9p"},      {0x2fc12fc1, "zfs"},      {0x73717368, "squashfs"},
    {0xe0f5e1e2, "erofs"},   {0xca451a4e, "bcachefs"}, {0x5346544e, "ntfs"},
};

enum oxbow_err posix_space(void *ctx, const char *dir, uint64_t *free_bytes, uint64_t *total_bytes,
                           char kind[16])
{
    struct statfs fs;
    unsigned long magic;
    size_t i;
    int rc;

    (void)ctx;
    do {
        rc = statfs(dir, &fs);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        return posix_error(errno);
    }
    *free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize;
    *total_bytes = (uint64_t)fs.f_blocks * (uint64_t)fs.f_frsize;
    magic = (unsigned long)fs.f_type & 0xffffffffu;
    (void)snprintf(kind, 16, "0x%lx", magic);
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].magic == magic) {
            (void)snprintf(kind, 16, "%s", kinds[i].name);
        }
    }
    return OXBOW_OK;
}
