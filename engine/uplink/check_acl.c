/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of rights for a device: what its forwards use and nothing else.
 */
#include "engine/base/buf.h"
#include "engine/uplink/text.h"
#include "oxbow/oxbow.h"
#include "oxbow/uplink.h"

#include <stdbool.h>

struct rights {
    bool stream, list, wait, waitaof;
    bool meanwhile; /* a stand-in of the store may send, too */
};

/* Glob characters stand for themselves. No pattern may hold a blank or a zero, and on a command line
 * no quote: a "?" takes their place, which lets in any byte there. */
static void add_escaped(struct text *t, const char *key, size_t len)
{
    static const char glob[] = {'*', '?', '[', ']', '\\'};
    static const char unsaid[] = {' ', '\t', '\n', '\v', '\f', '\r', '\0', '"', '\''};
    size_t i;

    for (i = 0; i < len; i++) {
        if (memchr(unsaid, key[i], sizeof(unsaid)) != NULL) {
            text_add(t, "?");
            continue;
        }
        if (memchr(glob, key[i], sizeof(glob)) != NULL) {
            text_add(t, "\\");
        }
        text_bytes(t, key + i, 1);
    }
}

/* Keys outside oxbow:{device}: are named one by one, lists with their cursor. */
static void add_keys(struct text *t, const struct oxbow_identity *id, const struct oxbow_forward *f,
                     bool meanwhile)
{
    char own[OXBOW_DEVICE_MAX + 16];
    struct text prefix = text_in(own, sizeof(own));
    struct oxbow_bytes target = f->options.target;
    const char *key = target.data, *open, *close;

    text_add(&prefix, "oxbow:{");
    text_add(&prefix, id->device);
    text_add(&prefix, "}:");
    if (target.len >= prefix.len && memcmp(key, own, prefix.len) == 0) {
        return;
    }
    text_add(t, " ~");
    add_escaped(t, key, target.len);
    if (f->options.type != OXBOW_TYPE_LIST) {
        if (meanwhile) {
            text_add(t, " ~");
            add_escaped(t, key, target.len);
            text_add(t, ":meanwhile:*");
        }
        return;
    }
    open = memchr(key, '{', target.len);
    close = open == NULL ? NULL : memchr(open, '}', target.len - (size_t)(open - key));
    if (close == NULL || close == open + 1) {
        open = key - 1;
        close = key + target.len;
    }
    text_add(t, " ~oxbow:{");
    add_escaped(t, open + 1, (size_t)(close - open - 1));
    text_add(t, "}:cursor:");
    text_add(t, id->device);
    text_add(t, ":*");
}

static enum oxbow_err add_forwards(struct oxbow_txn *txn, const struct oxbow_identity *id,
                                   struct oxbow_forward *f, struct text *t, struct rights *rights)
{
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_result names = {0};
    enum oxbow_err err = oxbow_forward_list(txn, &names);
    size_t i;

    for (i = 0; !err && i < names.item_count; i++) {
        struct text n = text_in(name, sizeof(name));

        text_bytes(&n, names.items[i].data, names.items[i].len);
        err = oxbow_forward_get(txn, name, f);
        if (err) {
            break;
        }
        rights->list = rights->list || f->options.type == OXBOW_TYPE_LIST;
        rights->stream = rights->stream || f->options.type == OXBOW_TYPE_STREAM;
        rights->wait = rights->wait || f->options.confirm == OXBOW_CONFIRM_REPLICAS;
        rights->waitaof = rights->waitaof || f->options.confirm == OXBOW_CONFIRM_AOF;
        add_keys(t, id, f, rights->meanwhile);
    }
    oxbow_result_fini(&names);
    return err;
}

static void add_commands(struct text *t, enum oxbow_uplink_mode mode, const struct rights *rights)
{
    text_add(t, " -@all +hello +auth +ping +get +set +time");
    if (mode == OXBOW_UPLINK_FUNCTION) {
        text_add(t, " +fcall");
    }
    if (mode == OXBOW_UPLINK_MULTI) {
        text_add(t, " +watch +multi +exec +discard");
    } else {
        text_add(t, " +evalsha +eval");
    }
    if (rights->stream) {
        text_add(t, " +xadd +xinfo|stream");
    }
    if (rights->list) {
        text_add(t, " +rpush +hget +hset");
    }
    if (rights->wait) {
        text_add(t, " +wait");
    }
    if (rights->waitaof) {
        text_add(t, " +waitaof");
    }
}

static enum oxbow_err write_line(struct oxbow_txn *txn, const char *user,
                                 enum oxbow_uplink_mode mode, bool meanwhile,
                                 struct oxbow_forward *f, struct text *t)
{
    struct oxbow_identity id;
    struct rights rights = {.meanwhile = meanwhile};
    enum oxbow_err err = oxbow_identity_get(txn, &id);

    if (err) {
        return err;
    }
    text_add(t, "ACL SETUSER ");
    text_add(t, user == NULL ? id.device : user);
    text_add(t, " reset on #<sha256> resetchannels ~oxbow:{");
    text_add(t, id.device);
    text_add(t, "}:*");
    err = add_forwards(txn, &id, f, t, &rights);
    add_commands(t, mode, &rights);
    return err;
}

enum oxbow_err oxbow_uplink_acl_line(struct oxbow *db, const char *user,
                                     enum oxbow_uplink_mode mode, char *out, size_t cap)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;
    struct oxbow_forward *f = mem_new(alloc, sizeof(*f));
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = f == NULL ? OXBOW_ENOMEM : oxbow_txn_begin(db, &opt, &txn);
    struct oxbow_stat stat;
    struct text t;

    oxbow_stat(db, &stat);

    if (cap == 0) {
        err = err ? err : OXBOW_ETOOBIG;
    }
    if (!err) {
        t = text_in(out, cap);
        err = write_line(txn, user, mode, stat.memory_max > 0 && !stat.stand_in, f, &t);
        if (!err && t.cut) {
            err = OXBOW_ETOOBIG;
        }
    }
    if (txn != NULL) {
        oxbow_txn_abort(txn);
    }
    mem_free(alloc, f, sizeof(*f));
    return err;
}
