/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: the families, look-up by name in any case. */
#include "engine/resp/command.h"

#include "engine/base/hash.h"

#include <string.h>

static const struct resp_command *const families[] = {
    resp_oxbow_commands,        resp_list_commands,        resp_stream_commands,
    resp_string_commands,       resp_bit_commands,         resp_hash_commands,
    resp_zset_combine_commands, resp_set_commands,         resp_zset_commands,
    resp_zset_range_commands,   resp_key_commands,         resp_expire_commands,
    resp_sort_commands,         resp_dump_commands,        resp_object_commands,
    resp_durable_commands,      resp_multi_commands,       resp_pubsub_commands,
    resp_connection_commands,   resp_auth_commands,        resp_server_commands,
    resp_slowlog_commands,      resp_latency_commands,     resp_monitor_commands,
    resp_debug_commands,        resp_script_commands,      resp_function_commands,
    resp_sentinel_commands,     resp_hash_expire_commands,
};

#define FAMILY_COUNT (sizeof families / sizeof families[0])

const struct resp_command *resp_table_row(uint32_t idx)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        for (const struct resp_command *row = families[f]; row->name != NULL; row++) {
            if (idx-- == 0) {
                return row;
            }
        }
    }
    return NULL;
}

/* The slot of the name, or the free one where it belongs. */
static uint32_t slot_of(const struct resp_table *t, const char *name, size_t len)
{
    uint64_t at = hash64(name, len, 0);

    while (t->slots[at % RESP_COMMAND_SLOTS] != NULL &&
           strcmp(t->slots[at % RESP_COMMAND_SLOTS]->name, name) != 0) {
        at++;
    }
    return (uint32_t)(at % RESP_COMMAND_SLOTS);
}

void resp_table_init(struct resp_table *t)
{
    const struct resp_command *row;

    *t = (struct resp_table){.count = 0};
    while ((row = resp_table_row(t->count)) != NULL) {
        t->slots[slot_of(t, row->name, strlen(row->name))] = row;
        for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
            t->slots[slot_of(t, sub->name, strlen(sub->name))] = sub;
        }
        t->count++;
    }
}

uint32_t resp_table_slot(const struct resp_table *t, const struct resp_command *row)
{
    return slot_of(t, row->name, strlen(row->name));
}

/* The name in lower case; false: no command's name is as long. */
static bool lowered(struct oxbow_bytes name, char out[RESP_NAME_MAX])
{
    const char *p = name.data;

    if (name.len >= RESP_NAME_MAX || name.len == 0) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        out[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];
        if (out[i] == '\0') {
            return false;
        }
    }
    out[name.len] = '\0';
    return true;
}

const struct resp_command *resp_table_find_full(const struct resp_table *t, struct oxbow_bytes name)
{
    char text[RESP_NAME_MAX];

    return lowered(name, text) ? t->slots[slot_of(t, text, name.len)] : NULL;
}

const struct resp_command *resp_table_find(const struct resp_table *t, struct oxbow_bytes name)
{
    bool is_sub = name.len > 0 && memchr(name.data, '|', name.len) != NULL;

    return is_sub ? NULL : resp_table_find_full(t, name);
}

const struct resp_command *resp_sub_find(const struct resp_command *row, struct oxbow_bytes name)
{
    char text[RESP_NAME_MAX];

    if (!lowered(name, text)) {
        return NULL;
    }
    for (const struct resp_command *sub = row->subs; sub->name != NULL; sub++) {
        if (strcmp(strchr(sub->name, '|') + 1, text) == 0) {
            return sub;
        }
    }
    return NULL;
}
