/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's listening sockets: made here rather than by libuv, so that rights, backlog and what
 * an old socket's file means are ours to say, and so that accepting can rest for a moment when there
 * is no descriptor or memory for another connection: else the loop would spin.
 */
#include "port/uv/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     511u
#define ACCEPTS_MAX 256 /* before others have their turn */
#define PAUSE_MS    100u
#define TELL_US     10000000u
#define PORT_TEXT   6

_Static_assert(sizeof((struct sockaddr_un){0}.sun_path) + 3 <= SERVE_ADDR_MAX, "a path and :0");

/* ---- errors ---- */

static enum oxbow_err listen_error(int error)
{
    switch (error) {
    case EADDRINUSE:
        return OXBOW_EBUSY;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ENOENT:
    case ENOTDIR:
        return OXBOW_ENOENT;
    case EACCES:
    case EPERM:
    case EROFS:
        return OXBOW_EREADONLY;
    case ENOMEM:
    case ENOBUFS:
        return OXBOW_ENOMEM;
    default:
        return OXBOW_ESYS;
    }
}

static const char *listen_text(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "another program listens there";
    case EADDRNOTAVAIL:
        return "no such address on this machine";
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return "this machine has no such kind of address";
    case EACCES:
    case EPERM:
        return "no right to listen there";
    default:
        return strerror(error);
    }
}

static enum oxbow_err fail(struct oxbow_resp_uv_why *why, const char *where, int error)
{
    (void)snprintf(why->text, sizeof why->text, "cannot listen at %s: %s", where,
                   listen_text(error));
    return listen_error(error);
}

/* ---- sockets ---- */

/* What a socket is for. */
struct purpose {
    uint16_t port; /* 0: the system chooses */
    bool any;      /* it does */
    bool tls;
    bool sentinel;
    uint16_t *learnt; /* the port that it is in the end */
};

static enum oxbow_err put(struct oxbow_resp_uv *s, int fd, const struct purpose *what)
{
    struct serve_listener *l = &s->listeners[s->listener_count];

    if (uv_poll_init(s->loop, &l->poll, fd) < 0) {
        (void)close(fd);
        return OXBOW_ESYS;
    }
    l->poll.data = l;
    l->server = s;
    l->fd = fd;
    l->polls = true;
    l->tls = what->tls;
    l->sentinel = what->sentinel;
    s->handles++;
    s->listener_count++;
    return OXBOW_OK;
}

/* A socket that listens at the address; -1 and errno. */
static int socket_open(const struct addrinfo *a, uint32_t backlog)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    int error;

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        (a->ai_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0) &&
        bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, (int)backlog) == 0) {
        return fd;
    }
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static void learn_port(uint16_t *port, int fd)
{
    union serve_addr own = {.room = {0}};
    socklen_t len = sizeof own;

    if (getsockname(fd, &own.any, &len) == 0) {
        *port = ntohs(own.any.sa_family == AF_INET6 ? own.in6.sin6_port : own.in.sin_port);
    }
}

static bool is_absence(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT;
}

/* One entry of `binds`. */
static enum oxbow_err bind_one(struct oxbow_resp_uv *s, const char *entry,
                               const struct purpose *what, struct oxbow_resp_uv_why *why)
{
    const char *host = entry[0] == '-' ? entry + 1 : entry;
    const char *name = strcmp(host, "*") == 0 ? "0.0.0.0" : strcmp(host, "::*") == 0 ? "::" : host;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port_text[PORT_TEXT];
    char where[SERVE_ADDR_MAX];
    int rc;
    int fd;

    (void)snprintf(port_text, sizeof port_text, "%u", (unsigned)what->port);
    (void)snprintf(where, sizeof where, strchr(name, ':') != NULL ? "[%s]:%s" : "%s:%s", name,
                   port_text);
    rc = getaddrinfo(name, port_text, &hints, &found);
    if (rc != 0) {
        (void)snprintf(why->text, sizeof why->text, "cannot listen at %s: %s", where,
                       gai_strerror(rc));
        return entry[0] == '-' ? OXBOW_OK : OXBOW_ENOENT;
    }
    fd = socket_open(found, s->backlog);
    freeaddrinfo(found);
    if (fd < 0) {
        return entry[0] == '-' && is_absence(errno) ? OXBOW_OK : fail(why, where, errno);
    }
    learn_port(what->learnt, fd);
    return put(s, fd, what);
}

/* ---- the Unix socket ---- */

/* Makes way for our own: removes a socket that nobody serves. */
static enum oxbow_err clear_path(const char *path, const struct sockaddr_un *addr,
                                 struct oxbow_resp_uv_why *why)
{
    struct stat at;
    int fd;
    int rc;
    int error;

    if (lstat(path, &at) != 0) {
        return errno == ENOENT ? OXBOW_OK : fail(why, path, errno);
    }
    if (!S_ISSOCK(at.st_mode)) {
        (void)snprintf(why->text, sizeof why->text,
                       "cannot listen at %s: something is there that is no socket", path);
        return OXBOW_EEXIST;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(why, path, errno);
    }
    rc = connect(fd, (const struct sockaddr *)addr, sizeof *addr);
    error = errno;
    (void)close(fd);
    if (rc == 0 || error == EAGAIN) { /* its queue is full: somebody serves it */
        return fail(why, path, EADDRINUSE);
    }
    if (error != ECONNREFUSED) {
        return fail(why, path, error);
    }
    return unlink(path) == 0 ? OXBOW_OK : fail(why, path, errno);
}

static enum oxbow_err bind_unix(struct oxbow_resp_uv *s, const char *path, uint32_t mode,
                                struct oxbow_resp_uv_why *why)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct sockaddr_un bound = {.sun_family = AF_UNIX};
    socklen_t len = sizeof bound;
    struct stat at;
    enum oxbow_err err;
    int fd;

    if (strlen(path) >= sizeof addr.sun_path) {
        (void)snprintf(why->text, sizeof why->text,
                       "the path of the Unix socket is longer than %u bytes",
                       (unsigned)sizeof addr.sun_path - 1);
        return OXBOW_EINVAL;
    }
    memcpy(addr.sun_path, path, strlen(path));
    err = clear_path(path, &addr, why);
    if (err != OXBOW_OK) {
        return err;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(why, path, errno);
    }
    /* The rights are the socket's before its file is there: nobody slips in between. */
    if ((mode != 0 && fchmod(fd, mode) != 0) ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        (mode != 0 && chmod(path, mode) != 0) || listen(fd, (int)s->backlog) != 0 ||
        stat(path, &at) != 0) {
        err = fail(why, path, errno);
        if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0 && bound.sun_path[0] != '\0') {
            (void)unlink(path); /* the first failure is the one to tell */
        }
        (void)close(fd);
        return err;
    }
    memcpy(s->unix_path, path, strlen(path));
    s->unix_dev = at.st_dev;
    s->unix_ino = at.st_ino;
    return put(s, fd, &(struct purpose){.tls = false});
}

/* ---- all of them ---- */

static enum oxbow_err bind_tcp(struct oxbow_resp_uv *s, const struct oxbow_resp_uv_config *config,
                               const struct purpose *what, struct oxbow_resp_uv_why *why)
{
    static const char *const loopback[] = {"127.0.0.1", "-::1"};
    const char *const *binds = config->bind_count > 0 ? config->binds : loopback;
    size_t count = config->bind_count > 0 ? config->bind_count : 2;
    uint32_t before = s->listener_count;
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    if (what->any && config->bind_count == 0) {
        count = 1;
    }
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = bind_one(s, binds[i], what, why);
    }
    if (err == OXBOW_OK && s->listener_count == before) {
        if (why->text[0] == '\0') {
            (void)snprintf(why->text, sizeof why->text,
                           "this machine has none of the addresses to listen at");
        }
        err = OXBOW_ENOENT;
    }
    return err;
}

enum oxbow_err uvserve_listen(struct oxbow_resp_uv *s, const struct oxbow_resp_uv_config *config,
                              struct oxbow_resp_uv_why *why)
{
    const bool clear = config->port != 0 || config->port_any;
    const struct purpose plain = {
        .port = config->port, .any = config->port_any, .learnt = &s->tcp_port};
    const struct purpose tls = {
        .port = config->tls_port, .any = config->tls_port_any, .tls = true, .learnt = &s->tls_port};
    const struct purpose sentinel = {.port = config->sentinel_port,
                                     .any = config->sentinel_port_any,
                                     .tls = !clear,
                                     .sentinel = true,
                                     .learnt = &s->sentinel_port};
    enum oxbow_err err = OXBOW_OK;

    s->backlog = config->backlog != 0 ? config->backlog : BACKLOG;
    why->text[0] = '\0';
    if (clear) {
        err = bind_tcp(s, config, &plain, why);
    }
    if (err == OXBOW_OK && s->tls != NULL) {
        err = bind_tcp(s, config, &tls, why);
    }
    if (err == OXBOW_OK && (config->sentinel_port != 0 || config->sentinel_port_any)) {
        err = bind_tcp(s, config, &sentinel, why);
    }
    if (err == OXBOW_OK && config->unix_path != NULL) {
        err = bind_unix(s, config->unix_path, config->unix_mode, why);
    }
    return err;
}

void uvserve_deafen(struct oxbow_resp_uv *s)
{
    struct stat at;
    uint32_t i;

    for (i = 0; i < s->listener_count; i++) {
        struct serve_listener *l = &s->listeners[i];

        if (l->polls) {
            l->polls = false;
            uv_close((uv_handle_t *)&l->poll, uvserve_listener_closed);
            (void)close(l->fd);
        }
    }
    if (s->unix_path[0] != '\0' && stat(s->unix_path, &at) == 0 && at.st_dev == s->unix_dev &&
        at.st_ino == s->unix_ino && unlink(s->unix_path) != 0) {
        uvserve_log(s, OXBOW_LOG_WARN, "serve: %s stays: %s", s->unix_path, strerror(errno));
    }
    s->unix_path[0] = '\0';
}

/* ---- accepting ---- */

static void on_pause_over(uv_timer_t *timer)
{
    struct oxbow_resp_uv *s = timer->data;

    s->pausing = false;
    uvserve_accept(s);
}

void uvserve_pause(struct oxbow_resp_uv *s, int error)
{
    uint64_t now_us = s->port->clock.mono_us(s->port->clock.ctx);
    uint32_t i;

    if (s->told_us == 0 || now_us - s->told_us > TELL_US) {
        s->told_us = now_us;
        uvserve_log(s, OXBOW_LOG_WARN, "serve: cannot accept connections for now: %s",
                    strerror(error));
    }
    s->pausing = true;
    for (i = 0; i < s->listener_count; i++) {
        (void)uv_poll_stop(&s->listeners[i].poll); /* never fails */
    }
    (void)uv_timer_start(&s->pause, on_pause_over, PAUSE_MS, 0); /* fails without a callback only */
}

/* What became of one accept that failed; false: no more now. */
static bool accept_failed(struct oxbow_resp_uv *s, int error)
{
    switch (error) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
        return false;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
        return true;
    default: /* EMFILE, ENFILE, ENOMEM, ENOBUFS; and what nobody foresaw must not spin either */
        uvserve_pause(s, error);
        return false;
    }
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct serve_listener *l = poll->data;
    int i;

    (void)events;
    if (status < 0) {
        uvserve_pause(l->server, EIO);
        return;
    }
    for (i = 0; i < ACCEPTS_MAX; i++) {
        union serve_addr from = {.room = {0}};
        socklen_t len = sizeof from;
        int fd = accept4(l->fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            uvserve_conn_open(l, fd, &from);
        } else if (!accept_failed(l->server, errno)) {
            return;
        }
    }
}

void uvserve_accept(struct oxbow_resp_uv *s)
{
    uint32_t i;

    for (i = 0; i < s->listener_count && !s->closing && !s->pausing; i++) {
        /* Fails only for events that it does not know. */
        (void)uv_poll_start(&s->listeners[i].poll, UV_READABLE, on_accept);
    }
}
