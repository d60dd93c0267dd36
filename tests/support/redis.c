/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts and stops a real redis-server, and speaks to it over its unix socket, blocking.
 *
 * 1. The server is ours: its socket lies in a directory that only this program knows, and INFO's
 *    process_id must be the child's. A port that another program took between probe and start ends
 *    the child; then it is tried again with other ports.
 * 2. The child is killed when its parent ends, however it ends.
 */
#include "tests/support/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX  32
#define REPLY_MAX (4u << 20)
#define STARTS    5    /* with other ports each time */
#define WAITS     2000 /* times 10 ms until it answers */

struct redis {
    struct redis_config config;
    char dir[64];
    char socket[96];
    char conf[96];
    char *password;
    uint16_t port;
    uint16_t tls_port;
    pid_t pid;
    int fd; /* to the unix socket, or -1 */
    char *raw;
    size_t raw_len;
    size_t raw_pos;
    char *text;
    size_t text_len;
};

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "tests/support/redis: %s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

static void *must_alloc(size_t len)
{
    void *p = calloc(1, len);

    if (p == NULL) {
        die("memory", "out of it");
    }
    return p;
}

static void pause_ms(long ms)
{
    struct timespec ts = {ms / 1000, (ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

static void remove_tree(const char *dir)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(127);
    }
    if (pid > 0) {
        waitpid(pid, &status, 0);
    }
}

static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
        die("free port", strerror(errno));
    }
    close(fd);
    return ntohs(sa.sin_port);
}

/* ---- configuration ---- */

static void write_config(struct redis *r)
{
    const struct redis_config *c = &r->config;
    FILE *f = fopen(r->conf, "w");

    if (f == NULL) {
        die(r->conf, strerror(errno));
    }
    fprintf(f, "bind 127.0.0.1\nport %u\nunixsocket %s\ndir %s\nlogfile %s/redis.log\n", r->port,
            r->socket, r->dir, r->dir);
    fprintf(f, "daemonize no\nsave \"\"\nenable-debug-command yes\n");
    fprintf(f, c->aof ? "appendonly yes\nappendfsync always\n" : "appendonly no\n");
    if (c->certs != NULL) {
        const char *cert = c->cert != NULL ? c->cert : "server";
        fprintf(f, "tls-port %u\ntls-cert-file %s/%s.crt\ntls-key-file %s/%s.key\n", r->tls_port,
                c->certs, cert, c->certs, cert);
        fprintf(f, "tls-ca-cert-file %s/ca.crt\ntls-auth-clients %s\n", c->certs,
                c->client_optional ? "optional" : "yes");
    }
    if (c->password != NULL && c->users == NULL) {
        fprintf(f, "requirepass %s\n", c->password);
    }
    if (c->users != NULL) {
        fprintf(f, "aclfile %s/users.acl\n", r->dir);
    }
    if (c->extra != NULL) {
        fprintf(f, "%s\n", c->extra);
    }
    fclose(f);
}

static void write_users(struct redis *r)
{
    char path[96];
    FILE *f;

    snprintf(path, sizeof path, "%s/users.acl", r->dir);
    f = fopen(path, "w");
    if (f == NULL) {
        die(path, strerror(errno));
    }
    fprintf(f, "user default on %s%s ~* &* +@all\n%s", r->password != NULL ? ">" : "nopass",
            r->password != NULL ? r->password : "", r->config.users);
    fclose(f);
}

static void print_log(const struct redis *r)
{
    char line[512];
    char path[96];
    FILE *f;

    snprintf(path, sizeof path, "%s/redis.log", r->dir);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        fputs(line, stderr);
    }
    if (f != NULL) {
        fclose(f);
    }
}

/* ---- the administrator's connection ---- */

static void hang_up(struct redis *r)
{
    if (r->fd >= 0) {
        close(r->fd);
    }
    r->fd = -1;
    r->raw_len = r->raw_pos = 0;
}

static bool dial(struct redis *r)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", r->socket);
    r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (r->fd >= 0 && connect(r->fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
        return true;
    }
    hang_up(r);
    return false;
}

/* Reads more of the reply; false when the connection is gone. */
static bool fill(struct redis *r)
{
    ssize_t n;

    if (r->raw_len == REPLY_MAX) {
        die("reply", "longer than a test should want");
    }
    n = read(r->fd, r->raw + r->raw_len, REPLY_MAX - r->raw_len);
    if (n <= 0) {
        return false;
    }
    r->raw_len += (size_t)n;
    return true;
}

/* The next line of the reply without its end, or NULL. */
static const char *reply_line(struct redis *r, size_t *len)
{
    for (;;) {
        const char *from = r->raw + r->raw_pos;
        const char *end = memchr(from, '\n', r->raw_len - r->raw_pos);

        if (end != NULL) {
            *len = (size_t)(end - from) - 1;
            r->raw_pos += *len + 2;
            return from;
        }
        if (!fill(r)) {
            return NULL;
        }
    }
}

static void text_add(struct redis *r, const char *data, size_t len)
{
    if (r->text_len + len + 2 > REPLY_MAX) {
        die("reply", "longer than a test should want");
    }
    memcpy(r->text + r->text_len, data, len);
    r->text_len += len;
    r->text[r->text_len++] = '\n';
}

/* One element: adds its text, and says how many more elements it announces. */
static bool reply_element(struct redis *r, long *more)
{
    size_t len;
    const char *line = reply_line(r, &len);
    long n;

    if (line == NULL) {
        return false;
    }
    *more = 0;
    switch (line[0]) {
    case '-':
        text_add(r, line, len);
        return true;
    case '*':
        n = strtol(line + 1, NULL, 10);
        if (n < 0) {
            text_add(r, "(nil)", 5);
        } else {
            *more = n;
        }
        return true;
    case '$':
        n = strtol(line + 1, NULL, 10);
        if (n < 0) {
            text_add(r, "(nil)", 5);
            return true;
        }
        while (r->raw_len - r->raw_pos < (size_t)n + 2) {
            if (!fill(r)) {
                return false;
            }
        }
        text_add(r, r->raw + r->raw_pos, (size_t)n);
        r->raw_pos += (size_t)n + 2;
        return true;
    default:
        text_add(r, line + 1, len - 1);
        return true;
    }
}

static bool reply_read(struct redis *r)
{
    long left = 1;
    long more;

    r->raw_len = r->raw_pos = r->text_len = 0;
    while (left > 0) {
        if (!reply_element(r, &more)) {
            return false;
        }
        left += more - 1;
    }
    if (r->text_len > 0) {
        r->text_len--;
    }
    r->text[r->text_len] = '\0';
    return true;
}

static bool send_args(struct redis *r, const char *const *argv, size_t argc)
{
    char head[64];
    int n = snprintf(head, sizeof head, "*%zu\r\n", argc);
    size_t i;

    if (send(r->fd, head, (size_t)n, MSG_NOSIGNAL) != n) {
        return false;
    }
    for (i = 0; i < argc; i++) {
        size_t len = strlen(argv[i]);
        n = snprintf(head, sizeof head, "$%zu\r\n", len);
        if (send(r->fd, head, (size_t)n, MSG_NOSIGNAL | MSG_MORE) != n ||
            send(r->fd, argv[i], len, MSG_NOSIGNAL | MSG_MORE) != (ssize_t)len ||
            send(r->fd, "\r\n", 2, MSG_NOSIGNAL) != 2) {
            return false;
        }
    }
    return true;
}

/* Runs the command; on a connection that has died meanwhile, once more on a new one. */
static bool run(struct redis *r, const char *const *argv, size_t argc)
{
    const char *auth[] = {"AUTH", r->password};
    int tries;

    for (tries = 0; tries < 2; tries++) {
        if (r->fd < 0) {
            if (!dial(r)) {
                return false;
            }
            if (r->password != NULL && !(send_args(r, auth, 2) && reply_read(r))) {
                hang_up(r);
                continue;
            }
        }
        if (send_args(r, argv, argc) && reply_read(r)) {
            return true;
        }
        hang_up(r);
    }
    return false;
}

const char *redis_command_array(struct redis *r, const char *const *argv, size_t argc)
{
    if (!run(r, argv, argc)) {
        print_log(r);
        die(argv[0], "the server does not answer");
    }
    return r->text;
}

static const char *run_list(struct redis *r, va_list ap)
{
    const char *argv[ARGS_MAX];
    size_t argc = 0;
    const char *arg;

    while ((arg = va_arg(ap, const char *)) != NULL) {
        if (argc == ARGS_MAX) {
            die("command", "too many arguments");
        }
        argv[argc++] = arg;
    }
    return redis_command_array(r, argv, argc);
}

const char *redis_command(struct redis *r, ...)
{
    va_list ap;
    const char *text;

    va_start(ap, r);
    text = run_list(r, ap);
    va_end(ap);
    return text;
}

int64_t redis_integer(struct redis *r, ...)
{
    va_list ap;
    const char *text;
    char *end;
    long long value;

    va_start(ap, r);
    text = run_list(r, ap);
    va_end(ap);
    value = strtoll(text, &end, 10);
    return end != text && *end == '\0' ? value : INT64_MIN;
}

const char *redis_info(struct redis *r, const char *field)
{
    const char *argv[] = {"INFO", "everything"};
    size_t len = strlen(field);
    char *line;

    if (!run(r, argv, 2)) {
        die("INFO", "the server does not answer");
    }
    for (line = r->text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\r');
        if (strncmp(line, field, len) == 0 && line[len] == ':') {
            if (end != NULL) {
                *end = '\0';
            }
            return line + len + 1;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return "";
}

/* ---- the process ---- */

static void spawn(struct redis *r)
{
    pid_t parent = getpid();

    r->pid = fork();
    if (r->pid < 0) {
        die("fork", strerror(errno));
    }
    if (r->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        dup2(null, 0);
        dup2(null, 1);
        execlp("redis-server", "redis-server", r->conf, (char *)NULL);
        _exit(127);
    }
}

/* Waits until the child answers as itself; false if it ended. */
static bool await_ready(struct redis *r)
{
    const char *ping[] = {"PING"};
    int status;
    int i;

    for (i = 0; i < WAITS; i++) {
        if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
            r->pid = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
                die("redis-server", "not installed");
            }
            return false;
        }
        if (run(r, ping, 1) && strcmp(r->text, "PONG") == 0) {
            if (strtol(redis_info(r, "process_id"), NULL, 10) != (long)r->pid) {
                die("redis-server", "another process answers");
            }
            return true;
        }
        pause_ms(10);
    }
    return false;
}

void redis_start(struct redis *r)
{
    spawn(r);
    if (!await_ready(r)) {
        print_log(r);
        die("redis-server", "did not start again");
    }
}

void redis_kill(struct redis *r)
{
    int status;

    hang_up(r);
    if (r->pid > 0) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, &status, 0);
    }
    r->pid = 0;
}

static char *temp_dir(char *out, size_t len)
{
    const char *base = getenv("TMPDIR");

    snprintf(out, len, "%s/oxbow-test-XXXXXX", base != NULL && strlen(base) < 32 ? base : "/tmp");
    if (mkdtemp(out) == NULL) {
        die(out, strerror(errno));
    }
    return out;
}

struct redis *redis_open(const struct redis_config *config)
{
    struct redis *r = must_alloc(sizeof *r);
    int i;

    r->config = *config;
    r->fd = -1;
    r->raw = must_alloc(REPLY_MAX);
    r->text = must_alloc(REPLY_MAX);
    r->password = config->password != NULL ? strdup(config->password) : NULL;
    temp_dir(r->dir, sizeof r->dir);
    snprintf(r->socket, sizeof r->socket, "%s/s", r->dir);
    snprintf(r->conf, sizeof r->conf, "%s/redis.conf", r->dir);
    if (config->users != NULL) {
        write_users(r);
    }
    for (i = 0; i < STARTS; i++) {
        r->port = free_port();
        r->tls_port = config->certs != NULL ? free_port() : 0;
        write_config(r);
        spawn(r);
        if (await_ready(r)) {
            return r;
        }
    }
    print_log(r);
    die("redis-server", "does not start");
    return NULL;
}

void redis_close(struct redis *r)
{
    if (r == NULL) {
        return;
    }
    redis_kill(r);
    remove_tree(r->dir);
    free(r->password);
    free(r->raw);
    free(r->text);
    free(r);
}

uint16_t redis_port(const struct redis *r)
{
    return r->port;
}

uint16_t redis_tls_port(const struct redis *r)
{
    return r->tls_port;
}

const char *redis_socket(const struct redis *r)
{
    return r->socket;
}

const char *redis_dir(const struct redis *r)
{
    return r->dir;
}

pid_t redis_pid(const struct redis *r)
{
    return r->pid;
}

/* ---- certificates ---- */

char *certs_make(void)
{
    char *dir = must_alloc(64);
    int status = -1;
    pid_t pid;

    temp_dir(dir, 64);
    pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", OXBOW_CERTS_SCRIPT, dir, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        die("certs.sh", "failed; is openssl installed?");
    }
    return dir;
}

void certs_remove(char *dir)
{
    if (dir != NULL) {
        remove_tree(dir);
        free(dir);
    }
}

const char *certs_file(const char *dir, const char *name)
{
    static char paths[64][160];
    static unsigned next;
    char *path = paths[next++ % 64];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}
