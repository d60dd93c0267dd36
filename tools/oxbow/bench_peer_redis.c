/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis-server as a queue: a real one, started for each measurement in the contender's directory,
 * with an append-only file and a Unix socket and nothing else changed. RPUSH of one message at a
 * time, each waiting for its reply, or so many to a write. It ends with the contender, whatever
 * ends that.
 */
#include "tools/oxbow/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16u
#define PIPELINE_MAX    64u
#define HEAD            "*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$100\r\n"
#define HEAD_BYTES      (sizeof HEAD - 1)
#define COMMAND_BYTES   (HEAD_BYTES + BENCH_PAYLOAD + 2)
#define START_TRIES     500
#define START_TRY_US    10000
#define NOT_INSTALLED   127

struct server {
    pid_t pid;
    int dir; /* the socket's: paths of sockets are short */
};

struct client {
    const struct server *server;
    uint64_t count; /* commands */
    float *us;      /* one for each write */
    uint32_t pipeline;
    int rc;
};

struct load {
    const char *fsync; /* Redis' appendfsync */
    float *us;         /* what each write took; made by measure */
    uint64_t writes;   /* of each connection */
    uint32_t connections;
    uint32_t pipeline;
};

/* ---- the server ---- */

static void run_server(const struct bench_run *run, const char *fsync)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(run->dir) != 0 || null < 0 || dup2(null, STDOUT_FILENO) < 0) {
        _exit(1);
    }
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save",
           "", "--appendonly", "yes", "--appendfsync", fsync, (char *)NULL);
    _exit(NOT_INSTALLED);
}

static int connect_to(const struct server *server)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/redis.sock", server->dir);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Waits until it listens. -1: it does not; *absent: there is no such program. */
static int await_server(const struct server *server, bool *absent)
{
    for (int i = 0; i < START_TRIES; i++) {
        int status;
        int fd = connect_to(server);

        if (fd >= 0) {
            close(fd);
            return 0;
        }
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            *absent = WIFEXITED(status) && WEXITSTATUS(status) == NOT_INSTALLED;
            return -1;
        }
        (void)usleep(START_TRY_US);
    }
    return -1;
}

static int start_server(const struct bench_run *run, const char *fsync, struct server *server,
                        bool *absent)
{
    server->dir = open(run->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    server->pid = server->dir >= 0 ? fork() : -1;
    if (server->pid == 0) {
        run_server(run, fsync);
    }
    return server->pid > 0 ? await_server(server, absent) : -1;
}

static void stop_server(struct server *server)
{
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL); /* it has nothing to save */
        (void)waitpid(server->pid, NULL, 0);
    }
    if (server->dir >= 0) {
        close(server->dir);
    }
}

/* ---- the clients ---- */

static bool send_all(int fd, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n <= 0) {
            return false;
        }
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Reads so many replies; each must be a number, `:123`. */
static bool replies(int fd, uint32_t count)
{
    char text[4096];
    bool fresh = true; /* a reply begins */

    while (count > 0) {
        ssize_t n = read(fd, text, sizeof text);

        if (n <= 0) {
            return false;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (fresh && text[i] != ':') {
                return false;
            }
            fresh = text[i] == '\n';
            count -= fresh;
        }
    }
    return true;
}

static size_t commands(uint8_t *out, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *p = out + i * COMMAND_BYTES;

        memcpy(p, HEAD, HEAD_BYTES);
        bench_payload(p + HEAD_BYTES, first + i);
        memcpy(p + HEAD_BYTES + BENCH_PAYLOAD, "\r\n", 2);
    }
    return count * COMMAND_BYTES;
}

static void *drive(void *arg)
{
    static const uint32_t most = PIPELINE_MAX;
    struct client *c = arg;
    uint8_t *buf = malloc(most * COMMAND_BYTES);
    int fd = connect_to(c->server);
    bool ok = buf != NULL && fd >= 0;

    for (uint64_t done = 0; ok && done < c->count; done += c->pipeline) {
        double start = bench_now();
        size_t len = commands(buf, done, c->pipeline);

        ok = send_all(fd, buf, len) && replies(fd, c->pipeline);
        c->us[done / c->pipeline] = (float)((bench_now() - start) * 1e6);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(buf);
    c->rc = ok ? 0 : -1;
    return NULL;
}

static int drive_all(const struct server *server, const struct load *load)
{
    struct client clients[CONNECTIONS_MAX];
    pthread_t threads[CONNECTIONS_MAX];
    int rc = 0;

    for (uint32_t i = 0; i < load->connections; i++) {
        clients[i] = (struct client){.server = server,
                                     .count = load->writes * load->pipeline,
                                     .us = load->us + i * load->writes,
                                     .pipeline = load->pipeline,
                                     .rc = -1};
        if (pthread_create(&threads[i], NULL, drive, &clients[i]) != 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < load->connections; i++) {
        pthread_join(threads[i], NULL);
        rc |= clients[i].rc;
    }
    return rc;
}

static int measure(const struct bench_run *run, struct load *load, struct bench_sample *out)
{
    uint64_t writes = load->writes * load->connections;
    uint64_t count = writes * load->pipeline;
    struct server server = {.pid = -1, .dir = -1};
    uint64_t before;
    double start;
    int rc = -1;

    load->us = calloc((size_t)writes, sizeof *load->us);
    if (load->us != NULL) {
        rc = start_server(run, load->fsync, &server, &out->absent);
    }
    if (rc == 0) {
        before = bench_disk_bytes(run);
        start = bench_now();
        rc = drive_all(&server, load);
        out->rate = (double)count / (bench_now() - start);
        bench_latency(load->us, writes, out);
        out->disk_bytes = (double)(bench_disk_bytes(run) - before) / (double)count;
        out->anon_bytes = bench_anon_bytes(server.pid); /* it only grows */
    }
    stop_server(&server);
    free(load->us);
    return out->absent ? 0 : rc;
}

int bench_redis_always_1(const struct bench_run *run, struct bench_sample *out)
{
    struct load load = {
        .fsync = "always", .writes = bench_syncs(run, 3000), .connections = 1, .pipeline = 1};

    return measure(run, &load, out);
}

int bench_redis_always_16(const struct bench_run *run, struct bench_sample *out)
{
    struct load load = {
        .fsync = "always", .writes = bench_syncs(run, 1500), .connections = 16, .pipeline = 1};

    return measure(run, &load, out);
}

int bench_redis_everysec_1(const struct bench_run *run, struct bench_sample *out)
{
    struct load load = {
        .fsync = "everysec", .writes = bench_scaled(run, 100000), .connections = 1, .pipeline = 1};

    return measure(run, &load, out);
}

int bench_redis_everysec_64(const struct bench_run *run, struct bench_sample *out)
{
    struct load load = {
        .fsync = "everysec", .writes = bench_scaled(run, 20000), .connections = 1, .pipeline = 64};

    return measure(run, &load, out);
}
