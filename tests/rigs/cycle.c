/* SPDX-License-Identifier: Apache-2.0 */
/* Forks without exec: a cycle takes milliseconds. The parent has one thread, and opens no store. */
#include "tests/rigs/cycle.h"

#include "oxbow/port.h"
#include "tests/rigs/mounts.h"
#include "tests/rigs/nosync.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES         (1 << 20)
#define VERIFY_SECONDS_MAX 300

void die(const char *what)
{
    fprintf(stderr, "rig: %s: %s\n", what, strerror(errno));
    exit(2);
}

uint64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool copy_tree(const char *from, const char *to)
{
    const char *const argv[] = {"cp", "-r", "--sparse=always", "-T", from, to, NULL};

    return run_quietly(argv);
}

void remove_tree(const char *dir)
{
    const char *const argv[] = {"rm", "-rf", "--", dir, NULL};

    if (!run_quietly(argv))
        die(dir);
}

/* A dying file system is no news: what the store says is kept for the case that more is wrong. */
static void log_to_file(void *ctx, enum oxbow_log_level level, const char *text)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    const int *fd = ctx;

    if (*fd >= 0)
        dprintf(*fd, "%llu %s: %s\n", (unsigned long long)clock_us(), levels[level], text);
}

void life_begin(struct life *life, const struct load_options *options, struct witness *witness,
                bool lie)
{
    struct oxbow_port port = *oxbow_port_default();
    struct load_options own = *options;
    int p[2], log_fd;

    log_fd = options->log == NULL
                 ? -1
                 : open(options->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    port.log = (struct oxbow_log){&log_fd, log_to_file};

    *life = (struct life){.witness = witness};
    witness->failed = witness->closed = false;
    if (pipe2(p, O_CLOEXEC) != 0)
        die("pipe");
    (void)fcntl(p[0], F_SETPIPE_SZ, PIPE_BYTES);
    fflush(stdout);
    life->pid = fork();
    if (life->pid < 0)
        die("fork");
    if (life->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(p[0]);
        (void)signal(SIGBUS, SIG_DFL); /* a sanitizer would make an exit of it */
        own.witness_fd = p[1];
        own.port = &port;
        if (lie)
            nosync_begin();
        _exit(load_run(&own));
    }
    close(p[1]);
    if (log_fd >= 0)
        close(log_fd);
    life->pipe_fd = p[0];
}

/* What is there now; false when the other side is closed and all is read. */
static bool hear(struct life *life)
{
    uint8_t bytes[RECORD_BYTES * 200];
    size_t len = life->rest_len, used;
    ssize_t n;

    memcpy(bytes, life->rest, len);
    n = read(life->pipe_fd, bytes + len, sizeof bytes - len);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0)
        return false;
    len += (size_t)n;
    used = witness_take_bytes(life->witness, bytes, len);
    life->rest_len = len - used;
    if (life->rest_len >= RECORD_BYTES)
        return false; /* no record: the witness has noted it */
    memcpy(life->rest, bytes + used, life->rest_len);
    return true;
}

bool life_listen(struct life *life, uint64_t until_us)
{
    while (!life->ended) {
        uint64_t now = clock_us();
        struct pollfd p = {.fd = life->pipe_fd, .events = POLLIN};
        struct timespec wait;
        uint64_t left = until_us > now ? until_us - now : 0;

        wait = (struct timespec){(time_t)(left / 1000000), (long)(left % 1000000) * 1000};
        if (left == 0 || ppoll(&p, 1, &wait, NULL) == 0)
            return false;
        life->ended = !hear(life);
    }
    return true;
}

void life_kill(struct life *life)
{
    (void)kill(life->pid, SIGKILL);
    while (!life->ended)
        life->ended = !hear(life);
    close(life->pipe_fd);
    if (waitpid(life->pid, &life->status, 0) != life->pid)
        die("waitpid");
}

/* What a store says while it recovers is expected here; what it says is wrong is not. */
static void log_errors(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    if (level == OXBOW_LOG_ERROR)
        fprintf(stderr, "verify: %s\n", text);
}

void verify_apart(const struct load_options *options, const struct witness *w, bool check,
                  struct verdict *verdict)
{
    struct verdict *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct oxbow_port port = *oxbow_port_default();
    struct load_options own = *options;
    int status = 0;
    pid_t pid;

    port.log.line = log_errors;
    if (shared == MAP_FAILED)
        die("mmap");
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(VERIFY_SECONDS_MAX); /* a store must not keep who opens it for ever */
        own.port = &port;
        verify_store(&own, w, check, shared);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    *verdict = *shared;
    munmap(shared, sizeof *shared);
    if (status != 0) {
        verdict->good = false;
        snprintf(verdict->why, sizeof verdict->why,
                 "the store ended the process that opened it: %s %d",
                 WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}
