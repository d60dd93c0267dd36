/* SPDX-License-Identifier: Apache-2.0 */
/* Users as clients see them: logging in, what is refused and how, what becomes of connections. */
#include "tests/resp/talk.h"

#define NOAUTH      "-NOAUTH Authentication required.\r\n"
#define WRONG       "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
#define NOCMD(name) "-NOPERM this user has no permissions to run the '" name "' command\r\n"
#define NOKEY       "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
#define NOCHAN                                                                                     \
    "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n"

#define FEED(t, n, text) talk_feed((t), (n), (text), sizeof(text) - 1)

/* The client's text has this in it. */
#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        const char *assert_text = (text);                                                          \
        if (strstr(assert_text, (part)) == NULL) {                                                 \
            fail_msg("'%s' is not in: %s", (part), assert_text);                                   \
        }                                                                                          \
    } while (0)

static void a_user_may_do_what_it_may(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER u on >x >y +@read +set +subscribe +psubscribe +publish ~a* &c",
                 "+OK\r\n");
    talk_connect(t, 1);
    assert_reply(t, 1, "ACL WHOAMI", "$7\r\ndefault\r\n");
    assert_reply(t, 1, "AUTH u z", WRONG);
    assert_reply(t, 1, "AUTH nobody x", WRONG);
    assert_reply(t, 1, "AUTH u x", "+OK\r\n");
    assert_reply(t, 1, "AUTH u y", "+OK\r\n");
    assert_reply(t, 1, "SET a1 v", "+OK\r\n");
    assert_reply(t, 1, "GET a1", "$1\r\nv\r\n");
    assert_reply(t, 1, "GET b", NOKEY);
    assert_reply(t, 1, "DEL a1", NOCMD("del"));
    assert_reply(t, 1, "ACL WHOAMI", NOCMD("acl|whoami"));
    assert_reply(t, 1, "SUBSCRIBE d", NOCHAN);
    assert_reply(t, 1, "PSUBSCRIBE c*", NOCHAN);
    assert_reply(t, 1, "PUBLISH d x", NOCHAN);
    assert_reply(t, 1, "PUBLISH c x", ":0\r\n");
    assert_reply(t, 1, "NONSENSE",
                 "-ERR unknown command 'NONSENSE', with args beginning with: \r\n");
    assert_reply(t, 1, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    assert_has(talk(t, 0, "CLIENT LIST"), "user=u redir");
    assert_has(talk(t, 0, "CLIENT LIST"), "user=default redir");
    assert_reply(t, 1, "RESET", "+RESET\r\n");
    assert_reply(t, 1, "ACL WHOAMI", "$7\r\ndefault\r\n");
    assert_has(talk(t, 1, "HELLO 3 AUTH u x"), "$5\r\nproto\r\n:3\r\n");
    assert_reply(t, 1, "HELLO 3 AUTH u q", WRONG);
    assert_reply(t, 0, "CLIENT KILL USER u", ":1\r\n");
    assert_true(oxbow_resp_client_done(t->clients[1]));
    assert_reply(t, 0, "CLIENT KILL USER nobody", "-ERR No such user 'nobody'\r\n");
}

static void who_must_log_in_can_do_nothing_else(void **state)
{
    static const char *const commands[] = {
        "PING",   "GET x",         "MULTI",    "SUBSCRIBE x", "CLIENT ID", "ACL WHOAMI",
        "ECHO x", "COMMAND COUNT", "SELECT 1", "INFO",        "EVAL x 0",  "CLIENT SETNAME x"};
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER default >s", "+OK\r\n");
    assert_reply(t, 0, "PING", "+PONG\r\n"); /* who is in stays in */
    talk_connect(t, 1);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_reply(t, 1, commands[i], NOAUTH);
    }
    assert_reply(
        t, 1, "EXEC",
        "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n");
    assert_has(talk(t, 1, "HELLO 3"), "-NOAUTH HELLO must be called");
    assert_has(talk(t, 1, "HELLO 3 SETNAME x"), "-NOAUTH HELLO must be called");
    assert_reply(t, 1, "AUTH q", WRONG);
    assert_reply(t, 1, "AUTH s", "+OK\r\n");
    assert_reply(t, 1, "PING", "+PONG\r\n");
    assert_reply(t, 0, "ACL SETUSER default nopass", "+OK\r\n");
    assert_reply(
        t, 0, "AUTH s",
        "-ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?\r\n");
    assert_reply(t, 0, "ACL SETUSER default off", "+OK\r\n");
    talk_connect(t, 2);
    assert_reply(t, 2, "PING", NOAUTH);
    assert_reply(t, 2, "AUTH default s", WRONG);
    assert_reply(t, 0, "ACL SETUSER default on", "+OK\r\n");
    assert_reply(t, 2, "PING", "+PONG\r\n");
    FEED(t, 2, "*11\r\n"); /* and is no guest any more */
    talk_turn(t);
    assert_string_equal(talk_heard(t, 2), "");
}

/* Whatever a guest sends: neither it nor the log of refusals takes more and more. */
static void who_must_log_in_cannot_make_memory_grow(void **state)
{
    struct talk *t = *state;
    static char request[20000];
    int64_t before;
    int64_t most = 0;

    assert_reply(t, 0, "CONFIG SET requirepass s", "+OK\r\n");
    talk_connect(t, 1);
    before = t->fault.live_bytes;
    for (int i = 0; i < 2000; i++) {
        int len = snprintf(request, sizeof request,
                           "*3\r\n$4\r\nAUTH\r\n$16000\r\n%016000d\r\n$1\r\nx\r\n", i);
        struct oxbow_bytes out;

        talk_feed(t, 1, request, (size_t)len);
        oxbow_resp_turn(t->server);
        while ((out = oxbow_resp_client_peek(t->clients[1])).len > 0) {
            oxbow_resp_client_sent(t->clients[1], out.len);
        }
        most = t->fault.live_bytes - before > most ? t->fault.live_bytes - before : most;
    }
    assert_true(most < 4 << 20);
    assert_has(talk(t, 0, "ACL LOG 1"), "$6\r\nreason\r\n$4\r\nauth\r\n");
    FEED(t, 1, "*2\r\n$4\r\nAUTH\r\n$16385\r\n");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "-ERR Protocol error: unauthenticated bulk length\r\n");
}

static void rights_count_when_a_command_is_queued_and_when_it_runs(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER u on nopass +@all ~a &*", "+OK\r\n");
    talk_connect(t, 1);
    assert_reply(t, 1, "AUTH u x", "+OK\r\n");
    assert_reply(t, 1, "MULTI", "+OK\r\n");
    assert_reply(t, 1, "GET b", NOKEY);
    assert_reply(t, 1, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_reply(t, 1, "MULTI", "+OK\r\n");
    assert_reply(t, 1, "SET a 1", "+QUEUED\r\n");
    assert_reply(t, 1, "GET a", "+QUEUED\r\n");
    assert_reply(t, 1, "PUBLISH c m", "+QUEUED\r\n");
    assert_reply(t, 0, "ACL SETUSER u -set resetchannels", "+OK\r\n");
    assert_reply(
        t, 1, "EXEC",
        "*3\r\n-NOPERM ACLs rules changed between the moment the transaction was "
        "accumulated and the EXEC call. This command is no longer allowed for the following "
        "reason: no permission to execute the command or subcommand\r\n$-1\r\n-NOPERM ACLs "
        "rules changed between the moment the transaction was accumulated and the EXEC "
        "call. This command is no longer allowed for the following reason: no permission to "
        "access one of the channels used as arguments to the command\r\n");
    assert_has(talk(t, 0, "ACL LOG"), "$7\r\ncontext\r\n$5\r\nmulti\r\n");
    assert_reply(t, 0, "ACL LOG RESET", "+OK\r\n");
    assert_reply(t, 1, "MULTI", "+OK\r\n");
    assert_reply(t, 1, "AUTH absent x", "+QUEUED\r\n");
    (void)talk(t, 1, "EXEC");
    assert_has(talk(t, 0, "ACL LOG"), "$7\r\ncontext\r\n$5\r\nmulti\r\n");
    assert_reply(t, 1, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "ACL SETUSER u -exec", "+OK\r\n");
    assert_reply(t, 1, "EXEC",
                 "-EXECABORT Transaction discarded because of: NOPERM this user has no permissions "
                 "to run the 'exec' command\r\n");
    assert_reply(t, 1, "DISCARD", "-ERR DISCARD without MULTI\r\n");
}

static void who_is_deleted_is_disconnected(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER u on nopass +@all allkeys", "+OK\r\n");
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "AUTH u x", "+OK\r\n");
    assert_reply(t, 1, "BLPOP q 0", "");
    assert_reply(t, 2, "AUTH u x", "+OK\r\n");
    assert_reply(t, 0, "ACL DELUSER default", "-ERR The 'default' user cannot be removed\r\n");
    assert_reply(t, 2, "ACL DELUSER u nobody", ":1\r\n"); /* itself: after the reply */
    assert_true(oxbow_resp_client_done(t->clients[1]));
    assert_true(oxbow_resp_client_done(t->clients[2]));
    assert_false(oxbow_resp_client_done(t->clients[0]));
    assert_reply(t, 0, "RPUSH q v", ":1\r\n"); /* not for who waited, even before it is closed */
    assert_reply(t, 0, "LLEN q", ":1\r\n");
    talk_hang_up(t, 1);
    talk_hang_up(t, 2);
    assert_reply(t, 0, "ACL USERS", "*1\r\n$7\r\ndefault\r\n");
}

static void who_may_not_hear_a_channel_any_more_is_disconnected(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER u on nopass +@all allchannels", "+OK\r\n");
    for (uint32_t n = 1; n <= 3; n++) {
        talk_connect(t, n);
        assert_reply(t, n, "AUTH u x", "+OK\r\n");
    }
    assert_has(talk(t, 1, "SUBSCRIBE news"), "subscribe");
    assert_has(talk(t, 2, "PSUBSCRIBE n*"), "psubscribe");
    assert_reply(t, 0, "ACL SETUSER u resetchannels &news", "+OK\r\n");
    assert_false(oxbow_resp_client_done(t->clients[1]));
    assert_true(oxbow_resp_client_done(t->clients[2]));
    assert_false(oxbow_resp_client_done(t->clients[3]));
    assert_reply(t, 0, "PUBLISH news x", ":1\r\n");
}

static void getuser_tells_all_of_a_user(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL GETUSER nobody", "$-1\r\n");
    assert_reply(t, 0, "ACL SETUSER u on >x ~a &b +get (+set ~c)", "+OK\r\n");
    assert_reply(t, 0, "ACL GETUSER u",
                 "*12\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$9\r\npasswords\r\n*1\r\n$64\r\n"
                 "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\r\n"
                 "$8\r\ncommands\r\n$10\r\n-@all +get\r\n$4\r\nkeys\r\n$2\r\n~a\r\n"
                 "$8\r\nchannels\r\n$2\r\n&b\r\n$9\r\nselectors\r\n*1\r\n*6\r\n$8\r\ncommands\r\n"
                 "$10\r\n-@all +set\r\n$4\r\nkeys\r\n$2\r\n~c\r\n$8\r\nchannels\r\n$0\r\n\r\n");
    assert_has(talk(t, 0, "HELLO 3"), "%7");
    assert_has(talk(t, 0, "ACL GETUSER default"),
               "%6\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$6\r\nnopass");
    assert_reply(
        t, 0, "ACL LIST",
        "*2\r\n$34\r\nuser default on nopass ~* &* +@all\r\n$136\r\nuser u on "
        "#2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 ~a resetchannels "
        "&b -@all +get (~c resetchannels -@all +set)\r\n");
    assert_has(talk(t, 0, "ACL SETUSER u +nonsense"),
               "-ERR Error in ACL SETUSER modifier '+nonsense'");
    FEED(t, 0, "*3\r\n$3\r\nACL\r\n$7\r\nSETUSER\r\n$3\r\na b\r\n");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0),
                        "-ERR Usernames can't contain spaces or null characters\r\n");
}

static void a_dry_run_tells_what_would_be(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER u +get +config|get ~a", "+OK\r\n");
    assert_reply(t, 0, "ACL DRYRUN u GET a", "+OK\r\n");
    assert_reply(t, 0, "ACL DRYRUN u GET b",
                 "$50\r\nThis user has no permissions to access the 'b' key\r\n");
    assert_reply(t, 0, "ACL DRYRUN u SET a v",
                 "$53\r\nThis user has no permissions to run the 'set' command\r\n");
    assert_reply(t, 0, "ACL DRYRUN u CONFIG SET a v",
                 "$60\r\nThis user has no permissions to run the 'config|set' command\r\n");
    assert_reply(t, 0, "ACL DRYRUN nobody GET a", "-ERR User 'nobody' not found\r\n");
    assert_reply(t, 0, "ACL DRYRUN u NONSENSE", "-ERR Command 'NONSENSE' not found\r\n");
    assert_reply(t, 0, "ACL DRYRUN u CONFIG NONSENSE", "-ERR Command 'CONFIG' not found\r\n");
    assert_reply(t, 0, "ACL DRYRUN u config|get x", "-ERR Command 'config|get' not found\r\n");
    assert_reply(t, 0, "ACL DRYRUN u CONFIG",
                 "-ERR wrong number of arguments for 'config' command\r\n");
}

static void categories_are_told(void **state)
{
    struct talk *t = *state;

    assert_has(talk(t, 0, "ACL CAT"), "$9\r\nsortedset\r\n");
    assert_has(talk(t, 0, "ACL CAT stream"), "$13\r\nxgroup|create\r\n");
    assert_reply(t, 0, "ACL CAT geo", "*0\r\n");
    assert_reply(t, 0, "ACL CAT nonsense", "-ERR Unknown category 'nonsense'\r\n");
    assert_has(talk(t, 0, "ACL CAT a b"), "-ERR unknown subcommand or wrong number of arguments");
    assert_has(talk(t, 0, "ACL HELP"), "+DRYRUN");
}

static void passwords_are_drawn(void **state)
{
    struct talk *t = *state;
    char first[128];

    strcpy(first, talk(t, 0, "ACL GENPASS"));
    assert_int_equal(strlen(first), 5 + 64 + 2);
    assert_string_not_equal(talk(t, 0, "ACL GENPASS"), first);
    assert_int_equal(strlen(talk(t, 0, "ACL GENPASS 5")), 4 + 2 + 2);
    assert_int_equal(strlen(talk(t, 0, "ACL GENPASS 4096")), 7 + 1024 + 2);
    assert_has(talk(t, 0, "ACL GENPASS 4097"), "-ERR ACL GENPASS argument must be");
    assert_has(talk(t, 0, "ACL GENPASS 0"), "-ERR ACL GENPASS argument must be");
    assert_reply(t, 0, "ACL GENPASS x", "-ERR value is not an integer or out of range\r\n");
}

static void refusals_are_logged(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL LOG", "*0\r\n");
    assert_reply(t, 0, "ACL SETUSER u on nopass +get ~a", "+OK\r\n");
    talk_connect(t, 1);
    assert_reply(t, 1, "AUTH u x", "+OK\r\n");
    assert_reply(t, 1, "GET q", NOKEY);
    assert_reply(t, 1, "GET q", NOKEY);
    assert_reply(t, 1, "AUTH who x", WRONG);
    assert_has(talk(t, 0, "ACL LOG"),
               "*2\r\n*14\r\n$5\r\ncount\r\n:1\r\n$6\r\nreason\r\n$4\r\nauth\r\n$7\r\ncontext\r\n"
               "$8\r\ntoplevel\r\n$6\r\nobject\r\n$4\r\nAUTH\r\n$8\r\nusername\r\n$3\r\nwho\r\n");
    assert_has(talk(t, 0, "ACL LOG 5"),
               "*14\r\n$5\r\ncount\r\n:2\r\n$6\r\nreason\r\n$3\r\nkey\r\n$7\r\ncontext\r\n"
               "$8\r\ntoplevel\r\n$6\r\nobject\r\n$1\r\nq\r\n$8\r\nusername\r\n$1\r\nu\r\n");
    assert_has(talk(t, 0, "ACL LOG 1"), " cmd=auth user=u redir=-1 ");
    assert_reply(t, 0, "ACL LOG -1", "*0\r\n");
    assert_reply(t, 0, "ACL LOG x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "CONFIG SET acllog-max-len 1", "+OK\r\n");
    assert_memory_equal(talk(t, 0, "ACL LOG"), "*1\r\n", 4);
    assert_reply(t, 0, "ACL LOG RESET", "+OK\r\n");
    assert_reply(t, 0, "ACL LOG", "*0\r\n");
}

static void the_required_password_is_the_default_users(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->config.password = "secret";
    talk_open(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "PING", NOAUTH);
    assert_reply(t, 0, "AUTH secret", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET requirepass", "*2\r\n$11\r\nrequirepass\r\n$6\r\nsecret\r\n");
    assert_reply(t, 0, "CONFIG SET requirepass other", "+OK\r\n");
    assert_reply(t, 0, "AUTH secret", WRONG);
    assert_reply(t, 0, "AUTH default other", "+OK\r\n");
    FEED(t, 0, "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$11\r\nrequirepass\r\n$0\r\n\r\n");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), "+OK\r\n");
    talk_connect(t, 1);
    assert_reply(t, 1, "PING", "+PONG\r\n");
}

static void protected_mode_lets_in_this_machine_alone(void **state)
{
    struct talk *t = *state;
    struct oxbow_resp_peer peer = {.addr = "192.0.2.1:5", .laddr = "x", .fd = -1};
    struct oxbow_resp_client *c;

    assert_reply(t, 0, "CONFIG SET protected-mode yes", "+OK\r\n");
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &c), OXBOW_EREADONLY);
    assert_memory_equal(oxbow_resp_refusal(OXBOW_EREADONLY).data, "-DENIED ", 8);
    peer.local = true;
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &c), OXBOW_OK);
    oxbow_resp_client_close(c);
    peer.local = false;
    assert_reply(t, 0, "CONFIG SET requirepass s", "+OK\r\n");
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &c), OXBOW_OK);
    oxbow_resp_client_close(c);
    assert_reply(t, 0, "CONFIG GET protected-mode", "*2\r\n$14\r\nprotected-mode\r\n$3\r\nyes\r\n");
}

/* ---- the file ---- */

struct file {
    char text[4096];
    enum oxbow_err err;
};

static enum oxbow_err
file_read(void *ctx, enum oxbow_err (*take)(void *to, const void *data, size_t len), void *to)
{
    struct file *f = ctx;

    return f->err != OXBOW_OK ? f->err : take(to, f->text, strlen(f->text));
}

static enum oxbow_err file_write(void *ctx, const void *text, size_t len)
{
    struct file *f = ctx;

    if (f->err == OXBOW_OK) {
        memcpy(f->text, text, len);
        f->text[len] = '\0';
    }
    return f->err;
}

static void users_are_kept_in_a_file(void **state)
{
    struct file file = {.text = "user u on nopass +@all\n"};
    struct talk *t = *state;

    assert_has(talk(t, 0, "ACL SAVE"),
               "-ERR This Redis instance is not configured to use an ACL file");
    assert_has(talk(t, 0, "ACL LOAD"),
               "-ERR This Redis instance is not configured to use an ACL file");
    talk_close(t);
    t->config.users_file = (struct oxbow_resp_users){"users.acl", &file, file_read, file_write};
    talk_open(t);
    talk_connect(t, 0);
    talk_connect(t, 1);
    assert_reply(t, 0, "CONFIG GET aclfile", "*2\r\n$7\r\naclfile\r\n$9\r\nusers.acl\r\n");
    assert_reply(t, 1, "AUTH u x", "+OK\r\n");
    assert_reply(t, 0, "ACL SETUSER v on ~a", "+OK\r\n");
    assert_reply(t, 0, "ACL SAVE", "+OK\r\n");
    assert_string_equal(file.text, "user default on nopass ~* &* +@all\n"
                                   "user u on nopass resetchannels +@all\n"
                                   "user v on ~a resetchannels -@all\n");
    strcpy(file.text, "user u on +bogus\n");
    assert_reply(t, 0, "ACL LOAD",
                 "-ERR users.acl:1: Error in applying operation '+bogus': Unknown command or "
                 "category name in ACL. WARNING: ACL errors detected, no change to the previously "
                 "active ACL rules was performed\r\n");
    assert_reply(t, 1, "PING", "+PONG\r\n");
    strcpy(file.text, "user w on\n");
    assert_reply(t, 0, "ACL LOAD", "+OK\r\n");
    assert_true(oxbow_resp_client_done(t->clients[1]));
    assert_reply(t, 0, "ACL USERS", "*2\r\n$7\r\ndefault\r\n$1\r\nw\r\n");
    file.err = OXBOW_EIO;
    assert_has(talk(t, 0, "ACL LOAD"), "-ERR Error loading ACLs, reading file 'users.acl': ");
    assert_has(talk(t, 0, "ACL SAVE"), "-ERR There was an error trying to save the ACLs");
}

static void reading_the_file_ends_all_users_connections_but_the_default_users(void **state)
{
    static const char text[] = "user default on nopass ~* resetchannels &d +@all\n"
                               "user u on nopass +@all\n";
    struct file file = {.text = "user u on nopass +@all\n"};
    struct talk *t = *state;

    talk_close(t);
    t->config.users_file = (struct oxbow_resp_users){"users.acl", &file, file_read, file_write};
    talk_open(t);
    talk_connect(t, 0);
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_has(talk(t, 1, "SUBSCRIBE c"), "subscribe");
    assert_reply(t, 2, "AUTH u x", "+OK\r\n");
    memcpy(file.text, text, sizeof text);
    assert_reply(t, 0, "ACL LOAD", "+OK\r\n");
    assert_true(oxbow_resp_client_done(t->clients[2]));
    /* As in Redis it has what it had, and gets no more. */
    assert_false(oxbow_resp_client_done(t->clients[1]));
    assert_has(talk(t, 1, "SUBSCRIBE c"), "-NOPERM");
    assert_reply(t, 1, "UNSUBSCRIBE c", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
}

static void users_of_the_configuration_are_there_from_the_first_moment(void **state)
{
    struct oxbow_resp_why why;
    struct oxbow_resp_config config;
    struct oxbow_resp *server;
    struct talk *t = *state;

    talk_close(t);
    t->config.password = "s";
    t->config.users = "user u on >x +get ~a\n";
    talk_open(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "GET a", NOAUTH); /* the default user's password stands */
    assert_reply(t, 0, "AUTH u x", "+OK\r\n");
    assert_reply(t, 0, "GET a", "$-1\r\n");
    assert_reply(t, 0, "GET b", NOKEY);
    config = t->config;
    config.users = "user u +bogus";
    config.why = &why;
    assert_int_equal(oxbow_resp_open(&config, &server), OXBOW_EINVAL);
    assert_has(why.text, "'+bogus': Unknown command");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_user_may_do_what_it_may),
        TEST(who_must_log_in_can_do_nothing_else),
        TEST(who_must_log_in_cannot_make_memory_grow),
        TEST(rights_count_when_a_command_is_queued_and_when_it_runs),
        TEST(who_is_deleted_is_disconnected),
        TEST(who_may_not_hear_a_channel_any_more_is_disconnected),
        TEST(getuser_tells_all_of_a_user),
        TEST(a_dry_run_tells_what_would_be),
        TEST(categories_are_told),
        TEST(passwords_are_drawn),
        TEST(refusals_are_logged),
        TEST(the_required_password_is_the_default_users),
        TEST(protected_mode_lets_in_this_machine_alone),
        TEST(users_are_kept_in_a_file),
        TEST(reading_the_file_ends_all_users_connections_but_the_default_users),
        TEST(users_of_the_configuration_are_there_from_the_first_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
