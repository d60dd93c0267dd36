/* SPDX-License-Identifier: Apache-2.0 */
/* Who was refused what: the newest first, like ones of a minute as one. */
#include "engine/resp/acl.h"

#include <string.h>

#define ENTRY_TEXT_MAX ((size_t)4096) /* who may not even log in must not fill memory */
#define SAME_WITHIN_US 60000000u
#define SAME_LOOK_MAX  10u /* entries in which a like one is looked for */

static void entry_free(struct acl *acl, struct acl_entry *e)
{
    link_remove(&e->of_log);
    buf_fini(&e->object);
    buf_fini(&e->user);
    buf_fini(&e->client);
    mem_free(&acl->port->alloc, e, sizeof *e);
}

static bool text_is(const struct buf *text, struct oxbow_bytes other)
{
    size_t len = other.len < text->len_max ? other.len : text->len_max;

    return text->len == len && (len == 0 || memcmp(text->data, other.data, len) == 0);
}

/* Takes what fits. */
static bool text_set(struct buf *text, struct oxbow_bytes from)
{
    size_t len = from.len < text->len_max ? from.len : text->len_max;

    text->len = 0;
    return len == 0 || buf_append(text, from.data, len) == OXBOW_OK;
}

static void to_front(struct acl *acl, struct acl_entry *e)
{
    link_remove(&e->of_log);
    link_add(acl->log.next, &e->of_log);
}

static struct acl_entry *like(struct acl *acl, const struct acl_entry *wanted,
                              struct oxbow_bytes object, struct oxbow_bytes user)
{
    uint32_t n = 0;

    for (struct link *l = acl->log.next; l != &acl->log && n < SAME_LOOK_MAX; l = l->next, n++) {
        struct acl_entry *e = LINK_OF(l, struct acl_entry, of_log);

        if (e->reason == wanted->reason && strcmp(e->context, wanted->context) == 0 &&
            wanted->at_us - e->at_us <= SAME_WITHIN_US && text_is(&e->object, object) &&
            text_is(&e->user, user)) {
            return e;
        }
    }
    return NULL;
}

void acl_log_add(struct acl *acl, enum acl_verdict reason, const char *context,
                 struct oxbow_bytes object, struct oxbow_bytes user, struct oxbow_bytes client)
{
    const struct oxbow_alloc *alloc = &acl->port->alloc;
    const struct acl_entry wanted = {.reason = reason,
                                     .context = context,
                                     .at_us = acl->port->clock.mono_us(acl->port->clock.ctx)};
    struct acl_entry *e = like(acl, &wanted, object, user);

    if (e != NULL) {
        e->count++;
        e->at_us = wanted.at_us;
        (void)text_set(&e->client, client); /* without memory it is not told: the rest is */
        to_front(acl, e);
        return;
    }
    e = mem_new(alloc, sizeof *e);
    if (e == NULL) {
        return;
    }
    *e = wanted;
    e->count = 1;
    link_init(&e->of_log);
    buf_init(&e->object, alloc, ENTRY_TEXT_MAX);
    buf_init(&e->user, alloc, ENTRY_TEXT_MAX);
    buf_init(&e->client, alloc, ENTRY_TEXT_MAX);
    if (!text_set(&e->object, object) || !text_set(&e->user, user) ||
        !text_set(&e->client, client)) {
        entry_free(acl, e);
        return;
    }
    to_front(acl, e);
    acl->log_count++;
    acl_log_trim(acl);
}

void acl_log_trim(struct acl *acl)
{
    while (acl->log_count > acl->log_max) {
        entry_free(acl, LINK_OF(acl->log.prev, struct acl_entry, of_log));
        acl->log_count--;
    }
}

void acl_log_clear(struct acl *acl)
{
    while (!link_alone(&acl->log)) {
        entry_free(acl, LINK_OF(acl->log.next, struct acl_entry, of_log));
    }
    acl->log_count = 0;
}

const char *acl_reason(enum acl_verdict reason)
{
    static const char *const names[] = {[ACL_ALLOWED] = "none",
                                        [ACL_DENIED_COMMAND] = "command",
                                        [ACL_DENIED_KEY] = "key",
                                        [ACL_DENIED_AUTH] = "auth",
                                        [ACL_DENIED_CHANNEL] = "channel"};

    return names[reason];
}
