/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and their rights by themselves: rules from text and back, files of users, the log. Texts are
 * those of a redis-server 7.0.15 for the same rules, but for the order of those about commands.
 */
#include "engine/resp/acl.h"

#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 64u

static uint64_t now_us;

static uint64_t clock_now(void *ctx)
{
    (void)ctx;
    return now_us;
}

struct world {
    struct fault fault;
    struct resp_table table;
    struct acl acl;
    char text[1 << 16];
};

static struct oxbow_bytes bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static int setup(void **state)
{
    struct world *w = test_calloc(1, sizeof *w);

    fault_init(&w->fault, oxbow_port_default());
    w->fault.port.clock.mono_us = clock_now;
    now_us = 1000000;
    resp_table_init(&w->table);
    assert_int_equal(acl_init(&w->acl, &w->fault.port, &w->table), OXBOW_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    acl_fini(&w->acl);
    assert_int_equal(w->fault.live_bytes, 0);
    test_free(w);
    return 0;
}

/* Splits at '|', which no rule here has at its beginning or end. */
static uint32_t split(const char *text, struct oxbow_bytes parts[PARTS])
{
    uint32_t count = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        assert_true(count < PARTS);
        parts[count++] = (struct oxbow_bytes){text, len};
        text += len + (text[len] == '\n');
    }
    return count;
}

/* Applies rules, apart by newlines, to the user; what was said against them, or "". */
static const char *set_user(struct world *w, const char *name, const char *rules)
{
    static struct acl_why why;
    struct oxbow_bytes parts[PARTS];
    uint32_t count = split(rules, parts);
    const struct acl_user *user = acl_find(&w->acl, bytes(name));
    struct acl_user *draft;

    assert_int_equal(user != NULL ? acl_draft_of(&w->acl, user, &draft)
                                  : acl_draft(&w->acl, bytes(name), &draft),
                     OXBOW_OK);
    why.text[0] = '\0';
    if (acl_rules(&w->acl, draft, parts, count, &why)) {
        (void)acl_settle(&w->acl, draft);
    } else {
        assert_string_not_equal(why.text, "");
        acl_user_free(&w->acl, draft);
    }
    return why.text;
}

static const char *text_of(struct world *w, const char *name)
{
    const struct acl_user *u = acl_find(&w->acl, bytes(name));
    struct buf out;

    assert_non_null(u);
    buf_init(&out, &w->fault.port.alloc, sizeof w->text - 1);
    assert_int_equal(acl_text_user(u, &out), OXBOW_OK);
    memcpy(w->text, out.data, out.len);
    w->text[out.len] = '\0';
    buf_fini(&out);
    return w->text;
}

static void forget(struct world *w, const char *name)
{
    acl_user_free(&w->acl, acl_find(&w->acl, bytes(name)));
}

#define X "#2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
#define Y "#a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa"

static void rules_are_told_as_they_are_in_force(void **state)
{
    static const struct {
        const char *rules;
        const char *told;
    } rows[] = {
        {"", "off resetchannels -@all"},
        {"on\nnopass", "on nopass resetchannels -@all"},
        {"ON\nNoPass\n>x", "on " X " resetchannels -@all"},
        {">x\n>y\n>x", "off " X " " Y " resetchannels -@all"},
        {">x\n" Y "\n<x", "off " Y " resetchannels -@all"},
        {">x\n!2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
         "off resetchannels -@all"},
        {">x\nnopass", "off nopass resetchannels -@all"},
        {">x\nresetpass", "off resetchannels -@all"},
        {"skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
        {"skip-sanitize-payload\nsanitize-payload", "off sanitize-payload resetchannels -@all"},
        {"~a\n%R~b\n%w~c\n%RW~d\n%WR~e", "off ~a %R~b %W~c ~d ~e resetchannels -@all"},
        {"%R~a\n%W~a", "off ~a resetchannels -@all"},
        {"~a\n%R~a", "off ~a resetchannels -@all"},
        {"%R\n~", "off ~ resetchannels -@all"},
        {"~a\nallkeys", "off ~* resetchannels -@all"},
        {"~a\n~*", "off ~* resetchannels -@all"},
        {"allkeys\nresetkeys\n~b", "off ~b resetchannels -@all"},
        {"%R~*", "off %R~* resetchannels -@all"},
        {"&a\n&b*\n&a", "off resetchannels &a &b* -@all"},
        {"&a\nallchannels", "off &* -@all"},
        {"&*\nresetchannels\n&c", "off resetchannels &c -@all"},
        {"+@all", "off resetchannels +@all"},
        {"allcommands\n-get", "off resetchannels +@all -get"},
        {"+get\nnocommands\n+set", "off resetchannels -@all +set"},
        {"+GET\n+Set\n-get", "off resetchannels -@all +set -get"},
        {"+@READ\n-@dangerous\n+@read", "off resetchannels -@all -@dangerous +@read"},
        {"+config|get\n+config|SET", "off resetchannels -@all +config|get +config|set"},
        {"+config|get\n-config", "off resetchannels -@all -config"},
        {"+config\n-config|get", "off resetchannels -@all +config -config|get"},
        {"+select|0\n+SELECT|1\n+select|0", "off resetchannels -@all +select|1 +select|0"},
        {"+select|0\n-select", "off resetchannels -@all -select"},
        {"(+get ~x)", "off resetchannels -@all (~x resetchannels -@all +get)"},
        {"(+get\n~x\n%W~y)", "off resetchannels -@all (~x %W~y resetchannels -@all +get)"},
        {"(\n+get\n)", "off resetchannels -@all (resetchannels -@all +get)"},
        {"()\n( )", "off resetchannels -@all (resetchannels -@all) (resetchannels -@all)"},
        {"(+get)\n(~x)\nclearselectors", "off resetchannels -@all"},
        /* Whatever begins within a selector begins it anew. */
        {"(+get\n(~x\n+set)", "off resetchannels -@all (~x resetchannels -@all +set)"},
        {"on\n>x\n~a\n&b\n+@all\n(+get)\nreset", "off sanitize-payload resetchannels -@all"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(set_user(w, "u", rows[i].rules), "");
        assert_memory_equal(text_of(w, "u"), "user u ", 7);
        assert_string_equal(w->text + 7, rows[i].told);
        forget(w, "u");
    }
    assert_string_equal(text_of(w, "default"), "user default on nopass ~* &* +@all");
}

static void what_is_told_makes_the_same_user_again(void **state)
{
    struct world *w = *state;
    struct acl_why why;
    struct link old;
    char told[4096];

    link_init(&old);
    assert_string_equal(set_user(w, "u",
                                 "on\n>x\n>y\n~a\n%R~b*\n%W~c\n&ch*\n+@read\n-get\n+config|get\n"
                                 "+select|0\n(+set %W~z &q)\n(+@all allkeys allchannels)"),
                        "");
    strcpy(told, text_of(w, "u"));
    assert_true(acl_load(&w->acl, "f", bytes(told), false, &old, &why));
    assert_false(link_alone(&old));
    while (!link_alone(&old)) {
        acl_user_free(&w->acl, LINK_OF(old.next, struct acl_user, all));
    }
    assert_string_equal(text_of(w, "u"), told);
}

#define NO(rule, why)                                                                              \
    {                                                                                              \
        rule, "Error in ACL SETUSER modifier '" rule "': " why                                     \
    }

static void wrong_rules_change_nothing(void **state)
{
    static const char keys[] =
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not "
        "valid and does not have any effect. Try 'resetkeys' to start with "
        "an empty list of patterns";
    static const char hash[] = "The password hash must be exactly 64 characters and contain only "
                               "lowercase hexadecimal characters";
    static const struct {
        const char *rule;
        const char *why;
    } rows[] = {
        NO("bogus", "Syntax error"),
        NO("+bogus", "Unknown command or category name in ACL"),
        NO("-bogus", "Unknown command or category name in ACL"),
        NO("-select|0", "Unknown command or category name in ACL"),
        NO("+", "Unknown command or category name in ACL"),
        NO("+@bogus", "Unknown command or category name in ACL"),
        NO("+@", "Unknown command or category name in ACL"),
        NO("+config|bogus", "Unknown command or category name in ACL"),
        NO("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        NO("+get|", "Syntax error"),
        NO("%RX~x", "Syntax error"),
        NO("%RR~x", "Syntax error"),
        NO("%~x", "Syntax error"),
        NO("%", "Syntax error"),
        NO("~a b", "Syntax error"),
        NO("&a b", "Syntax error"),
        NO("<zz", "The password you are trying to remove from the user does not exist"),
        NO("(>x)", "Syntax error"),
        NO("(nopass)", "Syntax error"),
        NO("(allkeys on)", "Syntax error"),
        NO("(((+get)", "Syntax error"),
        NO("(~x))", "Syntax error"),
        NO("(~x &))", "Syntax error"),
        {"(+get", "Unmatched parenthesis in acl selector starting at '(+get'."},
        {"(+get\n(~x", "Unmatched parenthesis in acl selector starting at '(~x'."},
        {"(+get) ", "Unmatched parenthesis in acl selector starting at '(+get) '."},
    };
    struct world *w = *state;
    char want[1024];

    assert_string_equal(set_user(w, "u", "on\n~q\n&q\n+get\n(+set)"), "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(set_user(w, "u", rows[i].rule), rows[i].why);
    }
    (void)snprintf(want, sizeof want, "Error in ACL SETUSER modifier '~x': %s", keys);
    assert_string_equal(set_user(w, "u", "off\nallkeys\n~x"), want);
    (void)snprintf(want, sizeof want, "Error in ACL SETUSER modifier '#12': %s", hash);
    assert_string_equal(set_user(w, "u", "off\n#12"), want);
    (void)snprintf(want, sizeof want, "Error in ACL SETUSER modifier '!%s': %s", &Y[1], hash);
    want[strlen("Error in ACL SETUSER modifier '!")] = 'A';
    {
        char rule[] = "!"
                      "A1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa";

        assert_string_equal(set_user(w, "u", rule), want);
    }
    assert_string_equal(text_of(w, "u"),
                        "user u on ~q resetchannels &q -@all +get (resetchannels -@all +set)");
}

/* What the user is told of a command of words, and the argument that it is about. */
static enum acl_verdict tried(struct world *w, const char *user, const char *words, uint32_t *arg)
{
    struct oxbow_bytes args[PARTS];
    struct resp_call call = {.args = args};

    for (const char *p = words; *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");

        args[call.count++] = (struct oxbow_bytes){p, len};
        p += len;
    }
    call.row = resp_table_find(&w->table, args[0]);
    assert_non_null(call.row);
    if (call.row->subs != NULL) {
        call.row = resp_sub_find(call.row, args[1]);
        assert_non_null(call.row);
    }
    return acl_check(&w->acl, acl_find(&w->acl, bytes(user)), &call, arg);
}

struct row {
    const char *words;
    enum acl_verdict verdict;
    uint32_t arg;
};

static void try_all(struct world *w, const char *user, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t arg;
        enum acl_verdict verdict = tried(w, user, rows[i].words, &arg);

        if (verdict != rows[i].verdict || (verdict > ACL_DENIED_COMMAND && arg != rows[i].arg)) {
            fail_msg("%s: verdict %d about argument %u", rows[i].words, (int)verdict, arg);
        }
    }
}

#define TRY(user, rows) try_all(w, user, rows, sizeof(rows) / sizeof(rows)[0])

static void commands_are_allowed_one_by_one_and_by_category(void **state)
{
    static const struct row rows[] = {
        {"get x", ACL_ALLOWED, 0},
        {"mget x y", ACL_DENIED_COMMAND, 0},
        {"hset h f v", ACL_ALLOWED, 0},
        {"hget h f", ACL_ALLOWED, 0},
        {"hdel h f", ACL_DENIED_COMMAND, 0},
        {"config get x", ACL_ALLOWED, 0},
        {"config set x y", ACL_DENIED_COMMAND, 0},
        {"select 3", ACL_ALLOWED, 0},
        {"select 4", ACL_DENIED_COMMAND, 0},
        {"xgroup create s g $", ACL_ALLOWED, 0},
        {"xgroup destroy s g", ACL_DENIED_COMMAND, 0},
        {"auth x", ACL_ALLOWED, 0},
        {"hello", ACL_ALLOWED, 0},
        {"quit", ACL_ALLOWED, 0},
        {"ping", ACL_DENIED_COMMAND, 0},
    };
    struct world *w = *state;

    assert_string_equal(set_user(w, "u",
                                 "allkeys\n+get\n+@hash\n-hdel\n+config|get\n+SELECT|3\n+xgroup\n"
                                 "-xgroup|destroy"),
                        "");
    TRY("u", rows);
}

static void keys_are_read_and_written_by_right(void **state)
{
    static const struct row rows[] = {
        {"get r1", ACL_ALLOWED, 0},
        {"get w1", ACL_DENIED_KEY, 1},
        {"get b1", ACL_ALLOWED, 0},
        {"get q", ACL_DENIED_KEY, 1},
        {"set w1 v", ACL_ALLOWED, 0},
        {"set w1 v get", ACL_DENIED_KEY, 1},
        {"set b1 v GET", ACL_ALLOWED, 0},
        {"set r1 v", ACL_DENIED_KEY, 1},
        {"mget r1 b1 w1", ACL_DENIED_KEY, 3},
        {"mset w1 v b1 v r1 v", ACL_DENIED_KEY, 5},
        {"incr w1", ACL_DENIED_KEY, 1},
        {"incr b1", ACL_ALLOWED, 0},
        {"lpush w1 v", ACL_ALLOWED, 0},
        {"lpop w1", ACL_DENIED_KEY, 1},
        {"exists r1 w1 b1", ACL_ALLOWED, 0},
        {"exists r1 q", ACL_DENIED_KEY, 2},
        {"llen w1", ACL_ALLOWED, 0},
        {"lmove b1 w1 left left", ACL_ALLOWED, 0},
        {"lmove b1 r1 left left", ACL_DENIED_KEY, 2},
        {"lmove r1 w1 left left", ACL_DENIED_KEY, 1},
        {"rename b1 w1", ACL_ALLOWED, 0},
        {"rename w1 b1", ACL_DENIED_KEY, 1},
        {"sdiffstore w1 r1 b1", ACL_ALLOWED, 0},
        {"sdiffstore r1 r1 b1", ACL_DENIED_KEY, 1},
        {"sdiffstore w1 r1 w1", ACL_DENIED_KEY, 3},
        {"sintercard 2 r1 b1", ACL_ALLOWED, 0},
        {"sintercard 2 r1 w1 limit 1", ACL_DENIED_KEY, 3},
        {"lmpop 1 b1 left", ACL_ALLOWED, 0},
        {"blmpop 0 2 b1 r1 left", ACL_DENIED_KEY, 4},
        {"blpop b1 q 0", ACL_DENIED_KEY, 2},
        {"xread count 1 streams r1 b1 0 0", ACL_ALLOWED, 0},
        {"xread streams r1 w1 0 0", ACL_DENIED_KEY, 3},
        {"xread streams w1 r1 0", ACL_DENIED_KEY, 2},
        {"xreadgroup block 0 group streams c noack streams q > ", ACL_DENIED_KEY, 8},
        {"xreadgroup group g c STREAMS r1 >", ACL_ALLOWED, 0},
        {"xadd w1 * f v", ACL_ALLOWED, 0},
        {"xinfo stream q", ACL_DENIED_KEY, 2},
        {"watch w1", ACL_ALLOWED, 0},
        {"dbsize", ACL_ALLOWED, 0},
    };
    struct world *w = *state;

    assert_string_equal(set_user(w, "u", "+@all\n%R~r*\n%W~w*\n~b*"), "");
    TRY("u", rows);
    assert_string_equal(set_user(w, "u", "resetkeys\n%R~*\n%W~*"), "");
    assert_string_equal(set_user(w, "none", "+@all"), "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t arg;

        assert_int_equal(tried(w, "u", rows[i].words, &arg), ACL_ALLOWED);
        assert_int_equal(tried(w, "none", rows[i].words, &arg),
                         strcmp(rows[i].words, "dbsize") == 0 ? ACL_ALLOWED : ACL_DENIED_KEY);
    }
}

static void one_selector_must_allow_all_of_it(void **state)
{
    static const struct row rows[] = {
        {"get a", ACL_ALLOWED, 0},           {"get b", ACL_DENIED_KEY, 1},
        {"set b v", ACL_ALLOWED, 0},         {"set a v", ACL_DENIED_KEY, 1},
        {"mget a b", ACL_DENIED_COMMAND, 0}, {"publish c m", ACL_DENIED_CHANNEL, 1},
        {"publish d m", ACL_ALLOWED, 0},
    };
    struct world *w = *state;

    assert_string_equal(set_user(w, "u", "+get\n~a\n(+set ~b)\n(+publish &d)"), "");
    TRY("u", rows);
}

static void channels_are_heard_by_right(void **state)
{
    static const struct row rows[] = {
        {"subscribe a1 b", ACL_ALLOWED, 0},      {"subscribe a1 q", ACL_DENIED_CHANNEL, 2},
        {"psubscribe a*", ACL_ALLOWED, 0},       {"psubscribe a1", ACL_DENIED_CHANNEL, 1},
        {"psubscribe b", ACL_ALLOWED, 0},        {"publish a77 m", ACL_ALLOWED, 0},
        {"publish q a1", ACL_DENIED_CHANNEL, 1}, {"unsubscribe q", ACL_ALLOWED, 0},
        {"pubsub numsub q", ACL_ALLOWED, 0},
    };
    struct world *w = *state;

    assert_string_equal(set_user(w, "u", "+@all\n&a*\n&b"), "");
    TRY("u", rows);
    w->acl.channels_at_first = true;
    assert_string_equal(set_user(w, "v", "+@all"), "");
    assert_string_equal(text_of(w, "v"), "user v off &* +@all");
}

/* Those whose keys nobody can find would be refused to who may not use all keys. */
static void the_keys_of_every_command_can_be_found(void **state)
{
    struct world *w = *state;
    const struct resp_command *row;
    struct resp_keys keys;
    struct oxbow_bytes args[8];

    for (size_t i = 0; i < 8; i++) {
        args[i] = bytes("1");
    }
    for (uint32_t i = 0; (row = resp_table_row(i)) != NULL; i++) {
        if (resp_command_keys(row, args, 8, &keys) == RESP_KEYS_UNKNOWN) {
            fail_msg("%s: nobody knows where its keys are", row->name);
        }
        assert_true(resp_table_slot(&w->table, row) < RESP_COMMAND_SLOTS);
    }
}

static void passwords_fit_by_their_digest(void **state)
{
    struct world *w = *state;
    const struct acl_user *u;

    assert_string_equal(set_user(w, "u", "on\n>x\n" Y), "");
    u = acl_find(&w->acl, bytes("u"));
    assert_true(acl_password_fits(u, bytes("x")));
    assert_true(acl_password_fits(u, bytes("y")));
    assert_false(acl_password_fits(u, bytes("z")));
    assert_false(acl_password_fits(u, bytes("")));
    assert_string_equal(set_user(w, "u", "off"), "");
    assert_false(acl_password_fits(u, bytes("x")));
    assert_string_equal(set_user(w, "u", "on\nresetpass"), "");
    assert_false(acl_password_fits(u, bytes("")));
    assert_string_equal(set_user(w, "u", "nopass"), "");
    assert_true(acl_password_fits(u, bytes("whatever")));
    assert_int_equal(acl_require(&w->acl, bytes("s")), OXBOW_OK);
    assert_true(acl_password_fits(w->acl.standard, bytes("s")));
    assert_false(acl_password_fits(w->acl.standard, bytes("t")));
    assert_int_equal(acl_require(&w->acl, bytes("")), OXBOW_OK);
    assert_true(acl_password_fits(w->acl.standard, bytes("t")));
}

/* ---- files ---- */

static const char *saved(struct world *w)
{
    struct buf out;

    buf_init(&out, &w->fault.port.alloc, sizeof w->text - 1);
    assert_int_equal(acl_save(&w->acl, &out), OXBOW_OK);
    memcpy(w->text, out.data, out.len);
    w->text[out.len] = '\0';
    buf_fini(&out);
    return w->text;
}

static void load(struct world *w, const char *text, bool keep, const char *wanted)
{
    struct acl_why why = {.text = ""};
    struct link old;

    link_init(&old);
    assert_int_equal(acl_load(&w->acl, "f", bytes(text), keep, &old, &why), wanted[0] == '\0');
    assert_string_equal(why.text, wanted);
    while (!link_alone(&old)) {
        acl_user_free(&w->acl, LINK_OF(old.next, struct acl_user, all));
    }
}

#define NOTHING_CHANGED                                                                            \
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"

static void files_of_users_are_read_and_written(void **state)
{
    struct world *w = *state;

    load(w, "user b on nopass +@all\n\n  \n\t user a off  ~x\t (+get ~y) \r\nuser default off\n",
         false, "");
    assert_string_equal(saved(w),
                        "user a off ~x resetchannels -@all (~y resetchannels -@all +get)\n"
                        "user b on nopass resetchannels +@all\n"
                        "user default off resetchannels -@all\n");
    load(w, "user c on", true, "");
    assert_string_equal(saved(w), "user c on resetchannels -@all\n"
                                  "user default off resetchannels -@all\n");
    load(w, "", false, "");
    assert_string_equal(saved(w), "user default on nopass ~* &* +@all\n");
}

static void between_two_spaces_of_a_file_is_an_empty_word(void **state)
{
    static const char three[] = "user  on nopass resetchannels -@all\n"
                                "user a on resetchannels -@all\n"
                                "user default on nopass ~* &* +@all\n";
    struct world *w = *state;

    /* The name, then: what Redis takes a file to say is what it says here. */
    load(w, "user  on nopass\nuser a   on", false, "");
    assert_string_equal(saved(w), three);
    load(w, three, false, "");
    assert_string_equal(saved(w), three);
    load(w, "user  a on", false, "f:1: Syntax error. " NOTHING_CHANGED);
    load(w, "user a ~x\t~y", false, "f:1: Syntax error. " NOTHING_CHANGED);
    load(w, "user a\ton ~y", false,
         "'f:1: username 'a\ton' contains invalid characters. " NOTHING_CHANGED);
    assert_string_equal(saved(w), three);
}

static void a_file_with_faults_changes_nothing_and_all_are_told(void **state)
{
    struct world *w = *state;

    assert_string_equal(set_user(w, "u", "on"), "");
    load(w,
         "user q on +bogus\nuser r\nuser s  on   ~x\nfoo bar\nuser q on\n\n  \n"
         "user w on bogus ~x off +nope",
         false,
         "f:1: Error in applying operation '+bogus': Unknown command or category name in ACL. "
         "f:4 should start with user keyword followed by the username. "
         "WARNING: Duplicate user 'q' found on line 5. f:8: Syntax error. f:8: Error in applying "
         "operation '+nope': Unknown command or category name in ACL. " NOTHING_CHANGED);
    load(w, "user", false,
         "f:1 should start with user keyword followed by the username. " NOTHING_CHANGED);
    load(w, "user t (+get", false,
         "f:1: Unmatched parenthesis in selector definition. " NOTHING_CHANGED);
    assert_string_equal(saved(w),
                        "user default on nopass ~* &* +@all\nuser u on resetchannels -@all\n");
}

static void files_of_noise_do_no_harm(void **state)
{
    static const char *const parts[] = {"user", " ",  "\n", "a", "b", "on",  "+get",  "-@all",  "(",
                                        ")",    "~x", "%R", "&", "#", "12",  ">",     "!",      "+",
                                        "\t",   "+@", "|",  "*", "~", "off", "reset", "default"};
    const char *given = getenv("OXBOW_SEED");
    uint64_t s = given != NULL ? strtoull(given, NULL, 0) : 0x9e3779b97f4a7c15u;
    struct world *w = *state;
    unsigned good = 0;

    print_message("OXBOW_SEED=%llu\n", (unsigned long long)s);
    for (int round = 0; round < 3000; round++) {
        struct acl_why why;
        struct link old;
        char text[1024] = "user u ";
        size_t len = strlen(text);
        size_t count;

        link_init(&old);
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        count = s % 24;
        for (size_t i = 0; i < count; i++) {
            const char *part;

            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            part = parts[s % (sizeof parts / sizeof parts[0])];
            memcpy(text + len, part, strlen(part));
            len += strlen(part);
            if (s >> 20 & 1) {
                text[len++] = ' ';
            }
        }
        if (acl_load(&w->acl, "f", (struct oxbow_bytes){text, len}, false, &old, &why)) {
            struct buf out;
            struct link older;

            good++;
            link_init(&older);
            buf_init(&out, &w->fault.port.alloc, 1 << 20);
            assert_int_equal(acl_save(&w->acl, &out), OXBOW_OK);
            if (!acl_load(&w->acl, "f", (struct oxbow_bytes){out.data, out.len}, false, &older,
                          &why)) {
                fail_msg("%s: of \"%.*s\" is saved \"%.*s\"", why.text, (int)len, text,
                         (int)out.len, (const char *)out.data);
            }
            while (!link_alone(&older)) {
                acl_user_free(&w->acl, LINK_OF(older.next, struct acl_user, all));
            }
            buf_fini(&out);
        }
        while (!link_alone(&old)) {
            acl_user_free(&w->acl, LINK_OF(old.next, struct acl_user, all));
        }
    }
    assert_true(good > 100);
}

/* ---- memory ---- */

static void without_memory_users_stay_as_they_are(void **state)
{
    struct world *w = *state;
    uint64_t points = 0;
    bool done = false;

    assert_string_equal(set_user(w, "u", "on\n>x\n~a\n&b\n+get\n(+set ~c)"), "");
    for (uint64_t n = 1; !done; n++) {
        const struct oxbow_bytes rules[] = {bytes(">y"),       bytes("~z"),    bytes("&z"),
                                            bytes("+@read"),   bytes("(+get"), bytes("~q)"),
                                            bytes("+select|0")};
        struct acl_why why;
        struct acl_user *draft;
        bool ok;

        fault_arm_alloc(&w->fault, n, 1);
        ok = acl_draft_of(&w->acl, acl_find(&w->acl, bytes("u")), &draft) == OXBOW_OK;
        if (ok) {
            ok = acl_rules(&w->acl, draft, rules, 7, &why);
            acl_user_free(&w->acl, draft);
        }
        done = w->fault.alloc_failed == 0;
        fault_disarm(&w->fault);
        assert_int_equal(ok, done);
        points++;
        assert_string_equal(text_of(w, "u"), "user u on " X " ~a resetchannels &b -@all +get "
                                             "(~c resetchannels -@all +set)");
    }
    assert_true(points > 10);
    points = 0;
    done = false;
    for (uint64_t n = 1; !done; n++) {
        struct acl_why why = {.text = ""};
        struct link old;
        bool ok;

        link_init(&old);
        fault_arm_alloc(&w->fault, n, 1);
        ok = acl_load(&w->acl, "f", bytes("user u on >x (+get ~a)\nuser v +@all"), false, &old,
                      &why);
        done = w->fault.alloc_failed == 0;
        fault_disarm(&w->fault);
        assert_int_equal(ok, done);
        points++;
        while (!link_alone(&old)) {
            acl_user_free(&w->acl, LINK_OF(old.next, struct acl_user, all));
        }
    }
    assert_true(points > 8);
}

/* ---- the log ---- */

static void log_add(struct world *w, enum acl_verdict reason, const char *object)
{
    acl_log_add(&w->acl, reason, "toplevel", bytes(object), bytes("u"), bytes("id=1"));
}

static const struct acl_entry *logged(const struct world *w, uint32_t n)
{
    const struct link *l = w->acl.log.next;

    for (; n > 0; n--) {
        l = l->next;
    }
    return LINK_OF(l, struct acl_entry, of_log);
}

static void like_refusals_of_a_minute_are_one(void **state)
{
    struct world *w = *state;

    log_add(w, ACL_DENIED_KEY, "a");
    log_add(w, ACL_DENIED_KEY, "b");
    now_us += 60000000;
    log_add(w, ACL_DENIED_KEY, "a");
    assert_int_equal(w->acl.log_count, 2);
    assert_int_equal(logged(w, 0)->count, 2);
    assert_memory_equal(logged(w, 0)->object.data, "a", 1);
    log_add(w, ACL_DENIED_COMMAND, "a");
    assert_int_equal(w->acl.log_count, 3);
    now_us += 60000001;
    log_add(w, ACL_DENIED_KEY, "a");
    assert_int_equal(w->acl.log_count, 4);
    assert_int_equal(logged(w, 0)->count, 1);
    assert_string_equal(acl_reason(logged(w, 1)->reason), "command");
}

static void the_log_is_no_longer_than_its_limit(void **state)
{
    struct world *w = *state;
    char name[16];
    static char big[100000];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "k%d", i);
        log_add(w, ACL_DENIED_KEY, name);
    }
    assert_int_equal(w->acl.log_count, ACL_LOG_MAX);
    assert_memory_equal(logged(w, 0)->object.data, "k999", 4);
    w->acl.log_max = 3;
    acl_log_trim(&w->acl);
    assert_int_equal(w->acl.log_count, 3);
    memset(big, 'x', sizeof big - 1);
    log_add(w, ACL_DENIED_AUTH, big);
    log_add(w, ACL_DENIED_AUTH, big);
    assert_int_equal(logged(w, 0)->count, 2);
    assert_int_equal(logged(w, 0)->object.len, 4096);
    acl_log_clear(&w->acl);
    assert_int_equal(w->acl.log_count, 0);
    w->acl.log_max = 0;
    log_add(w, ACL_DENIED_KEY, "a");
    assert_int_equal(w->acl.log_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rules_are_told_as_they_are_in_force),
        TEST(what_is_told_makes_the_same_user_again),
        TEST(wrong_rules_change_nothing),
        TEST(commands_are_allowed_one_by_one_and_by_category),
        TEST(keys_are_read_and_written_by_right),
        TEST(one_selector_must_allow_all_of_it),
        TEST(channels_are_heard_by_right),
        TEST(the_keys_of_every_command_can_be_found),
        TEST(passwords_fit_by_their_digest),
        TEST(files_of_users_are_read_and_written),
        TEST(between_two_spaces_of_a_file_is_an_empty_word),
        TEST(a_file_with_faults_changes_nothing_and_all_are_told),
        TEST(files_of_noise_do_no_harm),
        TEST(without_memory_users_stay_as_they_are),
        TEST(like_refusals_of_a_minute_are_one),
        TEST(the_log_is_no_longer_than_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
