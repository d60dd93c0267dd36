/* SPDX-License-Identifier: Apache-2.0 */
/* A device that stands still: what needs no store goes on, what needs one waits, and nothing is lost. Should the
 * loop wait for the device, none of these tests would end: the alarm does that. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VALUE_BYTES 8000u
#define MOST        100000u /* requests; far more than the tables hold */
#define PATIENCE_S  120u
#define PATIENCE_MS 60000
#define QUIET_MS    1000

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool stands;
    int err; /* of errno; 0: it works */
} device = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);

static int gate(void)
{
    int err;

    (void)pthread_mutex_lock(&device.mutex);
    while (device.stands) {
        (void)pthread_cond_wait(&device.change, &device.mutex);
    }
    err = device.err;
    (void)pthread_mutex_unlock(&device.mutex);
    errno = err != 0 ? err : errno;
    return err != 0 ? -1 : 0;
}

int __wrap_fdatasync(int fd)
{
    return gate() == 0 ? __real_fdatasync(fd) : -1;
}

int __wrap_fsync(int fd)
{
    return gate() == 0 ? __real_fsync(fd) : -1;
}

static void device_set(bool stands, int err)
{
    (void)pthread_mutex_lock(&device.mutex);
    device.stands = stands;
    device.err = err;
    (void)pthread_cond_broadcast(&device.change);
    (void)pthread_mutex_unlock(&device.mutex);
}

static int setup_as(void **state, enum oxbow_sync sync)
{
    struct talk *t = test_calloc(1, sizeof *t);

    (void)alarm(PATIENCE_S);
    device_set(false, 0);
    t->store.sync = sync;
    t->store.interval_ms = 100;
    t->store.memtable_bytes = (uint32_t)1 << 20;
    talk_open(t);
    for (uint32_t n = 0; n < 4; n++) {
        talk_connect(t, n);
    }
    *state = t;
    return 0;
}

static int setup(void **state)
{
    return setup_as(state, OXBOW_SYNC_ALWAYS);
}

static int setup_interval(void **state)
{
    return setup_as(state, OXBOW_SYNC_INTERVAL);
}

static int teardown(void **state)
{
    device_set(false, 0);
    (void)talk_teardown(state);
    (void)alarm(0);
    return 0;
}

static void feed_value(struct talk *t, uint32_t n)
{
    static char request[VALUE_BYTES + 64];
    int len =
        snprintf(request, sizeof request, "*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$%u\r\n", VALUE_BYTES);

    memset(request + len, 'v', VALUE_BYTES);
    memcpy(request + len + VALUE_BYTES, "\r\n", 2);
    talk_feed(t, n, request, (size_t)len + VALUE_BYTES + 2);
}

/* Client 0 adds to a list until it stands for want of room, and stays so: threads that are on their way to the
 * device may make some. How many requests that were, the last included. */
static uint32_t fill(struct talk *t)
{
    struct pollfd told = {.fd = oxbow_durable_fd(t->db), .events = POLLIN};
    uint32_t asked = 0;

    device_set(true, 0);
    do {
        oxbow_durable_clear(t->db);
        oxbow_resp_turn(t->server);
        while (!t->clients[0]->stuck) {
            assert_true(asked < MOST);
            feed_value(t, 0);
            asked++;
            oxbow_resp_turn(t->server);
        }
    } while (poll(&told, 1, QUIET_MS) > 0);
    assert_false(oxbow_resp_client_wants(t->clients[0]));
    return asked;
}

/* Goes on as a loop does: when the store tells. */
static void until_room(struct talk *t)
{
    while (t->server->no_room) {
        struct pollfd told = {.fd = oxbow_durable_fd(t->db), .events = POLLIN};

        assert_int_equal(poll(&told, 1, PATIENCE_MS), 1); /* it does tell */
        oxbow_durable_clear(t->db);
        oxbow_resp_turn(t->server);
    }
}

static const char *asked(struct talk *t, uint32_t n, const char *words)
{
    talk_send(t, n, words);
    oxbow_resp_turn(t->server);
    return talk_heard(t, n);
}

static void what_needs_no_store_goes_on_and_the_rest_comes_later_in_order(void **state)
{
    struct talk *t = *state;
    char want[256];
    uint32_t count;
    uint32_t told = 0;

    assert_reply(t, 1, "MULTI", "+OK\r\n");
    count = fill(t);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(asked(t, 3, "PING"), "+PONG\r\n");
    }
    assert_string_equal(asked(t, 1, "LLEN q"), "+QUEUED\r\n");
    assert_string_equal(asked(t, 1, "nonsense"),
                        "-ERR unknown command 'nonsense', with args beginning with: \r\n");
    assert_string_equal(asked(t, 1, "EXEC"), "");
    assert_string_equal(asked(t, 1, "PING"), ""); /* what comes behind it waits with it */
    talk_feed(t, 2, "LLEN q\r\nPING\r\n", 14);    /* lines wait as they are */
    oxbow_resp_turn(t->server);
    assert_string_equal(talk_heard(t, 2), "");
    assert_true(t->clients[1]->stuck && t->clients[2]->stuck);
    assert_false(oxbow_resp_client_wants(t->clients[2]));
    assert_string_equal(asked(t, 3, "PING"), "+PONG\r\n");
    assert_in_range(oxbow_resp_timeout_ms(t->server), 1, 1000); /* and the loop may sleep */
    device_set(false, 0);
    until_room(t);
    assert_true(oxbow_resp_client_wants(t->clients[0]));
    talk_turn(t);
    (void)snprintf(want, sizeof want, ":%u\r\n+PONG\r\n", count);
    assert_string_equal(
        talk_heard(t, 1),
        "-EXECABORT Transaction discarded because of previous errors.\r\n+PONG\r\n");
    assert_string_equal(talk_heard(t, 2), want);
    for (char *end, *p = (char *)(uintptr_t)talk_heard(t, 0); *p != '\0'; p = end + 2) {
        assert_int_equal(*p, ':');
        assert_int_equal(strtoul(p + 1, &end, 10), ++told);
    }
    assert_int_equal(told, count);
}

static void waits_end_in_their_time_meanwhile(void **state)
{
    struct talk *t = *state;
    const struct timespec nap = {0, 300000000};

    assert_string_equal(asked(t, 3, "BLPOP nothing 0.2"), "");
    (void)fill(t);
    (void)nanosleep(&nap, NULL);
    assert_int_equal(oxbow_resp_timeout_ms(t->server), 0);
    oxbow_resp_turn(t->server);
    device_set(false, 0);
    until_room(t);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 3), "*-1\r\n");
}

static void
who_ends_meanwhile_has_its_commands_carried_out_and_who_breaks_off_is_forgotten(void **state)
{
    struct talk *t = *state;
    uint32_t count = fill(t);
    char want[64];

    assert_string_equal(asked(t, 1, "SET ended 1"), "");
    oxbow_resp_client_ended(t->clients[1]);
    assert_string_equal(asked(t, 2, "SET broken 1"), "");
    talk_hang_up(t, 2);
    oxbow_resp_turn(t->server);
    device_set(false, 0);
    until_room(t);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "+OK\r\n");
    assert_reply(t, 3, "MGET ended broken", "*2\r\n$1\r\n1\r\n$-1\r\n");
    (void)snprintf(want, sizeof want, ":%u\r\n", count);
    assert_reply(t, 3, "LLEN q", want);
}

static void an_interval_that_is_late_is_waited_for_likewise(void **state)
{
    struct talk *t = *state;
    const struct timespec nap = {0, 20000000};
    uint32_t count = 0;

    device_set(true, 0);
    while (!t->clients[0]->stuck) {
        assert_true(count < MOST);
        talk_send(t, 0, "INCR n");
        count++;
        oxbow_resp_turn(t->server);
        (void)nanosleep(&nap, NULL);
    }
    assert_string_equal(asked(t, 3, "PING"), "+PONG\r\n");
    device_set(false, 0);
    until_room(t);
    talk_turn(t);
    assert_int_equal(strtoul(talk(t, 2, "INCRBY n 0") + 1, NULL, 10), count);
}

static void a_device_that_fails_meanwhile_is_told(void **state)
{
    struct talk *t = *state;

    (void)fill(t);
    assert_string_equal(asked(t, 3, "SET a 1"), "");
    device_set(false, EIO);
    until_room(t);
    while (!t->clients[3]->killed && oxbow_resp_client_peek(t->clients[3]).len == 0) {
        struct pollfd told = {.fd = oxbow_durable_fd(t->db), .events = POLLIN};

        assert_int_equal(poll(&told, 1, PATIENCE_MS), 1);
        oxbow_durable_clear(t->db);
        oxbow_resp_turn(t->server);
    }
    if (t->clients[3]->killed) { /* it was carried out, and nobody knows whether it is there */
        assert_string_equal(talk_heard(t, 3), "");
    } else {
        assert_non_null(strstr(talk_heard(t, 3), "MISCONF"));
    }
    talk_connect(t, 4);
    assert_non_null(strstr(asked(t, 4, "SET a 2"), "MISCONF"));
    assert_string_equal(asked(t, 4, "PING"), "+PONG\r\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_needs_no_store_goes_on_and_the_rest_comes_later_in_order),
        T(waits_end_in_their_time_meanwhile),
        T(who_ends_meanwhile_has_its_commands_carried_out_and_who_breaks_off_is_forgotten),
        cmocka_unit_test_setup_teardown(an_interval_that_is_late_is_waited_for_likewise,
                                        setup_interval, teardown),
        T(a_device_that_fails_meanwhile_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
