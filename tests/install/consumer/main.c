/* SPDX-License-Identifier: Apache-2.0 */
/* The least that an installed oxbow must do: keep an entry from one opening to the next. */
#include "oxbow/list.h"
#include "oxbow/oxbow.h"

#include <stdio.h>
#include <string.h>

static enum oxbow_err push(struct oxbow *db, struct oxbow_bytes key, struct oxbow_bytes value)
{
    struct oxbow_txn *txn;
    uint64_t len;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_list_push(txn, key, OXBOW_RIGHT, &value, 1, &len);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

static enum oxbow_err pop(struct oxbow *db, struct oxbow_bytes key, struct oxbow_result *result)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_list_pop(txn, key, OXBOW_LEFT, 1, result);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

int main(int argc, char **argv)
{
    const struct oxbow_bytes key = {"readings", 8};
    const struct oxbow_bytes value = {"21.5", 4};
    const struct oxbow_config config = {.dir = argc > 1 ? argv[1] : "store"};
    struct oxbow_result result = {0};
    struct oxbow *db;
    enum oxbow_err err = oxbow_open(&config, &db);

    if (err == OXBOW_OK) {
        err = push(db, key, value);
        if (oxbow_close(db) != OXBOW_OK || err != OXBOW_OK) {
            printf("push: %s\n", oxbow_err_text(err));
            return 1;
        }
        err = oxbow_open(&config, &db);
    }
    if (err != OXBOW_OK) {
        printf("open: %s\n", oxbow_err_text(err));
        return 1;
    }
    err = pop(db, key, &result);
    if (oxbow_close(db) != OXBOW_OK || err != OXBOW_OK || result.item_count != 1 ||
        result.items[0].len != 4 || memcmp(result.items[0].data, "21.5", 4) != 0) {
        printf("pop: %s, %zu items\n", oxbow_err_text(err), result.item_count);
        return 1;
    }
    oxbow_result_fini(&result);
    printf("kept\n");
    return 0;
}
