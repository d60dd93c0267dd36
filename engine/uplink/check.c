/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a target: connects once, tries what the forwards will need, writes nothing there.
 *
 * What writes cannot be tried without writing, with one exception: XADD with the id 0-0 is refused
 * after the server has checked the rights and before it looks at the key. All probes are sent at
 * once; each answer becomes one finding, and after the last one the session is done.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

#define SKEW_WARN_MS 60000

enum probe {
    PROBE_OWNER,
    PROBE_CLOCK,
    PROBE_EVICTION,
    PROBE_DURABILITY,
    PROBE_DEFAULT_USER,
    PROBE_XADD,
    PROBE_KEY,
    PROBE_CONFIRM
};

void check_tell(struct oxbow_uplink *u, enum oxbow_uplink_level level, const char *what,
                const char *text)
{
    struct oxbow_uplink_finding *f;

    if (!u->check.on || u->check.count == OXBOW_UPLINK_FINDINGS_MAX) {
        return;
    }
    f = &u->check.findings[u->check.count++];
    f->level = level;
    text_copy(f->what, sizeof(f->what), what);
    text_copy(f->text, sizeof(f->text), text);
}

void check_lost(struct oxbow_uplink *u, enum oxbow_uplink_trouble trouble, const char *text)
{
    const char *what = "connect";

    if (trouble == OXBOW_TROUBLE_CREDENTIALS || trouble == OXBOW_TROUBLE_ACL) {
        what = "login";
    } else if (trouble == OXBOW_TROUBLE_NOT_MASTER) {
        what = "role";
    } else if (trouble == OXBOW_TROUBLE_PROTOCOL || trouble == OXBOW_TROUBLE_REFUSED) {
        what = "server";
    }
    check_tell(u, OXBOW_CHECK_BAD, what, text);
}

static struct request *probe_expect(struct oxbow_uplink *u, enum oxbow_err err, enum probe probe)
{
    struct request *q = err ? NULL : session_expect(u, REQUEST_PROBE, 1);

    if (q == NULL) {
        connection_fail(u, OXBOW_TROUBLE_STORE, "out of memory", plan_default());
        return NULL;
    }
    q->probe = probe;
    return q;
}

static void probe_send(struct oxbow_uplink *u, enum probe probe, const char *const *args)
{
    (void)probe_expect(u, command_put(&u->out, args), probe);
}

static enum oxbow_err put_xadd(struct oxbow_uplink *u, const struct flow *f)
{
    enum oxbow_err err = command_begin(&u->out, 5);

    if (!err) {
        err = command_text(&u->out, "XADD");
    }
    if (!err) {
        err = command_bytes(&u->out, f->f.options.target);
    }
    if (!err) {
        err = command_text(&u->out, "0-0");
    }
    if (!err) {
        err = command_text(&u->out, "f");
    }
    return err ? err : command_text(&u->out, "v");
}

static void probe_confirm(struct oxbow_uplink *u, uint32_t flow)
{
    static const char *const wait[] = {"WAIT", "0", "1", NULL};
    static const char *const waitaof[] = {"WAITAOF", "0", "0", "1", NULL};
    enum oxbow_forward_confirm confirm = u->flows[flow].f.options.confirm;
    struct request *q;

    if (confirm == OXBOW_CONFIRM_MASTER) {
        return;
    }
    q = probe_expect(u, command_put(&u->out, confirm == OXBOW_CONFIRM_AOF ? waitaof : wait),
                     PROBE_CONFIRM);
    if (q != NULL) {
        q->flow = flow;
    }
}

static void probe_flow(struct oxbow_uplink *u, uint32_t flow)
{
    struct flow *f = &u->flows[flow];
    struct request *q;

    u->send_script = true; /* EVAL: the target need not know the script yet */
    q = probe_expect(u, batch_put_read(u, f), PROBE_KEY);
    if (q == NULL) {
        return;
    }
    q->flow = flow;
    if (f->f.options.type == OXBOW_TYPE_STREAM) {
        q = probe_expect(u, put_xadd(u, f), PROBE_XADD);
        if (q != NULL) {
            q->flow = flow;
        }
    }
    probe_confirm(u, flow);
}

void check_begin(struct oxbow_uplink *u)
{
    static const char *const clock[] = {"TIME", NULL};
    static const char *const eviction[] = {"CONFIG", "GET", "maxmemory-policy", NULL};
    static const char *const aof[] = {"CONFIG", "GET", "appendonly", NULL};
    static const char *const loader[] = {"ACL", "GETUSER", "default", NULL};
    const char *const owner[] = {"GET", u->owner_key, NULL};
    uint32_t i;

    check_tell(u, OXBOW_CHECK_GOOD, "connect", u->status.about[0] ? u->status.about : "plain TCP");
    check_tell(u, OXBOW_CHECK_GOOD, "login", "accepted");
    check_tell(u, OXBOW_CHECK_GOOD, "role", "master");
    check_tell(u, u->status.server[0] ? OXBOW_CHECK_GOOD : OXBOW_CHECK_UNKNOWN, "version",
               u->status.server[0] ? u->status.server : "older than 6.0, it does not say");
    flows_refresh(u);
    if (u->flow_count == 0) {
        check_tell(u, OXBOW_CHECK_WARN, "forwards", "the store has none: there is nothing to send");
    }
    probe_send(u, PROBE_OWNER, owner);
    probe_send(u, PROBE_CLOCK, clock);
    probe_send(u, PROBE_EVICTION, eviction);
    probe_send(u, PROBE_DURABILITY, aof);
    probe_send(u, PROBE_DEFAULT_USER, loader);
    for (i = 0; i < u->flow_count && u->request_count + 3 < SESSION_REQUESTS_MAX; i++) {
        probe_flow(u, i);
    }
}

/* ---- answers ---- */

static void tell_owner(struct oxbow_uplink *u, const struct reply_node *n)
{
    if (n->type == REPLY_NIL) {
        check_tell(u, OXBOW_CHECK_GOOD, "owner", "nobody yet");
    } else if (n->type == REPLY_ERROR) {
        check_tell(u, OXBOW_CHECK_BAD, "owner", n->text);
    } else if (strcmp(n->text, u->identity.owner) == 0) {
        check_tell(u, OXBOW_CHECK_GOOD, "owner", "this store");
    } else {
        check_tell(u, OXBOW_CHECK_BAD, "owner",
                   "another store owns this device's keys: a clone, or a replaced disk (adopt)");
    }
}

static void tell_clock(struct oxbow_uplink *u, const struct reply *r)
{
    const struct reply_node *s = reply_at(r, 0);
    uint64_t seconds, ours = u->port->clock.wall_ms(u->port->clock.ctx), theirs, skew;
    char line[120];
    struct text t = text_in(line, sizeof(line));

    if (s == NULL || num_u64((struct oxbow_bytes){s->text, s->len}, &seconds)) {
        check_tell(u, OXBOW_CHECK_UNKNOWN, "clock", "TIME is not allowed: the skew is unknown");
        return;
    }
    theirs = seconds * 1000;
    skew = theirs > ours ? theirs - ours : ours - theirs;
    text_add(&t, "this clock differs from the target's by ");
    text_u64(&t, skew / 1000);
    text_add(&t, " s");
    check_tell(u, skew > SKEW_WARN_MS ? OXBOW_CHECK_WARN : OXBOW_CHECK_GOOD, "clock", line);
}

static bool is_no(const struct reply_node *value)
{
    return value != NULL && strcmp(value->text, "no") == 0;
}

static void tell_setting(struct oxbow_uplink *u, const struct reply *r, const char *what,
                         const char *good, const char *advice)
{
    const struct reply_node *value = reply_at(r, 1);

    if (value == NULL) {
        check_tell(u, OXBOW_CHECK_UNKNOWN, what, "CONFIG GET is not allowed for this user");
    } else if (strcmp(value->text, good) == 0) {
        check_tell(u, OXBOW_CHECK_GOOD, what, value->text);
    } else {
        check_tell(u, OXBOW_CHECK_WARN, what, advice);
    }
}

/* Up to 7.2, or it does not say. */
static bool loads_as_the_default_user(const char *version)
{
    const char *dot = strchr(version, '.');
    const char *end = dot == NULL ? NULL : strchr(dot + 1, '.');
    uint64_t major, minor;

    if (end == NULL || num_u64((struct oxbow_bytes){version, (size_t)(dot - version)}, &major) ||
        num_u64((struct oxbow_bytes){dot + 1, (size_t)(end - dot - 1)}, &minor)) {
        return true;
    }
    return major < 7 || (major == 7 && minor <= 2);
}

/* docs/adr/0038: such a server leaves out of its append-only file what its default user may not. */
static void tell_default_user(struct oxbow_uplink *u, const struct reply *r)
{
    static const char advice[] =
        "has no rights (user default off?): at a restart this server drops whole batches of its "
        "append-only file. Write: user default off ~* &* +@all";
    const struct reply_node *commands = reply_find(r, "commands");
    const struct reply_node *keys = reply_find(r, "keys");

    if (u->check.no_aof || !loads_as_the_default_user(u->status.server)) {
        return;
    }
    if (commands == NULL || keys == NULL) {
        check_tell(u, OXBOW_CHECK_UNKNOWN, "default user",
                   "ACL GETUSER is not allowed for this user: it must be +@all ~*, off or not");
    } else if (strncmp(commands->text, "+@all", 5) == 0 &&
               (keys->integer > 0 || strstr(keys->text, "~*") != NULL)) {
        check_tell(u, OXBOW_CHECK_GOOD, "default user", "keeps its rights");
    } else {
        check_tell(u, OXBOW_CHECK_WARN, "default user", advice);
    }
}

static void tell_key(struct oxbow_uplink *u, const struct flow *f, const struct reply *r)
{
    char what[24], line[232];
    struct text t = text_in(what, sizeof(what)), l = text_in(line, sizeof(line));
    const struct reply_node *at = reply_at(r, 1);

    text_add(&t, "key ");
    text_add(&t, f->f.name);
    text_bytes(&l, f->f.options.target.data, f->f.options.target.len);
    text_add(&l, ": ");
    if (r->nodes[0].type == REPLY_ERROR) {
        text_add(&l, r->nodes[0].text);
        check_tell(u, OXBOW_CHECK_BAD, what, line);
        return;
    }
    text_add(&l, "at ");
    text_add(&l, at == NULL ? "?" : at->text);
    if (f->f.options.type == OXBOW_TYPE_LIST) {
        text_add(&l, "; RPUSH and HSET cannot be tried without writing");
    }
    check_tell(u, OXBOW_CHECK_GOOD, what, line);
}

static void tell_command(struct oxbow_uplink *u, const char *what, const struct reply_node *n,
                         const char *expected)
{
    if (n->type != REPLY_ERROR || (expected != NULL && strstr(n->text, expected) != NULL)) {
        check_tell(u, OXBOW_CHECK_GOOD, what, "allowed");
    } else {
        check_tell(u, OXBOW_CHECK_BAD, what, n->text);
    }
}

void check_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r)
{
    const struct session_plan plan = {.at_once = true};

    switch ((enum probe)q->probe) {
    case PROBE_OWNER:
        tell_owner(u, &r->nodes[0]);
        break;
    case PROBE_CLOCK:
        tell_clock(u, r);
        break;
    case PROBE_EVICTION:
        tell_setting(u, r, "eviction", "noeviction",
                     "maxmemory-policy is not noeviction: the target may throw entries away");
        break;
    case PROBE_DURABILITY:
        u->check.no_aof = is_no(reply_at(r, 1));
        tell_setting(u, r, "durability", "yes",
                     "appendonly is off: what the target accepted is lost when it stops");
        break;
    case PROBE_DEFAULT_USER:
        tell_default_user(u, r);
        break;
    case PROBE_XADD:
        tell_command(u, "command XADD", &r->nodes[0], "0-0");
        break;
    case PROBE_KEY:
        tell_key(u, &u->flows[q->flow], r);
        break;
    case PROBE_CONFIRM:
        tell_command(u,
                     u->flows[q->flow].f.options.confirm == OXBOW_CONFIRM_AOF ? "command WAITAOF"
                                                                              : "command WAIT",
                     &r->nodes[0], NULL);
        break;
    }
    if (u->request_count == 0) {
        connection_fail(u, OXBOW_TROUBLE_NONE, "", plan);
    }
}
