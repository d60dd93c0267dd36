/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk with a volatile cache, for a virtual machine: an NBD server on a Unix socket, for one
 * client. What was written is in the image only after a flush; when the client dies, what was not flushed is lost, or kept in part, as a disk might: whole writes, blocks of 4 KiB,
 * sectors. In the order of writing; what was written with FUA is kept.
 *
 *   rig_disk SOCKET IMAGE SEED [lie]
 *
 * With `lie` flushes do nothing: the disk that a rig must find out. Ends with its client, and says
 * on standard output what it did. Exit status 2: it could not do its work.
 *
 * The image is mapped twice: shared, which is what a power cut leaves, and private, which is what
 * the client sees. The protocol is that of the NBD project's doc/proto.md: fixed newstyle
 * handshake, simple replies.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/rigs/plan.h"

#define MAGIC_SERVER 0x4e42444d41474943u /* "NBDMAGIC" */
#define MAGIC_OPTION 0x49484156454f5054u /* "IHAVEOPT" */
#define MAGIC_ANSWER 0x3e889045565a9u
#define MAGIC_ASK    0x25609513u
#define MAGIC_REPLY  0x67446698u

#define SERVER_FIXED     1u
#define SERVER_NO_ZEROES 2u
#define OPT_EXPORT_NAME  1u
#define OPT_ABORT        2u
#define OPT_INFO         6u
#define OPT_GO           7u
#define REP_ACK          1u
#define REP_INFO         3u
#define REP_UNSUPPORTED  0x80000001u
#define EXPORT_FLAGS     (1u | 4u | 8u) /* flags are there, FLUSH, FUA */

#define CMD_READ         0u
#define CMD_WRITE        1u
#define CMD_END          2u
#define CMD_FLUSH        3u
#define FLAG_FUA         1u
#define LENGTH_MAX       (64u << 20)
#define SECTOR           512u
#define FLUSH_US_MAX     6000u
#define FREEZE_AFTER_MAX 12u

/* A write that no flush has covered. */
struct pending {
    struct pending *next;
    uint64_t at;
    uint32_t len;
    bool fua; /* on the device all the same */
    uint8_t data[];
};

struct disk {
    int fd; /* the client */
    uint64_t bytes;
    uint8_t *stable, *seen;
    struct pending *first, **last;
    uint8_t *buffer; /* LENGTH_MAX */
    bool lie;
    uint64_t random;
    uint64_t until_frozen;
    bool froze;
    uint64_t writes, flushes, unflushed, sectors_kept, sectors_lost;
};

static volatile sig_atomic_t freeze;

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "rig_disk: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* False: the client is gone. */
static bool get(struct disk *d, void *to, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(d->fd, (uint8_t *)to + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool put(struct disk *d, const void *from, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(d->fd, (const uint8_t *)from + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static size_t be(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    return bytes;
}

static uint64_t from_be(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

/* ---- handshake ---- */

static bool answer(struct disk *d, uint32_t option, uint32_t type, const uint8_t *data,
                   uint32_t len)
{
    uint8_t head[20];
    size_t at = be(head, MAGIC_ANSWER, 8);

    at += be(head + at, option, 4);
    at += be(head + at, type, 4);
    at += be(head + at, len, 4);
    return put(d, head, at) && put(d, data, len);
}

/* *ready: requests come next. */
static bool take_option(struct disk *d, bool *ready)
{
    uint8_t head[16], info[12];
    uint32_t option, len;

    if (!get(d, head, sizeof head) || from_be(head, 8) != MAGIC_OPTION)
        return false;
    option = (uint32_t)from_be(head + 8, 4);
    len = (uint32_t)from_be(head + 12, 4);
    if (len > LENGTH_MAX || !get(d, d->buffer, len))
        return false;
    be(info, 0, 2); /* NBD_INFO_EXPORT */
    be(info + 2, d->bytes, 8);
    be(info + 10, EXPORT_FLAGS, 2);
    *ready = option == OPT_GO || option == OPT_EXPORT_NAME;
    if (option == OPT_EXPORT_NAME)
        return put(d, info + 2, 10);
    if (option == OPT_GO || option == OPT_INFO)
        return answer(d, option, REP_INFO, info, sizeof info) &&
               answer(d, option, REP_ACK, NULL, 0);
    return option != OPT_ABORT && answer(d, option, REP_UNSUPPORTED, NULL, 0);
}

static bool handshake(struct disk *d)
{
    uint8_t head[18], flags[4];
    bool ready = false;

    be(head, MAGIC_SERVER, 8);
    be(head + 8, MAGIC_OPTION, 8);
    be(head + 16, SERVER_FIXED | SERVER_NO_ZEROES, 2);
    if (!put(d, head, sizeof head) || !get(d, flags, sizeof flags))
        return false;
    while (!ready)
        if (!take_option(d, &ready))
            return false;
    return true;
}

/* ---- requests ---- */

/* A flush takes its time, as on flash; false: the client died meanwhile, and it never happened. */
static bool linger(const struct disk *d)
{
    struct pollfd p = {.fd = d->fd, .events = POLLRDHUP};

    usleep((useconds_t)(plan_random(&(uint64_t){d->random + d->flushes}) % FLUSH_US_MAX));
    return poll(&p, 1, 0) == 0 || (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

static bool flush(struct disk *d)
{
    if (!linger(d))
        return false; /* the client died while it waited for it */
    d->flushes++;
    while (d->first != NULL && !d->lie) {
        struct pending *p = d->first;
        memcpy(d->stable + p->at, p->data, p->len);
        d->first = p->next;
        free(p);
    }
    if (d->first == NULL)
        d->last = &d->first;
    return true;
}

static bool write_to(struct disk *d, uint64_t at, uint32_t len, bool fua)
{
    struct pending *p = malloc(sizeof *p + len);

    if (p == NULL)
        give_up("memory");
    if (!get(d, p->data, len)) {
        free(p);
        return false; /* died in the middle: the disk never had it */
    }
    p->next = NULL;
    p->at = at;
    p->len = len;
    p->fua = fua && !d->lie;
    *d->last = p;
    d->last = &p->next;
    memcpy(d->seen + at, p->data, len);
    d->writes++;
    return true;
}

static void ask_to_freeze(int number)
{
    (void)number;
    freeze = 1;
}

/* Some writes and flushes after SIGUSR1 the disk does nothing any more, as if its power had gone a
 * moment before the machine's: so the cut comes between two of them, wherever that is. */
static bool frozen(struct disk *d)
{
    struct pollfd p = {.fd = d->fd, .events = POLLRDHUP};

    if (freeze == 0)
        return false;
    if (d->until_frozen == 0)
        d->until_frozen = 1 + plan_random(&d->random) % FREEZE_AFTER_MAX;
    if (--d->until_frozen > 0)
        return false;
    d->froze = true;
    while (poll(&p, 1, -1) < 0)
        ;
    return true;
}

static bool request(struct disk *d)
{
    uint8_t ask[28], reply[16];
    uint32_t flags, type, len;
    uint64_t at;

    if (!get(d, ask, sizeof ask) || from_be(ask, 4) != MAGIC_ASK)
        return false;
    flags = (uint32_t)from_be(ask + 4, 2);
    type = (uint32_t)from_be(ask + 6, 2);
    at = from_be(ask + 16, 8);
    len = (uint32_t)from_be(ask + 24, 4);
    if (type == CMD_END || len > LENGTH_MAX || at > d->bytes || len > d->bytes - at)
        return false;
    if (type == CMD_FLUSH && frozen(d))
        return false;
    if (type == CMD_WRITE && !write_to(d, at, len, (flags & FLAG_FUA) != 0))
        return false;
    if (type == CMD_WRITE && frozen(d))
        return false; /* it had this one, and never said so */
    if (type == CMD_FLUSH && !flush(d))
        return false;
    be(reply, MAGIC_REPLY, 4);
    be(reply + 4, type <= CMD_FLUSH ? 0 : 22 /* NBD_EINVAL */, 4);
    memcpy(reply + 8, ask + 8, 8);
    return put(d, reply, sizeof reply) && (type != CMD_READ || put(d, d->seen + at, len));
}

/* ---- the cut ---- */

enum loss { LOSE_ALL, LOSE_NOTHING, LOSE_BLOCKS, LOSE_SECTORS, LOSE_LAST };

static void keep_some(struct disk *d, const struct pending *p, uint32_t unit)
{
    for (uint32_t at = 0; at < p->len; at += unit) {
        uint32_t len = p->len - at < unit ? p->len - at : unit;
        if (plan_random(&d->random) % 2 == 0) {
            memcpy(d->stable + p->at + at, p->data + at, len);
            d->sectors_kept += len / SECTOR;
        } else {
            d->sectors_lost += len / SECTOR;
        }
    }
}

static enum loss cut(struct disk *d)
{
    enum loss loss = (enum loss)(plan_random(&d->random) % 5);
    uint64_t keep;

    for (const struct pending *p = d->first; p != NULL; p = p->next)
        d->unflushed++;
    keep = plan_random(&d->random) % (d->unflushed + 1);
    keep = loss == LOSE_NOTHING ? UINT64_MAX : loss == LOSE_LAST ? keep : 0;
    for (const struct pending *p = d->first; p != NULL; p = p->next) {
        bool whole = p->fua || keep > 0;
        if (!whole && (loss == LOSE_BLOCKS || loss == LOSE_SECTORS)) {
            keep_some(d, p, loss == LOSE_BLOCKS ? 4096 : SECTOR);
            continue;
        }
        if (whole)
            memcpy(d->stable + p->at, p->data, p->len);
        *(whole ? &d->sectors_kept : &d->sectors_lost) += p->len / SECTOR;
        keep -= keep > 0;
    }
    return loss;
}

static void open_image(struct disk *d, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0)
        give_up(path);
    d->bytes = (uint64_t)st.st_size;
    d->stable = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    d->seen = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    d->buffer = malloc(LENGTH_MAX);
    if (d->stable == MAP_FAILED || d->seen == MAP_FAILED || d->buffer == NULL)
        give_up(path);
    close(fd);
}

static void wait_for_client(struct disk *d, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0)
        give_up(path);
    (void)alarm(60); /* a client that never comes */
    d->fd = accept(fd, NULL, NULL);
    (void)alarm(0);
    if (d->fd < 0)
        give_up("accept");
    close(fd);
}

int main(int argc, char **argv)
{
    static const char *const losses[] = {"all", "nothing", "blocks", "sectors", "last"};
    struct disk d = {0};
    enum loss loss;

    if (argc < 4) {
        fprintf(stderr, "usage: rig_disk SOCKET IMAGE SEED [lie]\n");
        return 2;
    }
    (void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = ask_to_freeze}, NULL);
    d.last = &d.first;
    d.random = strtoull(argv[3], NULL, 10);
    d.lie = argc > 4 && strcmp(argv[4], "lie") == 0;
    open_image(&d, argv[2]);
    wait_for_client(&d, argv[1]);
    if (handshake(&d))
        while (request(&d))
            ;
    loss = cut(&d);
    printf("writes=%" PRIu64 " flushes=%" PRIu64 " unflushed=%" PRIu64 " sectors_kept=%" PRIu64
           " sectors_lost=%" PRIu64 " frozen=%d loss=%s\n",
           d.writes, d.flushes, d.unflushed, d.sectors_kept, d.sectors_lost, d.froze ? 1 : 0,
           losses[loss]);
    return 0;
}
