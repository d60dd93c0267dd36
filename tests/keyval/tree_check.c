/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through a tree depth first with a stack of its own; every entry is compared with the one
 * before it and with all bounds above it. */
#include "tests/keyval/tree_check.h"

#include "engine/keyval/btree_node.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

struct frame {
    struct node node;
    size_t idx;
};

static int bytes_order(struct oxbow_bytes a, struct oxbow_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.data, b.data, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct oxbow_bytes whole(struct btree *t, const struct btree_ref *ref, uint8_t *buf)
{
    assert_true(ref->len <= 1000000);
    assert_ok(outside_copy(t->txn, t->object, ref, buf, (size_t)ref->len));
    return (struct oxbow_bytes){buf, (size_t)ref->len};
}

/* A member against a bound: what is cut short is compared as far as it goes. */
static int bound_order(uint64_t order, struct oxbow_bytes member, const struct inner_entry *b)
{
    struct oxbow_bytes prefix = {b->prefix, b->prefix_len};

    if (order != b->order) {
        return order < b->order ? -1 : 1;
    }
    if (b->cut && member.len > b->prefix_len) {
        member.len = b->prefix_len;
    }
    if (b->cut && bytes_order(member, prefix) == 0) {
        return 0;
    }
    return bytes_order(member, prefix);
}

static void leaf_check(struct btree *t, struct frame *stack, size_t depth, uint64_t *seen)
{
    static uint8_t last[1000000];
    static uint8_t now[1000000];
    static size_t last_len;
    static uint64_t last_order;
    const struct node *leaf = &stack[depth].node;
    size_t pos = 0;

    for (size_t i = 0; i < leaf->n; i++) {
        struct btree_entry e;
        struct oxbow_bytes member;

        assert_ok(entry_decode(leaf->e, leaf->used, pos, &e));
        pos += e.size;
        member = whole(t, &e.member, now);
        if (*seen > 0) {
            int order = bytes_order((struct oxbow_bytes){last, last_len}, member);

            assert_true(last_order < e.order || (last_order == e.order && order < 0));
        }
        for (size_t d = 0; d < depth; d++) {
            struct inner_entry b;

            if (stack[d].idx > 0) {
                inner_decode(stack[d].node.e, stack[d].idx, &b);
                assert_true(bound_order(e.order, member, &b) >= 0);
            }
            if (stack[d].idx + 1u < stack[d].node.n) {
                inner_decode(stack[d].node.e, stack[d].idx + 1, &b);
                assert_true(bound_order(e.order, member, &b) <= 0);
            }
        }
        memcpy(last, now, member.len);
        last_len = member.len;
        last_order = e.order;
        (*seen)++;
    }
    assert_int_equal(pos, leaf->used);
}

void tree_check(struct btree *t, size_t *nodes)
{
    struct frame *stack = calloc(BTREE_DEPTH_MAX, sizeof *stack);
    size_t depth = 0;
    size_t count = 1;
    uint64_t seen = 0;

    assert_non_null(stack);
    assert_ok(node_load(t, 0, &stack[0].node));
    assert_int_equal(node_count(&stack[0].node), t->count);
    for (;;) {
        struct frame *f = &stack[depth];

        if (f->node.level > 0 && f->idx < f->node.n) {
            struct frame *down = &stack[depth + 1];

            assert_ok(node_load(t, inner_child(f->node.e, f->idx), &down->node));
            assert_int_equal(down->node.level, f->node.level - 1);
            assert_true(down->node.n > 0);
            assert_int_equal(node_count(&down->node), inner_count(f->node.e, f->idx));
            down->idx = 0;
            depth++;
            count++;
            continue;
        }
        if (f->node.level == 0) {
            leaf_check(t, stack, depth, &seen);
        }
        if (depth == 0) {
            break;
        }
        depth--;
        stack[depth].idx++;
    }
    assert_int_equal(seen, t->count);
    free(stack);
    if (nodes != NULL) {
        *nodes = count;
    }
}
