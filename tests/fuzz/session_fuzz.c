/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole sessions of peers that may be hostile, over a real store: requests cut anywhere, of several
 * connections in turn, with hang-ups and a clock that jumps in between. The first byte chooses how
 * the server is set up; the rest is bytes for connection 0, and a zero byte with the one after it
 * does something else (enum stage_way).
 *
 * Whatever comes, all that a connection is given is well-formed RESP, the server comes to rest, the
 * store's files are sound afterwards, and another server over it answers and can be emptied. What
 * one connection alone has sent is sent to a second server over a second store, with a turn after
 * each byte: commands that shared a transaction and commands that had one each must answer alike.
 */
#include "engine/resp/server.h"
#include "oxbow/check.h"
#include "oxbow/lua.h"
#include "oxbow/resp.h"
#include "tests/store/scratch.h"

#include <ctype.h>
#include <poll.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONNECTIONS 4u
#define HEARD_MAX   (1u << 20) /* what is looked at of a connection's replies */
#define INPUT_MAX   8192u
#define DEPTH_MAX   64u
#define TURNS_MAX   10000u /* to come to rest */

/* After a zero byte. */
enum stage_way {
    STAGE_TURN,
    STAGE_OTHER, /* what follows is the next connection's */
    STAGE_HANG_UP,
    STAGE_END,  /* the peer has sent its last byte */
    STAGE_DEAF, /* it reads nothing more, or reads again */
    STAGE_SOON, /* the clock goes on by a second */
    STAGE_LATE, /* by a day */
    STAGE_BACK, /* the wall clock goes back by an hour */
    STAGE_WAYS  /* from here on: the two bytes as they are */
};

/* First byte. */
#define SET_PASSWORD 0x01u
#define SET_ONE      0x02u /* connection 0 alone, and the same again, byte by byte */
#define SET_CHECK    0x04u /* the files are walked at the end */
#define SET_SMALL    0x08u /* little room for everything */
#define SET_MEMORY                                                                                 \
    0x10u /* databases 0 and 3 are kept in memory, with little room but where it is compared */

#define MEMORY_ROOM (64u << 10)

struct heard {
    uint8_t *bytes;
    size_t len;
    size_t seen; /* so far it is well-formed */
    bool cut;    /* there was more */
};

struct stage {
    char dir[SCRATCH_MAX];
    struct oxbow_port port;
    uint64_t wall_ms;
    uint64_t mono_us;
    uint64_t seed;
    bool twice; /* who was closed stays away */
    struct oxbow *db;
    struct oxbow_resp *server;
    struct oxbow_resp_client *clients[CONNECTIONS];
    bool deaf[CONNECTIONS];
    struct heard heard[CONNECTIONS];
};

static struct stage stages[2];

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* ---- a port whose clock and chances are the input's ---- */

static uint64_t wall_ms(void *ctx)
{
    return ((struct stage *)ctx)->wall_ms;
}

static uint64_t mono_us(void *ctx)
{
    struct stage *g = ctx;

    /* Scripts end by it. The store's threads read it too. */
    return __atomic_add_fetch(&g->mono_us, 1, __ATOMIC_RELAXED);
}

static bool wall_is_set(void *ctx)
{
    (void)ctx;
    return true;
}

static enum oxbow_err fill(void *ctx, void *out, size_t len)
{
    struct stage *g = ctx;

    for (size_t i = 0; i < len; i++) {
        uint64_t n = __atomic_add_fetch(&g->seed, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);

        ((uint8_t *)out)[i] = (uint8_t)((n ^ n >> 29) * 0xbf58476d1ce4e5b9u >> 56);
    }
    return OXBOW_OK;
}

static void line(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    must(text[0] != '\0' && strchr(text, '\n') == NULL);
}

/* ---- replies ---- */

/* Where the line that begins at `at` ends, behind its CRLF; 0: it does not. */
static size_t line_end(const struct heard *h, size_t at)
{
    for (size_t i = at; i < h->len; i++) {
        if (h->bytes[i] == '\n') {
            must(i > at && h->bytes[i - 1] == '\r');
            return i + 1;
        }
        must(h->bytes[i] != '\r' || i + 1 == h->len || h->bytes[i + 1] == '\n');
    }
    return 0;
}

/* What the line says after its first byte; -1 for a null. */
static int64_t line_number(const struct heard *h, size_t at)
{
    int64_t n = 0;

    if (h->bytes[at] == '-') {
        must(h->bytes[at + 1] == '1' && h->bytes[at + 2] == '\r');
        return -1;
    }
    must(isdigit(h->bytes[at]));
    for (; h->bytes[at] != '\r'; at++) {
        must(isdigit(h->bytes[at]) && n < INT64_MAX / 16);
        n = n * 10 + (h->bytes[at] - '0');
    }
    return n;
}

/* How many values are behind a head of that kind with that number; 0 also for those with none. */
static uint64_t values_behind(uint8_t kind, int64_t n)
{
    if (n <= 0 || strchr("*~>%", kind) == NULL) {
        return 0;
    }
    return kind == '%' ? 2 * (uint64_t)n : (uint64_t)n;
}

/* Where the value that begins at `at` ends; 0: there is more to come. */
static size_t value_end(const struct heard *h, size_t at)
{
    uint64_t left[DEPTH_MAX] = {1}; /* values to come, at each depth */
    uint32_t depth = 0;

    for (;;) {
        size_t end = at < h->len ? line_end(h, at) : 0;
        uint8_t kind;
        int64_t n;

        if (end == 0) {
            return 0;
        }
        kind = h->bytes[at];
        must(kind != 0 && strchr("+-:$*_,#(!=~>%", kind) != NULL);
        left[depth]--;
        n = strchr("$*!=~>%", kind) != NULL ? line_number(h, at + 1) : 0;
        at = end;
        if (strchr("$!=", kind) != NULL && n >= 0) {
            if (h->len - at < (uint64_t)n + 2) {
                return 0;
            }
            at += (size_t)n;
            must(h->bytes[at] == '\r' && h->bytes[at + 1] == '\n');
            at += 2;
        }
        if (values_behind(kind, n) > 0) {
            must(++depth < DEPTH_MAX);
            left[depth] = values_behind(kind, n);
        }
        while (left[depth] == 0) {
            if (depth-- == 0) {
                return at;
            }
        }
    }
}

/* `whole`: nothing may be missing at the end. */
static void expect_resp(struct heard *h, bool whole)
{
    size_t end;

    while (h->seen < h->len && (end = value_end(h, h->seen)) != 0) {
        h->seen = end;
    }
    must(!whole || h->cut || h->seen == h->len);
}

/* ---- a stage ---- */

static void take(struct stage *g, uint32_t n)
{
    struct heard *h = &g->heard[n];
    struct oxbow_bytes part;

    while (g->clients[n] != NULL && !g->deaf[n] &&
           (part = oxbow_resp_client_peek(g->clients[n])).len > 0) {
        size_t room = HEARD_MAX - h->len;

        h->cut = h->cut || part.len > room;
        memcpy(h->bytes + h->len, part.data, part.len < room ? part.len : room);
        h->len += part.len < room ? part.len : room;
        oxbow_resp_client_sent(g->clients[n], part.len);
    }
}

static void hang_up(struct stage *g, uint32_t n)
{
    if (g->clients[n] != NULL) {
        take(g, n);
        expect_resp(&g->heard[n], false);
        oxbow_resp_client_close(g->clients[n]);
        g->clients[n] = NULL;
    }
    g->deaf[n] = false;
}

static void connect_to(struct stage *g, uint32_t n)
{
    const struct oxbow_resp_peer peer = {
        .addr = "fuzz:1", .laddr = "fuzz:2", .fd = -1, .local = true};
    enum oxbow_err err;

    must(g->clients[n] == NULL);
    g->heard[n].len = 0;
    g->heard[n].seen = 0;
    g->heard[n].cut = false;
    err = oxbow_resp_client_open(g->server, &peer, NULL, &g->clients[n]);
    must(err == OXBOW_OK || err == OXBOW_EBUSY); /* CONFIG SET maxclients */
}

static void connect_again(struct stage *g, uint32_t n)
{
    hang_up(g, n);
    if (!g->twice) {
        connect_to(g, n);
    }
}

/* Turns until nothing is left to do, and closes who is to be closed. Then each has whole replies. */
static void rest(struct stage *g)
{
    uint32_t turns = 0;

    for (int quiet = 0; quiet < 2; quiet++) {
        struct pollfd wait = {.fd = oxbow_resp_fd(g->server), .events = POLLIN};

        oxbow_resp_turn(g->server);
        must(oxbow_flush(g->db) == OXBOW_OK);
        oxbow_resp_turn(g->server);
        for (uint32_t n = 0; n < CONNECTIONS; n++) {
            take(g, n);
            if (g->clients[n] != NULL && oxbow_resp_client_done(g->clients[n])) {
                connect_again(g, n);
            }
        }
        if (g->server->no_room) { /* a checkpoint is under way */
            struct pollfd room = {.fd = oxbow_durable_fd(g->db), .events = POLLIN};

            (void)poll(&room, 1, 10);
            oxbow_durable_clear(g->db);
        }
        if (g->server->no_room || oxbow_resp_timeout_ms(g->server) == 0 || poll(&wait, 1, 0) > 0) {
            quiet = -1;
        }
        must(++turns < TURNS_MAX);
    }
    for (uint32_t n = 0; n < CONNECTIONS; n++) {
        expect_resp(&g->heard[n], g->clients[n] != NULL && !g->deaf[n]);
    }
}

static void feed(struct stage *g, uint32_t n, const uint8_t *bytes, size_t len)
{
    while (len > 0 && g->clients[n] != NULL) {
        uint8_t *room;
        size_t part;
        enum oxbow_err err;

        if (!oxbow_resp_client_wants(g->clients[n])) {
            rest(g);
            if (g->clients[n] == NULL || !oxbow_resp_client_wants(g->clients[n])) {
                return; /* it is deaf, or is told nothing more */
            }
        }
        err = oxbow_resp_client_room(g->clients[n], len, &room, &part);
        if (err != OXBOW_OK) {
            must(err == OXBOW_ETOOBIG);
            connect_again(g, n);
            return;
        }
        must(part > 0);
        part = part < len ? part : len;
        memcpy(room, bytes, part);
        oxbow_resp_client_fed(g->clients[n], part);
        bytes += part;
        len -= part;
    }
}

static void shut_down(void *ctx)
{
    (void)ctx; /* the program goes on */
}

static void serve(struct stage *g, uint8_t set)
{
    struct oxbow_resp_config config = {.db = g->db,
                                       .bulk_bytes_max = (set & SET_SMALL) != 0 ? 1000 : 65536,
                                       .query_bytes_max = 1 << 20,
                                       .reply_bytes_max = (set & SET_SMALL) != 0 ? 65536 : 4 << 20,
                                       .scripting = oxbow_lua(),
                                       .script_ms_max = 5,
                                       .script_bytes_max = 4 << 20,
                                       .shutdown = shut_down};

    config.password = (set & SET_PASSWORD) != 0 ? "pw" : NULL;
    must(oxbow_resp_open(&config, &g->server) == OXBOW_OK);
}

static void stage_open(struct stage *g, uint8_t set, bool twice)
{
    const struct oxbow_port *port = oxbow_port_default();
    struct oxbow_config config = {.dir = g->dir,
                                  .port = &g->port,
                                  .quota_bytes = (set & SET_SMALL) != 0 ? 1 << 20 : 16 << 20,
                                  .txn_bytes = 2 << 20,
                                  .entry_bytes = 1 << 20,
                                  .journal_segments = 2,
                                  .journal_bytes = 64 << 10};

    if ((set & SET_MEMORY) != 0) {
        config.cache_databases = 1u << 0 | 1u << 3;
        config.cache.bytes = (set & SET_ONE) != 0 ? 0 : MEMORY_ROOM; /* who goes is chance */
        config.cache.evict = OXBOW_EVICT_ALLKEYS_LRU;
    }
    g->port = *port;
    g->port.clock = (struct oxbow_clock){g, wall_ms, mono_us, wall_is_set};
    g->port.random = (struct oxbow_random){g, fill};
    g->port.log = (struct oxbow_log){NULL, line};
    g->wall_ms = 1795000000000u;
    g->mono_us = 1000000000;
    g->seed = 1;
    g->twice = twice;
    scratch_remove(g->dir);
    must(oxbow_open(&config, &g->db) == OXBOW_OK);
    serve(g, set);
    for (uint32_t n = 0; n < CONNECTIONS; n++) {
        connect_to(g, n);
    }
}

static void servers_end(struct stage *g)
{
    for (uint32_t n = 0; n < CONNECTIONS; n++) {
        hang_up(g, n);
    }
    oxbow_resp_close(g->server);
}

/* What was left behind does not keep another server from its work. */
static void expect_served(struct stage *g)
{
    static const char flush[] = "FLUSHALL\r\nDBSIZE\r\nPING\r\n";

    g->twice = true;
    serve(g, 0);
    connect_to(g, 0);
    feed(g, 0, (const uint8_t *)flush, sizeof flush - 1);
    rest(g);
    must(g->heard[0].len == 16 && memcmp(g->heard[0].bytes, "+OK\r\n:0\r\n+PONG\r\n", 16) == 0);
    servers_end(g);
}

static void stage_close(struct stage *g, uint8_t set)
{
    rest(g);
    for (uint32_t n = 0; n < CONNECTIONS; n++) {
        g->deaf[n] = false;
    }
    rest(g);
    servers_end(g);
    if ((set & SET_CHECK) == 0) {
        expect_served(g);
    }
    must(oxbow_close(g->db) == OXBOW_OK);
    if ((set & SET_CHECK) != 0) {
        struct oxbow_check_report report;

        must(oxbow_check(g->dir, NULL, &report) == OXBOW_OK);
        must(report.damage == 0 && report.values_bad == 0 && report.lost_pages == 0);
    }
}

static void stage_way(struct stage *g, uint32_t *n, uint8_t way)
{
    switch (way) {
    case STAGE_TURN:
        rest(g);
        break;
    case STAGE_OTHER:
        *n = (*n + 1) % CONNECTIONS;
        break;
    case STAGE_HANG_UP:
        connect_again(g, *n);
        break;
    case STAGE_END:
        if (g->clients[*n] != NULL) {
            oxbow_resp_client_ended(g->clients[*n]);
        }
        rest(g);
        connect_again(g, *n);
        break;
    case STAGE_DEAF:
        g->deaf[*n] = !g->deaf[*n];
        break;
    case STAGE_SOON:
    case STAGE_LATE:
        g->wall_ms += way == STAGE_SOON ? 1000 : 86400000;
        (void)__atomic_add_fetch(&g->mono_us, way == STAGE_SOON ? 1000000 : 86400000000u,
                                 __ATOMIC_RELAXED);
        rest(g);
        break;
    case STAGE_BACK:
        g->wall_ms -= 3600000;
        rest(g);
        break;
    default:
        break;
    }
}

/* The input on a stage of its own. */
static void play(struct stage *g, const uint8_t *data, size_t size, uint8_t set)
{
    uint32_t n = 0;

    stage_open(g, set, false);
    for (size_t at = 0; at < size;) {
        const uint8_t *zero = memchr(data + at, 0, size - at);
        size_t upto = zero == NULL ? size : (size_t)(zero - data);

        feed(g, n, data + at, upto - at);
        at = upto;
        if (at + 1 < size && data[at + 1] < STAGE_WAYS) {
            stage_way(g, &n, data[at + 1]);
            at += 2;
        } else if (at < size) {
            feed(g, n, data + at, 1);
            at++;
        }
    }
    stage_close(g, set);
}

/* Whether the answers hang on more than what was sent: on the time that passed, on how transactions
 * were shared, or on chance. */
static bool varies(const uint8_t *data, size_t size)
{
    static const char *const words[] = {
        "eval",  "acl",    "xinfo",  "block",   "blpop",   "blm",     "brpop",   "bz",
        "wait",  "script", "fcall",  "info",    "rand",    "spop",    "client",  "memory",
        "debug", "object", "oxbow",  "slowlog", "latency", "time",    "xpend",   "ttl",
        "px",    "pex",    "psetex", "idle",    "claim",   "monitor", "lastsave"};

    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        size_t len = strlen(words[w]);

        for (size_t at = 0; at + len <= size; at++) {
            if (strncasecmp((const char *)data + at, words[w], len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void play_twice(const uint8_t *data, size_t size, uint8_t set)
{
    const struct heard *a = &stages[0].heard[0];
    const struct heard *b = &stages[1].heard[0];

    for (uint32_t i = 0; i < 2; i++) {
        stage_open(&stages[i], set, true);
        feed(&stages[i], 0, data, i == 0 ? size : 0);
        for (size_t at = 0; i == 1 && at < size; at++) {
            feed(&stages[i], 0, data + at, 1);
            rest(&stages[i]);
        }
        rest(&stages[i]);
    }
    must(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0);
    stage_close(&stages[0], set);
    stage_close(&stages[1], set);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (access("/dev/shm", W_OK) == 0) { /* no device is worn by it, and none is waited for */
        must(setenv("TMPDIR", "/dev/shm", 1) == 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        char what[32];

        (void)snprintf(what, sizeof what, "session-fuzz-%u", i);
        scratch_name(stages[i].dir, what);
        for (uint32_t n = 0; n < CONNECTIONS; n++) {
            stages[i].heard[n].bytes = malloc(HEARD_MAX);
            must(stages[i].heard[n].bytes != NULL);
        }
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX) {
        return 0;
    }
    if ((data[0] & SET_ONE) != 0 && !varies(data + 1, size - 1)) {
        play_twice(data + 1, size - 1, data[0] & ~SET_SMALL);
    } else {
        play(&stages[0], data + 1, size - 1, data[0]);
    }
    scratch_remove(stages[0].dir);
    scratch_remove(stages[1].dir);
    return 0;
}
