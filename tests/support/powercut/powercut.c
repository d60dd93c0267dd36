/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the power goes: reads the environment, waits for the signal or the line in the FIFO in a
 * thread of its own, counts events, and at the cut rolls back, reports and kills. The signal's
 * handler only writes a byte into a pipe.
 */
#include "tests/support/powercut/powercut.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *const mode_names[] = {"drop", "keep", "pages", "sectors", "prefix", "mix"};

static struct {
    enum powercut_mode mode;
    uint64_t seed;
    uint64_t at; /* 0: never */
    uint64_t events;
    unsigned lie;
    const char *report;
    int ctl;
    int wake[2];
    pid_t pid;
    bool active;
} cut;

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "powercut: %s: %s\n", what, value);
    _exit(125);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    if (text == NULL || *text == '\0')
        return otherwise;
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0')
        fail("not a number", name);
    return value;
}

/* A copy: some programs (redis-server) write their title over the environment. */
static const char *kept(const char *name)
{
    const char *text = getenv(name);
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL)
        fail("out of memory", name);
    return copy;
}

static enum powercut_mode mode_of(const char *text)
{
    for (int m = POWERCUT_DROP; m <= POWERCUT_MIX; m++)
        if (strcmp(text, mode_names[m]) == 0)
            return (enum powercut_mode)m;
    fail("no such mode", text);
    return POWERCUT_DROP;
}

/* ---- the cut ---- */

static void report_line(const char *by, const struct powercut_report *r)
{
    char line[512];
    int len = snprintf(line, sizeof line,
                       "powercut pid=%d by=%s mode=%s seed=%llu events=%llu syncs=%llu files=%llu "
                       "pages_lost=%llu pages_kept=%llu bytes_lost=%llu names_lost=%llu "
                       "names_kept=%llu in_sync=%llu mid_commit=%s lie=%u\n",
                       (int)cut.pid, by, mode_names[cut.mode], (unsigned long long)cut.seed,
                       (unsigned long long)cut.events, (unsigned long long)r->syncs,
                       (unsigned long long)r->files, (unsigned long long)r->pages_lost,
                       (unsigned long long)r->pages_kept, (unsigned long long)r->bytes_lost,
                       (unsigned long long)r->names_lost, (unsigned long long)r->names_kept,
                       (unsigned long long)r->in_sync, r->mid_commit ? "yes" : "no", cut.lie);
    int fd = cut.report == NULL ? STDERR_FILENO
                                : open(cut.report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (len > 0 && write(fd, line, (size_t)len) != len)
        perror("powercut: report");
}

/* Whether all threads of a process have stopped: its state is the letter behind the last ')'. */
static bool stopped(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}

/* In a child, while the process stands still: a thread that reads a mapping would see its file
 * change or become shorter, and might end the process with the cut half way. What the child
 * inherited open it closes before the process dies, so that no lock or pipe outlives it. */
static _Noreturn void roll_back(const char *by)
{
    const struct timespec moment = {.tv_nsec = 200000};
    kill(cut.pid, SIGSTOP);
    for (int i = 0; i < 5000 && !stopped(cut.pid); i++)
        nanosleep(&moment, NULL);
    struct powercut_report report;
    undo_all(cut.mode, cut.seed, &report);
    report_line(by, &report);
    (void)close_range(0, ~0u, 0);
    kill(cut.pid, SIGKILL);
    _exit(0);
}

/* Called with the lock held, which nobody gets again. Nothing but the lock's holder may fork. */
static void cut_now(const char *by)
{
    iohook_bypass(true);
    cut.active = false;
    pid_t child = fork();
    if (child == 0)
        roll_back(by);
    if (child < 0)
        fail("cannot fork", strerror(errno));
    for (;;)
        pause();
}

void on_done(void)
{
    cut.events++;
    if (cut.at != 0 && cut.events == cut.at)
        cut_now("event");
}

/* "cut [MODE [SEED]]" */
static void obey(char *line)
{
    char *save = NULL;
    const char *word = strtok_r(line, " \n", &save);
    if (word == NULL || strcmp(word, "cut") != 0) {
        fprintf(stderr, "powercut: not understood: %s\n", word == NULL ? "" : word);
        return;
    }
    const char *mode = strtok_r(NULL, " \n", &save);
    const char *seed = mode == NULL ? NULL : strtok_r(NULL, " \n", &save);
    iohook_lock();
    if (mode != NULL)
        cut.mode = mode_of(mode);
    if (seed != NULL)
        cut.seed = strtoull(seed, NULL, 10);
    cut_now("ctl");
}

static void *wait_for_cut(void *arg)
{
    (void)arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = cut.wake[0], .events = POLLIN},
                              {.fd = cut.ctl, .events = POLLIN}};
        if (poll(p, 2, -1) < 0)
            continue;
        if ((p[0].revents & POLLIN) != 0) {
            iohook_lock();
            cut_now("signal");
        }
        char line[128];
        ssize_t n = (p[1].revents & POLLIN) != 0 ? read(cut.ctl, line, sizeof line - 1) : 0;
        if (n > 0) {
            line[n] = '\0';
            obey(line);
        }
    }
    return NULL;
}

/* A forked child is not the machine whose power is cut: it just dies. */
static void on_signal(int sig)
{
    (void)sig;
    int err = errno;
    if (getpid() != cut.pid)
        kill(getpid(), SIGKILL);
    /* Not by write, which is hooked: the thread that was interrupted may hold the hook's lock. */
    (void)syscall(SYS_write, cut.wake[1], "x", 1);
    errno = err;
}

static void in_child(void)
{
    if (cut.active)
        iohook_watch(NULL);
}

/* ---- start ---- */

static unsigned lie_of(const char *text)
{
    if (text == NULL || *text == '\0' || strcmp(text, "0") == 0)
        return 0;
    if (strcmp(text, "data") == 0)
        return POWERCUT_LIE_DATA;
    if (strcmp(text, "dir") == 0)
        return POWERCUT_LIE_DIR;
    if (strcmp(text, "1") != 0 && strcmp(text, "all") != 0)
        fail("POWERCUT_LIE is data, dir, all or 1", text);
    return POWERCUT_LIE_DATA | POWERCUT_LIE_DIR;
}

static int open_ctl(const char *path)
{
    if (path == NULL)
        return -1;
    if (mkfifo(path, 0600) != 0 && errno != EEXIST)
        fail("cannot make the FIFO", path);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fail("cannot open the FIFO", path);
    return fd;
}

static void read_environment(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t chance = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    cut.seed = number("POWERCUT_SEED", chance ^ (uint64_t)getpid());
    const char *mode = getenv("POWERCUT_MODE");
    cut.mode = mode == NULL || *mode == '\0' ? POWERCUT_DROP : mode_of(mode);
    cut.at = number("POWERCUT_AT", 0);
    uint64_t at_max = number("POWERCUT_AT_MAX", 0);
    uint64_t random = cut.seed;
    if (cut.at == 0 && at_max != 0)
        cut.at = 1 + powercut_random(&random) % at_max;
    cut.report = kept("POWERCUT_REPORT");
    cut.lie = lie_of(getenv("POWERCUT_LIE"));
    undo_set_lie(cut.lie);
    const char *real = getenv("POWERCUT_REAL");
    iohook_sync_cost(real == NULL || strcmp(real, "0") != 0, number("POWERCUT_SYNC_US", 0));
    cut.ctl = open_ctl(getenv("POWERCUT_CTL"));
}

static void start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread, NULL, wait_for_cut, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        fail("cannot start a thread", strerror(err));
    pthread_detach(thread);
}

__attribute__((constructor)) static void start(void)
{
    const char *dir = getenv("POWERCUT_DIR");
    if (dir == NULL || *dir == '\0' || cut.active)
        return;
    cut.active = true;
    cut.pid = getpid();
    read_environment();
    if (pipe2(cut.wake, O_CLOEXEC | O_NONBLOCK) != 0)
        fail("pipe", strerror(errno));
    iohook_watch(dir);
    pthread_atfork(NULL, NULL, in_child);
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    int sig = (int)number("POWERCUT_SIGNAL", (uint64_t)SIGRTMIN + 10);
    if (sigaction(sig, &act, NULL) != 0)
        fail("POWERCUT_SIGNAL", strerror(errno));
    start_thread();
}
