/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a new store: the FORMAT file, and the two meta pages that make an empty LMDB file with
 * pages of 4096 bytes whatever the host's are. It does no I/O.
 *
 * FORMAT is text, these lines in this order:
 *
 *   oxbow store
 *   format 1.2         version and level; level 1 is `format 1`
 *   word 64            bits of a size_t
 *   order little       or big
 *   page 4096
 *   id 0123456789abcdef
 *   ...                lines that a level this version does not know has; else none
 *   sum 01234567       CRC-32C of all before it; not at level 1
 *
 * A text whose sum is right is whole, whatever else it says: what does not fit is of another version.
 * One without may be damaged, unless it reads well and is of another kind of machine.
 *
 * A meta page, W being a word of the host (8 or 4 bytes), all in the host's byte order:
 *
 *   | number W | 0 u16 | flags u16: 8 | 0 u16 | 0 u16 |
 *   | magic u32 | version u32 | address W: 0 | map W |
 *   | free list: page u32, flags u16: 8, depth u16: 0, 4 counts W: 0, root W: ~0 |
 *   | main:      0 u32,    flags u16: 0, depth u16: 0, 4 counts W: 0, root W: ~0 |
 *   | last page W: 1 | transaction W: 0 | zeros
 */
#include "engine/base/hash.h"
#include "engine/base/num.h"
#include "engine/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define META_MAGIC      0xBEEFC0DEu
#define META_VERSION    1u
#define PAGE_META       0x08u
#define FREE_LIST_FLAGS 0x08u /* keys are native integers */
#define SUM_LINE        13u   /* `sum `, eight digits and the line feed */
#define WORD_BITS       ((unsigned)(sizeof(size_t) * 8))

static const char *order_name(void)
{
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first == 1 ? "little" : "big";
}

size_t format_text(char out[FORMAT_BYTES_MAX], const struct store_format *format)
{
    char level[16] = "";
    int n;

    if (format->level > 1) {
        (void)snprintf(level, sizeof level, ".%" PRIu32, format->level);
    }
    n = snprintf(out, FORMAT_BYTES_MAX,
                 "oxbow store\nformat %u%s\nword %u\norder %s\npage %u\nid %016" PRIx64 "\n",
                 OXBOW_FORMAT_VERSION, level, WORD_BITS, order_name(), TREE_PAGE_BYTES, format->id);
    if (format->level > 1) {
        n += snprintf(out + n, FORMAT_BYTES_MAX - (size_t)n, "sum %08" PRIx32 "\n",
                      crc32c(0, out, (size_t)n));
    }
    return (size_t)n;
}

/* The next line begins with `name`: *value is the rest of it. */
static bool line_take(struct oxbow_bytes *text, const char *name, struct oxbow_bytes *value)
{
    size_t n = strlen(name);
    const char *p = text->data;
    const char *end = text->len > 0 ? memchr(p, '\n', text->len) : NULL;

    if (end == NULL || (size_t)(end - p) < n || memcmp(p, name, n) != 0) {
        return false;
    }
    *value = (struct oxbow_bytes){p + n, (size_t)(end - p) - n};
    text->len -= (size_t)(end - p) + 1;
    text->data = end + 1;
    return true;
}

static bool number_is(struct oxbow_bytes value, uint64_t want)
{
    uint64_t v;

    return num_u64(value, &v) == OXBOW_OK && v == want;
}

static bool text_is(struct oxbow_bytes value, const char *want)
{
    return value.len == strlen(want) && memcmp(value.data, want, value.len) == 0;
}

static bool hex_read(struct oxbow_bytes value, size_t digits_wanted, uint64_t *out)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t v = 0;
    size_t i;

    if (value.len != digits_wanted) {
        return false;
    }
    for (i = 0; i < value.len; i++) {
        const char *d = memchr(digits, ((const char *)value.data)[i], 16);

        if (d == NULL) {
            return false;
        }
        v = v << 4 | (uint64_t)(d - digits);
    }
    *out = v;
    return true;
}

/* The version, and a level from 2 on behind a point. */
static bool version_read(struct oxbow_bytes value, uint32_t *level)
{
    const char *p = value.data;
    const char *point = value.len > 0 ? memchr(p, '.', value.len) : NULL;
    size_t n = point != NULL ? (size_t)(point - p) : value.len;
    uint64_t v = 1;

    if (!number_is((struct oxbow_bytes){p, n}, OXBOW_FORMAT_VERSION)) {
        return false;
    }
    if (point != NULL &&
        (num_u64((struct oxbow_bytes){point + 1, value.len - n - 1}, &v) != OXBOW_OK || v < 2 ||
         v > FORMAT_LEVEL_MAX)) {
        return false;
    }
    *level = (uint32_t)v;
    return true;
}

/* Whether the text ends in a line with its sum, and that is right. */
static bool sum_right(const char *text, size_t len)
{
    struct oxbow_bytes value;
    struct oxbow_bytes line;
    uint64_t sum;

    if (len <= SUM_LINE || text[len - SUM_LINE - 1] != '\n') {
        return false;
    }
    line = (struct oxbow_bytes){text + len - SUM_LINE, SUM_LINE};
    return line_take(&line, "sum ", &value) && line.len == 0 && hex_read(value, 8, &sum) &&
           sum == crc32c(0, text, len - SUM_LINE);
}

/* The lines that say for what machine it is. */
static const char *machine_take(struct oxbow_bytes *rest, bool *other)
{
    struct oxbow_bytes value = {NULL, 0};
    const char *why = NULL;

    if (!line_take(rest, "word ", &value) || !number_is(value, WORD_BITS)) {
        *other = number_is(value, 32) || number_is(value, 64);
        return "the store was made on a machine of another word size: export and import it";
    }
    if (!line_take(rest, "order ", &value) || !text_is(value, order_name())) {
        *other = text_is(value, "little") || text_is(value, "big");
        return "the store was made on a machine of another byte order: export and import it";
    }
    if (!line_take(rest, "page ", &value) || !number_is(value, TREE_PAGE_BYTES)) {
        why = "the store has another page size";
    }
    return why;
}

enum oxbow_err format_parse(const char *text, size_t len, struct store_format *format,
                            struct format_verdict *verdict)
{
    struct oxbow_bytes rest = {text, len};
    struct oxbow_bytes value;
    bool whole = sum_right(text, len);
    bool other = false;
    uint32_t level = 0;
    uint64_t id;
    const char *why;

    if (!line_take(&rest, "oxbow store", &value) || value.len != 0) {
        why = "FORMAT is not one of oxbow";
    } else if (!line_take(&rest, "format ", &value) || !version_read(value, &level)) {
        why = "the store is of another format version";
    } else {
        why = machine_take(&rest, &other);
    }
    if (why == NULL && (!line_take(&rest, "id ", &value) || !hex_read(value, 16, &id) ||
                        (level == 1 ? rest.len != 0 : !whole) ||
                        (level <= OXBOW_FORMAT_LEVEL && level > 1 && rest.len != SUM_LINE))) {
        why = "FORMAT is damaged";
    }
    if (why == NULL) {
        *format = (struct store_format){.id = id, .level = level};
        return OXBOW_OK;
    }
    verdict->why = why;
    verdict->whole = whole || (level == 1 && other);
    return OXBOW_EFORMAT;
}

static uint8_t *put_u16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static uint8_t *put_word(uint8_t *p, size_t v)
{
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static uint8_t *put_database(uint8_t *p, uint32_t pad, uint16_t flags)
{
    int i;

    p = put_u32(p, pad);
    p = put_u16(p, flags);
    p = put_u16(p, 0);
    for (i = 0; i < 4; i++) {
        p = put_word(p, 0);
    }
    return put_word(p, SIZE_MAX);
}

void format_meta(uint8_t out[META_BYTES], uint64_t map_bytes)
{
    size_t page;

    memset(out, 0, META_BYTES);
    for (page = 0; page < 2; page++) {
        uint8_t *p = out + page * TREE_PAGE_BYTES;

        p = put_word(p, page);
        p = put_u16(p, 0);
        p = put_u16(p, PAGE_META);
        p = put_u32(p, 0);
        p = put_u32(p, META_MAGIC);
        p = put_u32(p, META_VERSION);
        p = put_word(p, 0);
        p = put_word(p, (size_t)map_bytes);
        p = put_database(p, TREE_PAGE_BYTES, FREE_LIST_FLAGS);
        p = put_database(p, 0, 0);
        p = put_word(p, 1);
        (void)put_word(p, 0);
    }
}
