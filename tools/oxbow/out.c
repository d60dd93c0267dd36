/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects cells as JSON values beside the text that people see, and prints one of the two at
 * close. The table is kept in memory: commands that could print without end limit their rows.
 */
#include "tools/oxbow/out.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cell {
    char *text;
    bool right; /* numbers stand right */
};

struct out {
    bool json;
    bool record;
    const char *const *columns;
    size_t column_count;
    json_t *rows;
    json_t *row; /* the one being filled */
    struct cell *cells;
    size_t cell_count;
    size_t cell_cap;
};

static void *must(void *p)
{
    if (p == NULL) {
        fputs("oxbow: out of memory\n", stderr);
        exit(3);
    }
    return p;
}

struct out *out_open(bool json, bool record, const char *const *columns)
{
    struct out *out = must(calloc(1, sizeof *out));

    out->json = json;
    out->record = record;
    out->columns = columns;
    while (columns[out->column_count] != NULL) {
        out->column_count++;
    }
    if (json) {
        out->rows = must(json_array());
    }
    return out;
}

/* Takes `value` and `text`: one of them is used. */
static void add(struct out *out, json_t *value, char *text, bool right)
{
    size_t column = out->cell_count % out->column_count;

    if (out->json) {
        if (column == 0) {
            out->row = must(json_object());
            json_array_append_new(out->rows, out->row);
        }
        json_object_set_new(out->row, out->columns[column], must(value));
        free(text);
        out->cell_count++;
        return;
    }
    json_decref(value);
    if (out->cell_count == out->cell_cap) {
        out->cell_cap = out->cell_cap == 0 ? 64 : 2 * out->cell_cap;
        out->cells = must(realloc(out->cells, out->cell_cap * sizeof *out->cells));
    }
    out->cells[out->cell_count].text = must(text);
    out->cells[out->cell_count].right = right;
    out->cell_count++;
}

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

/* Well-formed UTF-8 stays as it is; control characters, quotes of C and other bytes are escaped. */
static char *escaped(struct oxbow_bytes bytes)
{
    static const char raw[] = "\n\r\t\\";
    static const char letters[] = "nrt\\";
    const unsigned char *p = bytes.data;
    char *text = must(malloc(4 * bytes.len + 1));
    json_t *probe = json_stringn(bytes.len == 0 ? "" : bytes.data, bytes.len);
    bool utf8 = probe != NULL;
    size_t n = 0;

    json_decref(probe);
    for (size_t i = 0; i < bytes.len; i++) {
        const char *special = p[i] == 0 ? NULL : strchr(raw, p[i]);

        if (special != NULL) {
            text[n++] = '\\';
            text[n++] = letters[special - raw];
        } else if (p[i] < 0x20 || p[i] == 0x7f || (p[i] >= 0x80 && !utf8)) {
            n += (size_t)sprintf(text + n, "\\x%02x", p[i]);
        } else {
            text[n++] = (char)p[i];
        }
    }
    text[n] = '\0';
    return text;
}

static json_t *base64(struct oxbow_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes.data;
    char *text = must(malloc(bytes.len / 3 * 4 + 5));
    json_t *value;
    size_t n = 0;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (left > 2 ? (unsigned)p[i + 2] : 0);

        text[n++] = digits[v >> 18];
        text[n++] = digits[v >> 12 & 63];
        text[n++] = left > 1 ? digits[v >> 6 & 63] : '=';
        text[n++] = left > 2 ? digits[v & 63] : '=';
    }
    value = json_pack("{s:s#}", "base64", text, (int)n);
    free(text);
    return value;
}

static json_t *json_bytes(struct oxbow_bytes bytes)
{
    json_t *value = json_stringn(bytes.len == 0 ? "" : bytes.data, bytes.len);

    return must(value != NULL ? value : base64(bytes));
}

void out_bytes(struct out *out, struct oxbow_bytes bytes)
{
    if (out->json) {
        add(out, json_bytes(bytes), NULL, false);
        return;
    }
    add(out, NULL, escaped(bytes), false);
}

void out_fields(struct out *out, const struct oxbow_field *fields, size_t count)
{
    json_t *list = must(json_array());

    for (size_t i = 0; i < count; i++) {
        json_t *pair = must(json_array());

        json_array_append_new(pair, json_bytes(fields[i].name));
        json_array_append_new(pair, json_bytes(fields[i].value));
        json_array_append_new(list, pair);
    }
    add(out, list, NULL, false);
}

void out_table(struct out *out, struct out *rows)
{
    json_t *list = rows->rows;

    rows->rows = NULL;
    out_drop(rows);
    add(out, list, NULL, false);
}

void out_text(struct out *out, const char *text)
{
    out_bytes(out, (struct oxbow_bytes){text, strlen(text)});
}

/* JSON numbers are exact up to 63 bits here; above, a string. */
static json_t *json_u64(uint64_t value)
{
    char text[32];

    if (value <= INT64_MAX) {
        return json_integer((json_int_t)value);
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

void out_number(struct out *out, uint64_t value)
{
    add(out, out->json ? json_u64(value) : NULL, format("%" PRIu64, value), true);
}

void out_signed(struct out *out, int64_t value)
{
    add(out, out->json ? json_integer(value) : NULL, format("%" PRId64, value), true);
}

void out_real(struct out *out, double value, int digits)
{
    add(out, out->json ? json_real(value) : NULL, format("%.*f", digits, value), true);
}

void out_id(struct out *out, struct oxbow_id id)
{
    char *text = format("%" PRIu64 "-%" PRIu64, id.ms, id.seq);

    add(out, out->json ? json_string(must(text)) : NULL, text, false);
}

void out_size(struct out *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t unit = 0;

    while (v >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        v /= 1024;
        unit++;
    }
    add(out, out->json ? json_u64(bytes) : NULL,
        format("%.*f %s", unit == 0 ? 0 : 1, v, units[unit]), true);
}

void out_age(struct out *out, uint64_t ms)
{
    uint64_t s = ms / 1000;
    char *text;

    if (s < 1) {
        text = format("%" PRIu64 " ms", ms);
    } else if (s < 60) {
        text = format("%.1f s", (double)ms / 1000);
    } else if (s < 3600) {
        text = format("%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    } else if (s < 86400) {
        text = format("%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    } else {
        text = format("%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    }
    add(out, out->json ? json_u64(ms) : NULL, text, true);
}

void out_none(struct out *out)
{
    add(out, out->json ? json_null() : NULL, format("-"), true);
}

/* Characters that a UTF-8 text takes on a screen, wide ones aside. */
static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static void pad(size_t n)
{
    while (n-- > 0) {
        putchar(' ');
    }
}

static void print_record(const struct out *out)
{
    size_t count = out->column_count > 0 ? out->column_count : 1;
    size_t wide = 0;

    for (size_t i = 0; i < count; i++) {
        wide = width(out->columns[i]) > wide ? width(out->columns[i]) : wide;
    }
    for (size_t i = 0; i < out->cell_count; i++) {
        const char *name = out->columns[i % count];

        if (i > 0 && i % count == 0) {
            putchar('\n');
        }
        fputs(name, stdout);
        pad(wide - width(name) + 2);
        puts(out->cells[i].text);
    }
}

static void print_cell(const char *text, size_t wide, bool right, bool last)
{
    size_t room = wide - width(text);

    if (right) {
        pad(room);
    }
    fputs(text, stdout);
    if (!last && !right) {
        pad(room);
    }
    fputs(last ? "\n" : "  ", stdout);
}

static void print_table(const struct out *out)
{
    size_t wide[OUT_COLUMNS_MAX] = {0};
    size_t count = out->column_count > 0 ? out->column_count : 1;

    for (size_t i = 0; i < count; i++) {
        wide[i] = width(out->columns[i]);
    }
    for (size_t i = 0; i < out->cell_count; i++) {
        size_t w = width(out->cells[i].text);

        wide[i % count] = w > wide[i % count] ? w : wide[i % count];
    }
    for (size_t i = 0; i < count; i++) {
        bool right = out->cell_count > 0 && out->cells[i].right;

        print_cell(out->columns[i], wide[i], right, i + 1 == count);
    }
    for (size_t i = 0; i < out->cell_count; i++) {
        print_cell(out->cells[i].text, wide[i % count], out->cells[i].right,
                   i % count + 1 == count);
    }
}

void out_drop(struct out *out)
{
    for (size_t i = 0; !out->json && i < out->cell_count; i++) {
        free(out->cells[i].text);
    }
    json_decref(out->rows);
    free(out->cells);
    free(out);
}

bool out_close(struct out *out)
{
    bool ok;

    if (out->json) {
        json_t *top = out->record ? json_array_get(out->rows, 0) : out->rows;

        json_dumpf(top, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (out->record) {
        print_record(out);
    } else {
        print_table(out);
    }
    ok = fflush(stdout) == 0 && ferror(stdout) == 0;
    out_drop(out);
    return ok;
}
