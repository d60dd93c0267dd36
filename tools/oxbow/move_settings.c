/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies, options of groups, bindings, sources and schedules in an export, as commands of our own.
 * They stand behind what they are about, so that an import puts entries back before a limit, a
 * binding or a schedule takes hold.
 *
 *   OXBOW.POLICY key (field value)...             numbers as in oxbow_policy_fields
 *   OXBOW.GROUP key group (option value)...
 *   OXBOW.BIND source destination type kind on-full any field pattern value-field (name value)...
 *   OXBOW.SOURCE key keeps-nothing alternate
 *   OXBOW.SCHEDULE name when offset missed missed-max late key end paused fields (name value)... | value
 */
#include "tools/oxbow/move_settings.h"

#include "oxbow/binding.h"
#include "oxbow/group_options.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/stream.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 48u

enum option_kind { OPTION_MS, OPTION_NUMBER, OPTION_BYTES, OPTION_YES };

/* Options of groups, by the names that stand in files: never changed. */
static const struct group_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
} group_rows[] = {
    {"visibility-ms", OPTION_MS, offsetof(struct oxbow_group_options, visibility_ms)},
    {"max-deliveries", OPTION_NUMBER, offsetof(struct oxbow_group_options, max_deliveries)},
    {"dead-letter", OPTION_BYTES, offsetof(struct oxbow_group_options, dead_letter)},
    {"dead-remove", OPTION_YES, offsetof(struct oxbow_group_options, dead_remove)},
    {"retry-base-ms", OPTION_MS, offsetof(struct oxbow_group_options, retry_base_ms)},
    {"retry-factor", OPTION_NUMBER, offsetof(struct oxbow_group_options, retry_factor_percent)},
    {"retry-max-ms", OPTION_MS, offsetof(struct oxbow_group_options, retry_max_ms)},
    {"retry-jitter", OPTION_NUMBER, offsetof(struct oxbow_group_options, retry_jitter_percent)},
    {"prefetch", OPTION_NUMBER, offsetof(struct oxbow_group_options, prefetch)},
    {"key-field", OPTION_BYTES, offsetof(struct oxbow_group_options, key_field)},
    {"exclusive-ms", OPTION_MS, offsetof(struct oxbow_group_options, exclusive_ms)},
};

#define GROUP_ROWS (sizeof group_rows / sizeof group_rows[0])

static bool is(struct oxbow_bytes arg, const char *text)
{
    return arg.len == strlen(text) && memcmp(arg.data, text, arg.len) == 0;
}

static bool number_of(struct oxbow_bytes arg, uint64_t max, uint64_t *out)
{
    const uint8_t *p = arg.data;
    uint64_t n = 0;

    if (arg.len == 0 || arg.len > 20) {
        return false;
    }
    for (size_t i = 0; i < arg.len; i++) {
        uint64_t digit = (uint64_t)p[i] - '0';

        if (digit > 9 || n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *out = n;
    return n <= max;
}

/* ---- policies ---- */

static void write_policy(struct resp_file *f, struct oxbow_bytes key, const struct oxbow_policy *p)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    size_t set = 0;

    for (size_t i = 0; i < count; i++) {
        set += oxbow_policy_value(p, &fields[i]) != 0;
    }
    resp_command(f, 2 + 2 * set);
    resp_text(f, "OXBOW.POLICY");
    resp_arg(f, key);
    for (size_t i = 0; i < count; i++) {
        if (oxbow_policy_value(p, &fields[i]) != 0) {
            resp_text(f, fields[i].name);
            resp_number(f, oxbow_policy_value(p, &fields[i]));
        }
    }
}

enum oxbow_err settings_priorities(struct oxbow_txn *txn, struct resp_file *f,
                                   struct oxbow_bytes key)
{
    static const struct oxbow_policy all = {.priorities = OXBOW_PRIORITIES_MAX};
    struct oxbow_stream_priorities info;
    enum oxbow_err err = oxbow_stream_priorities(txn, key, &info);

    for (unsigned i = 1; err == OXBOW_OK && i < OXBOW_PRIORITIES_MAX; i++) {
        if (info.entries[i] > 0) {
            write_policy(f, key, &all);
            break;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err write_policies(struct oxbow_txn *txn, struct resp_file *f)
{
    struct oxbow_result names = {0};
    struct oxbow_policy p;
    enum oxbow_err err = oxbow_policy_list(txn, &names);

    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        err = oxbow_policy_get(txn, names.items[i], &p);
        if (err == OXBOW_OK) {
            write_policy(f, names.items[i], &p);
        }
    }
    oxbow_result_fini(&names);
    return err;
}

static enum oxbow_err run_policy(struct oxbow_txn *txn, const struct oxbow_bytes *args,
                                 size_t count)
{
    size_t rows;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&rows);
    struct oxbow_policy p = {0};

    for (size_t i = 2; i + 1 < count; i += 2) {
        size_t row = 0;
        uint64_t n;

        while (row < rows && !is(args[i], fields[row].name)) {
            row++;
        }
        if (row == rows || !number_of(args[i + 1], UINT64_MAX, &n) ||
            oxbow_policy_value_set(&p, &fields[row], n) != OXBOW_OK) {
            return OXBOW_EPARSE;
        }
    }
    return count % 2 == 0 ? oxbow_policy_set(txn, args[1], &p) : OXBOW_EPARSE;
}

/* ---- options of groups ---- */

enum oxbow_err settings_group(struct oxbow_txn *txn, struct resp_file *f, struct oxbow_group group)
{
    static const struct oxbow_group_options none;
    struct oxbow_group_options opt;
    struct oxbow_result memory = {0};
    bool any = false;
    enum oxbow_err err = oxbow_group_options_get(txn, group, &memory, &opt);

    any = err == OXBOW_OK &&
          (opt.visibility_ms != none.visibility_ms || opt.max_deliveries > 0 ||
           opt.dead_letter.len > 0 || opt.dead_remove || opt.retry_base_ms > 0 ||
           opt.retry_factor_percent > 0 || opt.retry_max_ms > 0 || opt.retry_jitter_percent > 0 ||
           opt.prefetch > 0 || opt.key_field.len > 0 || opt.exclusive_ms > 0);
    if (any) {
        resp_command(f, 3 + 2 * GROUP_ROWS);
        resp_text(f, "OXBOW.GROUP");
        resp_arg(f, group.key);
        resp_arg(f, group.name);
    }
    for (size_t i = 0; any && i < GROUP_ROWS; i++) {
        const void *at = (const char *)&opt + group_rows[i].offset;

        resp_text(f, group_rows[i].name);
        if (group_rows[i].kind == OPTION_BYTES) {
            resp_arg(f, *(const struct oxbow_bytes *)at);
        } else if (group_rows[i].kind == OPTION_MS) {
            resp_number(f, *(const uint64_t *)at);
        } else {
            resp_number(f, group_rows[i].kind == OPTION_YES ? *(const bool *)at
                                                            : *(const uint32_t *)at);
        }
    }
    oxbow_result_fini(&memory);
    return err;
}

static bool option_set(struct oxbow_group_options *opt, struct oxbow_bytes name,
                       struct oxbow_bytes value)
{
    for (size_t i = 0; i < GROUP_ROWS; i++) {
        void *at = (char *)opt + group_rows[i].offset;
        enum option_kind kind = group_rows[i].kind;
        uint64_t n = 0;

        if (!is(name, group_rows[i].name)) {
            continue;
        }
        if (kind == OPTION_BYTES) {
            *(struct oxbow_bytes *)at = value;
            return true;
        }
        if (!number_of(value,
                       kind == OPTION_MS    ? UINT64_MAX
                       : kind == OPTION_YES ? 1
                                            : UINT32_MAX,
                       &n)) {
            return false;
        }
        if (kind == OPTION_MS) {
            *(uint64_t *)at = n;
        } else if (kind == OPTION_YES) {
            *(bool *)at = n == 1;
        } else {
            *(uint32_t *)at = (uint32_t)n;
        }
        return true;
    }
    return false;
}

static enum oxbow_err run_group(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count)
{
    struct oxbow_group_options opt = {0};

    if (count < 3 || count % 2 == 0) {
        return OXBOW_EPARSE;
    }
    for (size_t i = 3; i + 1 < count; i += 2) {
        if (!option_set(&opt, args[i], args[i + 1])) {
            return OXBOW_EPARSE;
        }
    }
    return oxbow_group_options_set(txn, (struct oxbow_group){args[1], args[2]}, &opt);
}

/* ---- bindings ---- */

static void write_binding(struct resp_file *f, const struct oxbow_binding *b)
{
    resp_command(f, 10 + 2 * (size_t)b->header_count);
    resp_text(f, "OXBOW.BIND");
    resp_arg(f, b->source);
    resp_arg(f, b->destination);
    resp_number(f, (uint64_t)b->type);
    resp_number(f, (uint64_t)b->kind);
    resp_number(f, (uint64_t)b->on_full);
    resp_number(f, b->any);
    resp_arg(f, b->field);
    resp_arg(f, b->pattern);
    resp_arg(f, b->value_field);
    for (uint32_t i = 0; i < b->header_count; i++) {
        resp_arg(f, b->headers[i].name);
        resp_arg(f, b->headers[i].value);
    }
}

static enum oxbow_err write_bindings(struct oxbow_txn *txn, struct resp_file *f, uint32_t database)
{
    struct oxbow_binding_info b;
    struct oxbow_source_info s;
    uint32_t place = 0;
    enum oxbow_err err;

    for (b.id = 0; (err = oxbow_binding_next(txn, b.id, &b)) == OXBOW_OK;) {
        if (b.database == database) {
            write_binding(f, &b.binding);
        }
    }
    if (err != OXBOW_ENOENT) {
        return err;
    }
    while ((err = oxbow_source_next(txn, &place, &s)) == OXBOW_OK) {
        if (s.database == database && (s.source.keeps_nothing || s.source.alternate.len > 0)) {
            resp_command(f, 4);
            resp_text(f, "OXBOW.SOURCE");
            resp_arg(f, s.key);
            resp_number(f, s.source.keeps_nothing);
            resp_arg(f, s.source.alternate);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Pairs of arguments as fields; NULL: no memory. */
static struct oxbow_field *fields_of(const struct oxbow_bytes *args, size_t count)
{
    struct oxbow_field *fields = calloc(count + 1, sizeof *fields);

    for (size_t i = 0; fields != NULL && i < count; i++) {
        fields[i] = (struct oxbow_field){args[2 * i], args[2 * i + 1]};
    }
    return fields;
}

static enum oxbow_err run_bind(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count)
{
    struct oxbow_binding b = {0};
    struct oxbow_field *headers;
    uint64_t type, kind, full, any;
    enum oxbow_err err;

    if (count < 10 || count % 2 != 0 || !number_of(args[3], INT32_MAX, &type) ||
        !number_of(args[4], INT32_MAX, &kind) || !number_of(args[5], INT32_MAX, &full) ||
        !number_of(args[6], 1, &any)) {
        return OXBOW_EPARSE;
    }
    headers = fields_of(args + 10, (count - 10) / 2);
    if (headers == NULL) {
        return OXBOW_ENOMEM;
    }
    b = (struct oxbow_binding){.source = args[1],
                               .destination = args[2],
                               .type = (enum oxbow_type)type,
                               .kind = (enum oxbow_binding_kind)kind,
                               .on_full = (enum oxbow_binding_full)full,
                               .any = any == 1,
                               .field = args[7],
                               .pattern = args[8],
                               .value_field = args[9],
                               .headers = headers,
                               .header_count = (uint32_t)((count - 10) / 2)};
    err = oxbow_bind(txn, &b, NULL);
    free(headers);
    return err;
}

static enum oxbow_err run_source(struct oxbow_txn *txn, const struct oxbow_bytes *args,
                                 size_t count)
{
    uint64_t nothing;

    if (count != 4 || !number_of(args[2], 1, &nothing)) {
        return OXBOW_EPARSE;
    }
    return oxbow_source_set(
        txn, args[1], &(struct oxbow_source){.keeps_nothing = nothing == 1, .alternate = args[3]});
}

/* ---- schedules ---- */

static void write_schedule(struct resp_file *f, const struct oxbow_schedule_info *s,
                           const struct oxbow_result *entry)
{
    bool stream = entry->entry_count > 0;
    uint32_t fields = stream ? entry->entries[0].field_count : 0;
    char offset[WORD_MAX];

    (void)snprintf(offset, sizeof offset, "%" PRId32, s->offset_min);
    resp_command(f, 11 + (stream ? 2 * (size_t)fields : 1));
    resp_text(f, "OXBOW.SCHEDULE");
    resp_text(f, s->name);
    resp_arg(f, s->when);
    resp_text(f, offset);
    resp_number(f, (uint64_t)s->missed_do);
    resp_number(f, s->missed_max);
    resp_number(f, s->late_ms);
    resp_arg(f, s->key);
    resp_number(f, (uint64_t)s->end);
    resp_number(f, s->paused);
    resp_number(f, fields);
    for (uint32_t i = 0; i < fields; i++) {
        resp_arg(f, entry->entries[0].fields[i].name);
        resp_arg(f, entry->entries[0].fields[i].value);
    }
    if (!stream) {
        resp_arg(f, entry->items[0]);
    }
}

static enum oxbow_err write_schedules(struct oxbow_txn *txn, struct resp_file *f, uint32_t database)
{
    struct oxbow_result names = {0};
    struct oxbow_result entry = {0};
    struct oxbow_schedule_info info;
    enum oxbow_err err = oxbow_schedule_list(txn, &names);

    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        char name[OXBOW_SCHEDULE_NAME_MAX + 1] = {0};

        memcpy(name, names.items[i].data, names.items[i].len);
        err = oxbow_schedule_entry(txn, name, &entry);
        if (err == OXBOW_OK) {
            err = oxbow_schedule_get(txn, name, &info);
        }
        if (err == OXBOW_OK && info.database == database) {
            write_schedule(f, &info, &entry);
        }
    }
    oxbow_result_fini(&entry);
    oxbow_result_fini(&names);
    return err;
}

static bool offset_of(struct oxbow_bytes arg, int32_t *out)
{
    bool minus = arg.len > 0 && ((const char *)arg.data)[0] == '-';
    struct oxbow_bytes digits = {(const char *)arg.data + minus, arg.len - minus};
    uint64_t n;

    if (!number_of(digits, 1440, &n)) {
        return false;
    }
    *out = minus ? -(int32_t)n : (int32_t)n;
    return true;
}

static enum oxbow_err run_schedule(struct oxbow_txn *txn, const struct oxbow_bytes *args,
                                   size_t count)
{
    struct oxbow_schedule_options opt = {0};
    char name[OXBOW_SCHEDULE_NAME_MAX + 1] = {0};
    uint64_t missed, most, end, paused, fields = 0;
    struct oxbow_field *all;
    enum oxbow_err err;

    if (count < 12 || args[1].len > OXBOW_SCHEDULE_NAME_MAX ||
        !offset_of(args[3], &opt.offset_min) || !number_of(args[4], INT32_MAX, &missed) ||
        !number_of(args[5], UINT32_MAX, &most) || !number_of(args[6], UINT64_MAX, &opt.late_ms) ||
        !number_of(args[8], 1, &end) || !number_of(args[9], 1, &paused) ||
        !number_of(args[10], UINT32_MAX, &fields) ||
        count != 11 + (fields > 0 ? 2 * (size_t)fields : 1)) {
        return OXBOW_EPARSE;
    }
    all = fields_of(args + 11, (size_t)fields);
    if (all == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(name, args[1].data, args[1].len);
    opt.when = args[2];
    opt.missed = (enum oxbow_schedule_missed)missed;
    opt.missed_max = (uint32_t)most;
    opt.key = args[7];
    opt.end = (enum oxbow_end)end;
    if (fields > 0) {
        opt.fields = all;
        opt.field_count = (uint32_t)fields;
    } else {
        opt.value = args[11];
    }
    err = oxbow_schedule_set(txn, name, &opt);
    if (err == OXBOW_OK && paused == 1) {
        err = oxbow_schedule_pause(txn, name, true);
    }
    free(all);
    return err;
}

/* ---- all of them ---- */

enum oxbow_err settings_any(struct oxbow_txn *txn, bool *any)
{
    struct oxbow_result names = {0};
    struct oxbow_binding_info b;
    struct oxbow_source_info s;
    uint32_t place = 0;
    enum oxbow_err err = oxbow_policy_list(txn, &names);

    *any = err == OXBOW_OK && names.item_count > 0;
    if (err == OXBOW_OK && !*any) {
        err = oxbow_schedule_list(txn, &names);
        *any = err == OXBOW_OK && names.item_count > 0;
    }
    oxbow_result_fini(&names);
    if (err == OXBOW_OK && !*any) {
        err = oxbow_binding_next(txn, 0, &b);
        *any = err == OXBOW_OK;
        err = err == OXBOW_ENOENT ? oxbow_source_next(txn, &place, &s) : err;
        *any = err == OXBOW_OK;
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return err;
}

enum oxbow_err settings_database(struct oxbow_txn *txn, struct resp_file *f, uint32_t database)
{
    enum oxbow_err err = write_policies(txn, f);

    if (err == OXBOW_OK) {
        err = write_bindings(txn, f, database);
    }
    return err == OXBOW_OK ? write_schedules(txn, f, database) : err;
}

enum oxbow_err settings_run(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count)
{
    static const struct {
        const char *name;
        enum oxbow_err (*run)(struct oxbow_txn *txn, const struct oxbow_bytes *args, size_t count);
    } rows[] = {{"OXBOW.POLICY", run_policy},
                {"OXBOW.GROUP", run_group},
                {"OXBOW.BIND", run_bind},
                {"OXBOW.SOURCE", run_source},
                {"OXBOW.SCHEDULE", run_schedule}};

    for (size_t i = 0; count >= 2 && i < sizeof rows / sizeof rows[0]; i++) {
        if (is(args[0], rows[i].name)) {
            return rows[i].run(txn, args, count);
        }
    }
    return OXBOW_EPARSE;
}
