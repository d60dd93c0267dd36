/* SPDX-License-Identifier: Apache-2.0 */
/* Reads pages of the data file without believing them. It does no I/O and knows no trees. */
#include "engine/store/page.h"

#include <string.h>

#define WORD       sizeof(size_t)
#define META_MAGIC 0xBEEFC0DEu
#define META_DB    (WORD * 5 + 8) /* bytes of a database's record */

static uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t word_at(const uint8_t *p)
{
    size_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* A node's low and high half stand in memory as one 32-bit number of the host does. */
static uint32_t halves_at(const uint8_t *p)
{
    return u32_at(p);
}

uint64_t page_number(const uint8_t *page)
{
    return word_at(page);
}

uint16_t page_flags(const uint8_t *page)
{
    return u16_at(page + WORD + 2);
}

uint32_t page_run(const uint8_t *page)
{
    return u32_at(page + WORD + 4);
}

bool page_check(const uint8_t *page, uint64_t number, size_t *count)
{
    uint16_t flags = page_flags(page);
    size_t lower = u16_at(page + WORD + 4);
    size_t upper = u16_at(page + WORD + 6);

    if (page_number(page) != number || (flags != PAGE_BRANCH && flags != PAGE_LEAF) ||
        lower < PAGE_HEAD_BYTES || lower > upper || upper > PAGE_BYTES || (lower & 1) != 0) {
        return false;
    }
    *count = (lower - PAGE_HEAD_BYTES) / 2;
    return true;
}

bool page_node(const uint8_t *page, size_t idx, struct page_node *out)
{
    size_t upper = u16_at(page + WORD + 6);
    size_t at = u16_at(page + PAGE_HEAD_BYTES + idx * 2);
    const uint8_t *node = page + at;
    uint16_t flags;
    size_t key_len;
    size_t used;

    if (at < upper || at > PAGE_BYTES - PAGE_NODE_BYTES) {
        return false;
    }
    flags = u16_at(node + 4);
    key_len = u16_at(node + 6);
    used = at + PAGE_NODE_BYTES + key_len;
    if (used > PAGE_BYTES) {
        return false;
    }
    memset(out, 0, sizeof *out);
    out->key = (struct oxbow_bytes){node + PAGE_NODE_BYTES, key_len};
    if (page_flags(page) == PAGE_BRANCH) {
        out->child = halves_at(node);
        if (WORD > 4) {
            out->child |= (uint64_t)flags << 32;
        }
        return true;
    }
    out->data_len = halves_at(node);
    out->big = flags == PAGE_NODE_BIG;
    if (flags != 0 && !out->big) {
        return false;
    }
    if (out->big) {
        if (used + WORD > PAGE_BYTES) {
            return false;
        }
        out->overflow = word_at(page + used);
        return true;
    }
    if (out->data_len > PAGE_BYTES - used) {
        return false;
    }
    out->data = (struct oxbow_bytes){page + used, out->data_len};
    return true;
}

bool page_packed(const uint8_t *page, size_t count)
{
    bool branch = page_flags(page) == PAGE_BRANCH;
    size_t upper = u16_at(page + WORD + 6);
    size_t used = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        struct page_node n;
        size_t bytes;

        if (!page_node(page, i, &n)) {
            return false;
        }
        bytes = PAGE_NODE_BYTES + n.key.len + (branch ? 0 : n.big ? WORD : n.data_len);
        used += bytes + (bytes & 1);
    }
    return used == PAGE_BYTES - upper;
}

static void read_db(const uint8_t *p, struct page_db *db)
{
    db->pad = u32_at(p);
    db->flags = u16_at(p + 4);
    db->depth = u16_at(p + 6);
    db->branch_pages = word_at(p + 8);
    db->leaf_pages = word_at(p + 8 + WORD);
    db->overflow_pages = word_at(p + 8 + 2 * WORD);
    db->entries = word_at(p + 8 + 3 * WORD);
    db->root = word_at(p + 8 + 4 * WORD);
}

bool page_meta(const uint8_t *page, uint64_t number, struct page_meta *out)
{
    const uint8_t *p = page + PAGE_HEAD_BYTES;

    if (page_number(page) != number || (page_flags(page) & PAGE_META) == 0 ||
        u32_at(p) != META_MAGIC || u32_at(p + 4) != 1) {
        return false;
    }
    p += 8 + WORD;
    out->map_bytes = word_at(p);
    p += WORD;
    read_db(p, &out->free_list);
    read_db(p + META_DB, &out->main);
    p += 2 * META_DB;
    out->last_page = word_at(p);
    out->txn = word_at(p + WORD);
    return out->free_list.pad == PAGE_BYTES;
}

void page_meta_turn(uint8_t *page, uint64_t number, uint64_t txn)
{
    size_t n = (size_t)number;
    size_t t = (size_t)txn;

    memcpy(page, &n, sizeof n);
    memcpy(page + PAGE_HEAD_BYTES + 8 + 2 * WORD + 2 * META_DB + WORD, &t, sizeof t);
}

bool page_list_walk(struct oxbow_bytes record, bool (*visit)(void *ctx, uint64_t page), void *ctx,
                    bool *more)
{
    const uint8_t *p = record.data;
    size_t count;

    if (record.len < sizeof count) {
        return false;
    }
    memcpy(&count, p, sizeof count);
    if (count > record.len / sizeof count - 1) {
        return false;
    }
    for (*more = true; *more && count > 0; count--) {
        size_t page;

        memcpy(&page, p + count * sizeof page, sizeof page);
        *more = visit(ctx, page);
    }
    return true;
}
