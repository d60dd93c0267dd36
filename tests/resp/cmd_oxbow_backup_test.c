/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW BACKUP: what it hands out is a backup, whoever leaves it or reads nothing takes nothing with
 * them, and the server goes on meanwhile. */
#include "oxbow/backup.h"
#include "tests/resp/talk.h"

#include <stdlib.h>
#include <unistd.h>

#define TRIES 30000 /* of a millisecond */

struct answer {
    char state[16];
    uint64_t lsn, done, records;
    const char *piece;
    size_t len;
};

/* The number behind the sign, and past its line. */
static long long number(const char **p, char sign)
{
    char *end;
    long long n;

    assert_int_equal(**p, sign);
    n = strtoll(*p + 1, &end, 10);
    assert_memory_equal(end, "\r\n", 2);
    *p = end + 2;
    return n;
}

/* Takes an answer of READ apart. */
static struct answer answer_of(const char *text)
{
    struct answer a = {.len = 0};
    const char *p = text;
    long long n;

    assert_int_equal(number(&p, '*'), 5);
    n = number(&p, '$');
    assert_true(n < (long long)sizeof a.state);
    memcpy(a.state, p, (size_t)n);
    p += n + 2;
    a.lsn = (uint64_t)number(&p, ':');
    a.done = (uint64_t)number(&p, ':');
    a.records = (uint64_t)number(&p, ':');
    a.len = (size_t)number(&p, '$');
    a.piece = p;
    return a;
}

/* Asks until there is something; an error is left in t->text. */
static struct answer next(struct talk *t, uint32_t n)
{
    struct answer a;
    int tries = 0;

    do {
        const char *said = talk(t, n, "OXBOW BACKUP READ");

        if (said[0] == '-') {
            return (struct answer){.state = "error"};
        }
        a = answer_of(said);
        assert_true(tries++ < TRIES);
        usleep(1000);
    } while (strcmp(a.state, "wait") == 0);
    return a;
}

/* Until the connection's READ is refused: the thread has come to its end. */
static void until_begun(struct talk *t, uint32_t n)
{
    for (int tries = 0; strcmp(talk(t, n, "OXBOW BACKUP BEGIN"), "+OK\r\n") != 0; tries++) {
        assert_string_equal(t->text, "+WAIT\r\n");
        assert_true(tries < TRIES);
        usleep(1000);
    }
}

static void write_all(FILE *f, struct answer a)
{
    assert_int_equal(fwrite(a.piece, 1, a.len, f), a.len);
}

static void what_is_handed_out_is_a_backup(void **state)
{
    struct talk *t = *state;
    struct oxbow_backup_info info;
    char path[300];
    struct answer a;
    uint64_t lsn;
    FILE *f;

    snprintf(path, sizeof path, "%s.bak", t->dir);
    assert_reply(t, 0, "RPUSH q a b c", ":3\r\n");
    assert_reply(t, 0, "SET k v", "+OK\r\n");
    assert_reply(t, 0, "OXBOW BACKUP BEGIN", "+OK\r\n");
    assert_reply(t, 0, "PING", "+PONG\r\n");
    f = fopen(path, "wb");
    assert_non_null(f);
    a = next(t, 0);
    assert_string_equal(a.state, "ready");
    assert_true(a.records > 2 && a.done == a.records && a.lsn > 0);
    lsn = a.lsn;
    write_all(f, a);
    assert_string_equal(next(t, 0).state, "end");
    assert_int_equal(fclose(f), 0);
    assert_int_equal(oxbow_backup_check(path, NULL, &info), OXBOW_OK);
    assert_int_equal(info.lsn, lsn);
    assert_int_equal(unlink(path), 0);
    assert_reply(t, 0, "OXBOW BACKUP READ",
                 "-ERR no backup of this connection's is under way: BACKUP BEGIN\r\n");
    until_begun(t, 0); /* and once more */
    assert_string_equal(next(t, 0).state, "ready");
    assert_reply(t, 0, "OXBOW BACKUP END", "+OK\r\n");
    assert_string_equal(next(t, 0).state, "error");
}

static void it_belongs_to_the_connection_that_began_it(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "OXBOW BACKUP BEGIN", "+OK\r\n");
    assert_reply(t, 1, "OXBOW BACKUP BEGIN", "-BUSY another connection's backup is under way\r\n");
    assert_reply(t, 1, "OXBOW BACKUP READ",
                 "-ERR no backup of this connection's is under way: BACKUP BEGIN\r\n");
    assert_reply(t, 1, "OXBOW BACKUP END", "+OK\r\n"); /* of its own, of which there is none */
    assert_string_equal(next(t, 0).state, "ready");
    talk_hang_up(t, 0);
    until_begun(t, 1); /* the one before has gone with its connection */
    assert_string_equal(next(t, 1).state, "ready");
    assert_reply(t, 1, "RESET", "+RESET\r\n");
    talk_connect(t, 0);
    until_begun(t, 0);
    until_begun(t, 0); /* its own it may begin anew */
}

static void the_words_are_checked(void **state)
{
    struct talk *t = *state;
    static const char *const wrong[] = {"OXBOW BACKUP", "OXBOW BACKUP BEGIN now",
                                        "OXBOW BACKUP START"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(talk(t, 0, wrong[i])[0], '-');
    }
    assert_reply(t, 0, "OXBOW BACKUP END", "+OK\r\n");
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_int_equal(talk(t, 0, "OXBOW BACKUP BEGIN")[0], '-');
    assert_int_equal(talk(t, 0, "EXEC")[0], '-');
}

static void a_server_that_ends_ends_it(void **state)
{
    struct talk *t = *state;

    for (int i = 0; i < 20; i++) {
        assert_reply(t, 0, "SET k v", "+OK\r\n");
        until_begun(t, 0);
        if (i % 2 == 1) {
            assert_string_equal(next(t, 0).state, "ready");
        }
        talk_again(t); /* the store would not close with one open */
        talk_connect(t, 0);
    }
}

/* A store in memory has what is on no device. */
static void what_keeps_it_from_being_made_is_told(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->store.on_failure = OXBOW_FAILURE_MEMORY;
    talk_open(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "SET k v", "+OK\r\n");
    fault_arm_files(&t->fault, FAULT_WRITING, 1, UINT64_MAX, OXBOW_EIO);
    (void)talk(t, 0, "SET k w");
    talk_hang_up(t, 0); /* whatever it was told */
    talk_connect(t, 0);
    until_begun(t, 0);
    assert_string_equal(next(t, 0).state, "error");
    assert_string_equal(t->text,
                        "-ERR the backup has ended: the store is in memory: its device has "
                        "failed (OXBOW_EVOLATILE)\r\n");
    fault_disarm(&t->fault);
    assert_int_equal(oxbow_return(t->db), OXBOW_OK);
    until_begun(t, 0);
    assert_string_equal(next(t, 0).state, "ready");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_handed_out_is_a_backup),
        TEST(it_belongs_to_the_connection_that_began_it),
        TEST(the_words_are_checked),
        TEST(a_server_that_ends_ends_it),
        TEST(what_keeps_it_from_being_made_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
