/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow backup: a copy of a store as of one moment, from the oxbowd that serves it or from a directory
 * that nobody has open. oxbow restore: a store made of such a copy.
 *
 *   FILE.part --written, synced, read again and verified--> renamed to FILE, its directory synced
 *   DIR.part/ --made, checked as `oxbow check` does-------> renamed to DIR, its parent synced
 *
 * What is cut short, by Ctrl-C too, leaves neither.
 */
#include "oxbow/backup.h"
#include "oxbow/check.h"
#include "oxbow/forward.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/daemon.h"
#include "tools/oxbow/out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK   (256u << 10)
#define POLL_US 2000 /* until the daemon is asked again for what it has not ready */
#define PART    ".part"

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Without SA_RESTART: who waits is to notice. A second one ends the program. */
static void watch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    (void)sigaction(SIGINT, &act, NULL); /* these two exist */
    (void)sigaction(SIGTERM, &act, NULL);
}

static int fail_at(const char *what, const char *path, int number)
{
    fprintf(stderr, "oxbow: %s: %s: %s\n", what, path, strerror(number));
    return EXIT_FAILED;
}

static int fail_with(const char *what, const char *path, enum oxbow_err err)
{
    const char *why = oxbow_err_text(err);

    if (err == OXBOW_EFORMAT) {
        why = "no backup, or one of a version that this program does not know";
    } else if (err == OXBOW_ECORRUPT) {
        why = "damaged, or cut short";
    } else if (err == OXBOW_ENOENT) {
        why = "no such file";
    } else if (err == OXBOW_ECANCELED) {
        why = "interrupted: nothing was made";
    }
    fprintf(stderr, "oxbow: %s: %s: %s (%s)\n", what, path, why, oxbow_err_name(err));
    return EXIT_FAILED;
}

/* To be freed. NULL: no memory. */
static char *part_of(const char *path)
{
    size_t len = strlen(path);
    char *part;

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    part = malloc(len + sizeof PART);
    if (part != NULL) {
        memcpy(part, path, len);
        memcpy(part + len, PART, sizeof PART);
    }
    return part;
}

/* Makes the names in the directory around `path` durable. 0, or errno. */
static int sync_around(const char *path)
{
    char *copy = strdup(path);
    int number = ENOMEM;
    int fd;

    if (copy == NULL) {
        return number;
    }
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    number = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    free(copy);
    return number;
}

static void show(const char *what, uint64_t done, uint64_t records, uint64_t bytes)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K%s: %" PRIu64 " of %" PRIu64 " records, %" PRIu64 " MiB", what,
                done, records, bytes >> 20);
    }
}

static void show_end(void)
{
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
}

static bool on_verify(void *ctx, const struct oxbow_backup_info *info)
{
    show(ctx, info->done, info->records, info->bytes);
    return !interrupted;
}

/* ---- where a backup comes from ---- */

struct source {
    struct daemon *daemon;    /* NULL: from `own` */
    struct oxbow_backup *own; /* of cli->db */
    struct daemon_answer answer;
    uint8_t buf[CHUNK];
};

static bool is_text(const struct daemon_value *v, const char *text)
{
    return v->text.len == strlen(text) && memcmp(v->text.data, text, strlen(text)) == 0;
}

static int fail_damaged(void)
{
    fputs("oxbow: backup: something in the store is damaged (OXBOW_ECORRUPT): `oxbow check` tells "
          "what, `oxbow repair` mends\n",
          stderr);
    return EXIT_FAILED;
}

/* One that was given up a moment ago is still ending perhaps. */
static int begin_at_daemon(struct cli *cli, struct source *s)
{
    static const char *const words[] = {"OXBOW", "BACKUP", "BEGIN", NULL};
    int code = daemon_open(cli, "backup", &s->daemon);

    while (code == EXIT_DONE && (code = daemon_ask(s->daemon, words, &s->answer)) == EXIT_DONE &&
           s->answer.count == 1 && is_text(&s->answer.values[0], "WAIT") && !interrupted) {
        (void)usleep(POLL_US);
    }
    return code;
}

static int source_open(struct cli *cli, struct source *s)
{
    enum oxbow_err err;

    if (cli->opt.dir == NULL) {
        return begin_at_daemon(cli, s);
    }
    /* Nothing is mended here: what is damaged may be the only copy. */
    err = cli_open(cli, cli_dir(cli), OXBOW_OPEN_EXISTING | OXBOW_OPEN_STRICT, &cli->db);
    if (err == OXBOW_ECORRUPT) {
        return fail_damaged();
    }
    if (err != OXBOW_OK) {
        return cli_fail_open(cli, false, err);
    }
    err = oxbow_backup_open(cli->db, &s->own);
    return err == OXBOW_OK ? EXIT_DONE : cli_fail("backup", err);
}

static void source_close(struct source *s)
{
    oxbow_backup_close(s->own);
    s->own = NULL;
    if (s->daemon != NULL) {
        daemon_close(s->daemon);
        s->daemon = NULL;
    }
}

static int read_own(struct source *s, struct oxbow_bytes *piece)
{
    struct oxbow_backup_info info;
    size_t len = 0;
    enum oxbow_err err = oxbow_backup_read(s->own, s->buf, sizeof s->buf, &len);

    if (err == OXBOW_ECORRUPT) {
        return fail_damaged();
    }
    if (err != OXBOW_OK) {
        return cli_fail("backup", err);
    }
    oxbow_backup_info(s->own, &info);
    show("backup", info.done, info.records, info.bytes);
    *piece = (struct oxbow_bytes){s->buf, len};
    return EXIT_DONE;
}

static bool says(const struct daemon_answer *a, const char *state)
{
    return a->count == 5 && is_text(&a->values[0], state);
}

static int read_daemon(struct source *s, struct oxbow_bytes *piece)
{
    static const char *const words[] = {"OXBOW", "BACKUP", "READ", NULL};
    int code;

    while ((code = daemon_ask(s->daemon, words, &s->answer)) == EXIT_DONE && !interrupted &&
           says(&s->answer, "wait")) {
        (void)usleep(POLL_US);
    }
    if (code != EXIT_DONE || interrupted) {
        return code;
    }
    if (!says(&s->answer, "ready") && !says(&s->answer, "end")) {
        fprintf(stderr, "oxbow: backup: %s: an answer that this program does not know\n",
                daemon_where(s->daemon));
        return EXIT_FAILED;
    }
    *piece = s->answer.values[4].text;
    return EXIT_DONE;
}

/* The next bytes; none at the end. */
static int source_read(struct source *s, struct oxbow_bytes *piece)
{
    int code;

    *piece = (struct oxbow_bytes){"", 0};
    code = s->daemon != NULL ? read_daemon(s, piece) : read_own(s, piece);
    if (code == EXIT_DONE && interrupted) {
        fputs("\noxbow: backup: interrupted: nothing was made\n", stderr);
        code = EXIT_FAILED;
    }
    return code;
}

/* ---- backup ---- */

static bool write_all(int fd, struct oxbow_bytes piece)
{
    const uint8_t *p = piece.data;

    while (piece.len > 0) {
        ssize_t n = write(fd, p, piece.len);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        p += n > 0 ? n : 0;
        piece.len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int copy(struct source *s, int fd, const char *part)
{
    struct oxbow_bytes piece;
    uint64_t bytes = 0;
    int code;

    while ((code = source_read(s, &piece)) == EXIT_DONE && piece.len > 0) {
        if (!write_all(fd, piece)) {
            return fail_at("backup", part, errno);
        }
        bytes += piece.len;
        if (s->daemon != NULL) {
            show("backup", (uint64_t)s->answer.values[2].number,
                 (uint64_t)s->answer.values[3].number, bytes);
        }
    }
    return code;
}

/* Reads from the device what was written, and holds it against its checksums. */
static int verify(int fd, const char *part, struct oxbow_backup_info *info)
{
    char what[] = "verifying";
    const struct oxbow_backup_options options = {.ctx = what, .progress = on_verify};
    enum oxbow_err err;

    if (fsync(fd) != 0) {
        return fail_at("backup", part, errno);
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* a hint */
    err = oxbow_backup_check(part, &options, info);
    return err == OXBOW_OK ? EXIT_DONE : fail_with("backup", part, err);
}

/* The part's file, which is ours as long as it is open. */
static int open_part(const char *part, int *fd)
{
    *fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK;
        int number = errno;

        close(*fd);
        if (taken) {
            fprintf(stderr, "oxbow: backup: %s: another backup is writing it\n", part);
            return EXIT_FAILED;
        }
        return fail_at("backup", part, number);
    }
    if (*fd < 0 || ftruncate(*fd, 0) != 0) {
        return fail_at("backup", part, errno);
    }
    return EXIT_DONE;
}

static int refuse_existing(const struct cli *cli, const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? EXIT_DONE : fail_at("backup", path, errno);
    }
    if (cli->opt.force && S_ISREG(st.st_mode)) {
        return EXIT_DONE;
    }
    fprintf(stderr, "oxbow: backup: %s is there already%s\n", path,
            S_ISREG(st.st_mode) ? " (--force replaces it)" : ", and is no file");
    return EXIT_FAILED;
}

static int place(const struct cli *cli, const char *part, const char *path)
{
    int code = refuse_existing(cli, path);
    int number;

    if (code != EXIT_DONE) {
        return code;
    }
    if (rename(part, path) != 0) {
        return fail_at("backup", path, errno);
    }
    number = sync_around(path);
    return number == 0 ? EXIT_DONE : fail_at("backup", path, number);
}

static int print_info(const struct cli *cli, const char *name, const char *path,
                      const struct oxbow_backup_info *info)
{
    const char *const columns[] = {name, "store", "lsn", "level", "records", "bytes", NULL};
    struct out *out = out_open(cli->opt.json, true, columns);
    char id[24];

    (void)snprintf(id, sizeof id, "%016" PRIx64, info->store_id);
    out_text(out, path);
    out_text(out, id);
    out_number(out, info->lsn);
    out_number(out, info->level);
    out_number(out, info->records);
    out_size(out, info->bytes);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

/* With the part open, and closed again. */
static int fill_part(const struct cli *cli, struct source *s, const char *part, const char *path,
                     struct oxbow_backup_info *info)
{
    int fd = -1;
    int code = open_part(part, &fd);

    if (code != EXIT_DONE) {
        return code;
    }
    code = copy(s, fd, part);
    show_end();
    source_close(s); /* the store need not keep it while it is verified */
    if (code == EXIT_DONE) {
        code = verify(fd, part, info);
        show_end();
    }
    if (code == EXIT_DONE) {
        code = place(cli, part, path);
    }
    if (code != EXIT_DONE) {
        (void)unlink(part); /* gone, if the renaming was done */
    }
    close(fd);
    return code;
}

static int run_backup(struct cli *cli)
{
    const char *path = cli->args[0];
    struct source *s = calloc(1, sizeof *s);
    char *part = part_of(path);
    struct oxbow_backup_info info = {0};
    int code = refuse_existing(cli, path);

    if (s == NULL || part == NULL) {
        free(part);
        free(s);
        return cli_fail("backup", OXBOW_ENOMEM);
    }
    watch_signals();
    if (code == EXIT_DONE) {
        code = source_open(cli, s);
    }
    if (code == EXIT_DONE) {
        code = fill_part(cli, s, part, path, &info);
    }
    source_close(s);
    free(part);
    free(s);
    return code == EXIT_DONE ? print_info(cli, "backup", path, &info) : code;
}

/* ---- restore ---- */

/* The directory is ours: it was made here. */
static void remove_part(const char *part)
{
    DIR *dir = opendir(part);
    const struct dirent *e;

    if (dir == NULL) {
        return;
    }
    while ((e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            (void)unlinkat(dirfd(dir), e->d_name, 0);
        }
    }
    closedir(dir);
    if (rmdir(part) != 0) {
        (void)fail_at("restore", part, errno);
    }
}

/* Only an empty directory may be there. */
static int refuse_full(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *e;
    bool empty = true;

    if (dir == NULL) {
        return errno == ENOENT ? EXIT_DONE : fail_at("restore", path, errno);
    }
    while ((e = readdir(dir)) != NULL) {
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    }
    closedir(dir);
    if (empty) {
        return EXIT_DONE;
    }
    fprintf(stderr, "oxbow: restore: %s is there already and is not empty: nothing was done\n",
            path);
    return EXIT_FAILED;
}

/* What `oxbow check` would say of it. */
static int check_part(const char *part)
{
    struct oxbow_check_report r;
    enum oxbow_err err = oxbow_check(part, NULL, &r);

    if (err == OXBOW_OK && (r.damage > 0 || r.values_bad > 0 || r.lost_pages > 0)) {
        err = OXBOW_ECORRUPT;
    }
    return err == OXBOW_OK ? EXIT_DONE : fail_with("restore", part, err);
}

static int make(const char *file, const char *part, struct oxbow_backup_info *info)
{
    char what[] = "restore";
    const struct oxbow_backup_options options = {.ctx = what, .progress = on_verify};
    enum oxbow_err err = oxbow_restore(file, part, &options, info);

    show_end();
    if (err == OXBOW_ENOSPC) {
        return fail_at("restore", part, ENOSPC);
    }
    return err == OXBOW_OK ? check_part(part) : fail_with("restore", file, err);
}

static int move(const char *part, const char *path)
{
    int number;

    if (rename(part, path) != 0) {
        return fail_at("restore", path, errno);
    }
    number = sync_around(path);
    return number == 0 ? EXIT_DONE : fail_at("restore", path, number);
}

/* Who goes on where the copied store was must say so: that one may still be at work. */
static void tell_identity(struct cli *cli, const char *dir)
{
    struct oxbow_identity id;
    struct oxbow_txn *txn;

    if (cli_open(cli, dir, OXBOW_OPEN_EXISTING | OXBOW_OPEN_READONLY, &cli->db) != OXBOW_OK) {
        return; /* it was found sound; who opens it is told why it cannot */
    }
    if (cli_begin(cli, OXBOW_TXN_READ, &txn) == OXBOW_OK) {
        if (oxbow_identity_get(txn, &id) == OXBOW_OK) {
            fprintf(stderr,
                    "oxbow: restore: this is another store than the one that was copied: the "
                    "target of the uplink lets '%s' in again when it is told to take over (OXBOW "
                    "UPLINK ADOPT); see docs/GATEWAY.md\n",
                    id.device);
        }
        oxbow_txn_abort(txn);
    }
}

static int run_restore(struct cli *cli)
{
    const struct oxbow_files *files = &oxbow_port_default()->files;
    const char *path = cli->args[1];
    char *part = part_of(path);
    struct oxbow_backup_info info = {0};
    enum oxbow_err err;
    int code;

    if (part == NULL) {
        return cli_fail("restore", OXBOW_ENOMEM);
    }
    code = refuse_full(path);
    err = code == EXIT_DONE ? files->mkdir(files->ctx, part) : OXBOW_OK;
    if (err == OXBOW_EEXIST) {
        fprintf(stderr,
                "oxbow: restore: %s: another restore is at work, or was killed: then remove it\n",
                part);
        code = EXIT_FAILED;
    } else if (err != OXBOW_OK) {
        code = fail_with("restore", part, err == OXBOW_ENOENT ? OXBOW_EIO : err);
    }
    watch_signals();
    if (code == EXIT_DONE) {
        code = make(cli->args[0], part, &info);
        code = code == EXIT_DONE ? move(part, path) : code;
        if (code != EXIT_DONE) {
            remove_part(part);
        }
    }
    free(part);
    if (code == EXIT_DONE) {
        tell_identity(cli, path);
        code = print_info(cli, "restored", path, &info);
    }
    return code;
}

static const struct option_row backup_options[] = {
    DAEMON_OPTIONS("the daemon to ask (default: $OXBOW_SERVER, else " DAEMON_DEFAULT
                   "); with --dir the store there is copied, which nobody may have open"),
    {"force", 0, OPTION_FLAG, offsetof(struct options, force), NULL, "replace FILE"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_backup[] = {
    {"backup", "FILE", 1, 1, COMMAND_ASKS,
     "copy the store of a running oxbowd, or of a directory, to a file", run_backup,
     backup_options},
    {"restore", "FILE DIR", 2, 2, 0, "make a store of a backup", run_restore, NULL},
    {0},
};
