/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quota: our own account of what the data file will hold, kept well below the map's size, since
 * a map that is full cannot even be emptied. What only deletes does not ask here and lives off the
 * reserve above the quota.
 */
#include "engine/store/store.h"

enum oxbow_err txn_reserve_bytes(struct oxbow_txn *txn, size_t bytes)
{
    const struct oxbow *db = txn->db;
    uint64_t used = (db->usage.pages - db->usage.free_pages) * TREE_PAGE_BYTES;

    used += db->active->cost * (TREE_PAGE_BYTES / MEM_COST_PAGE);
    if (db->frozen != NULL) {
        used += db->frozen->cost * (TREE_PAGE_BYTES / MEM_COST_PAGE);
    }
    return used + bytes > db->config.quota_bytes ? OXBOW_EQUOTA : OXBOW_OK;
}
