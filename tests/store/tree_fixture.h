/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the tree by itself: one in a fresh directory, with no store around it. */
#ifndef OXBOW_TESTS_STORE_TREE_FIXTURE_H
#define OXBOW_TESTS_STORE_TREE_FIXTURE_H

#include "engine/store/envelope.h"
#include "engine/store/store.h"
#include "engine/store/tree.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MAP_BYTES ((uint64_t)64 << 20)

struct world {
    struct rig rig; /* its directory and port; no store is opened */
    struct tree *tree;
};

static struct world world;

static inline void tree_up(uint64_t map_bytes)
{
    const struct tree_config config = {
        .port = &world.rig.port, .dir = world.rig.dir, .map_bytes = map_bytes};

    assert_int_equal(tree_open(&config, &world.tree), OXBOW_OK);
}

static inline void tree_again(uint64_t map_bytes)
{
    tree_close(world.tree);
    tree_up(map_bytes);
}

static inline int set_up(void **state)
{
    static uint8_t meta[META_BYTES];
    char path[300];
    FILE *f;

    (void)state;
    rig_init(&world.rig, OXBOW_SYNC_ALWAYS);
    format_meta(meta, MAP_BYTES);
    snprintf(path, sizeof path, "%s/" TREE_FILE, world.rig.dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(meta, 1, sizeof meta, f), sizeof meta);
    assert_int_equal(fclose(f), 0);
    tree_up(MAP_BYTES);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    tree_close(world.tree);
    rig_fini(&world.rig);
    return 0;
}

static inline struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static inline void begin(void)
{
    assert_int_equal(tree_write_begin(world.tree), OXBOW_OK);
}

static inline enum oxbow_err try_commit(uint64_t lsn)
{
    struct tree_header h = *tree_header(world.tree);

    h.lsn = lsn;
    return tree_write_commit(world.tree, &h);
}

static inline void commit(uint64_t lsn)
{
    assert_int_equal(try_commit(lsn), OXBOW_OK);
}

#endif
