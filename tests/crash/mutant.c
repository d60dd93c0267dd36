/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breaks the real store from outside. The first two mutants are lies of the recorder. The third
 * stands between the store and LMDB: these definitions of mdb_put and mdb_txn_commit are found
 * before the library's. They hold back the store's header record and commit it in a second
 * transaction.
 */
#include "tests/crash/mutant.h"

#include "engine/store/kv.h"
#include "tests/crash/record.h"

#include <dlfcn.h>
#include <lmdb.h>
#include <string.h>

#define HEADER_MAX 512u

static enum mutant now;
static uint64_t moved;
static uint8_t header[HEADER_MAX];
static size_t header_len; /* 0: none is held back */
static MDB_dbi header_dbi;

static const char *const names[MUTANTS] = {"none", "no-sync", "no-dir-sync", "lsn"};

const char *mutant_name(enum mutant m)
{
    return m < MUTANTS ? names[m] : "?";
}

bool mutant_find(const char *name, enum mutant *out)
{
    for (int m = MUTANT_NONE; m < MUTANTS; m++)
        if (strcmp(name, names[m]) == 0) {
            *out = (enum mutant)m;
            return true;
        }
    return false;
}

void mutant_set(enum mutant m)
{
    now = m;
    header_len = 0;
    recorder_lie(m == MUTANT_NO_SYNC       ? RECORD_LIE_DATA
                 : m == MUTANT_NO_DIR_SYNC ? RECORD_LIE_DIR
                                           : 0);
}

uint64_t mutant_moved(void)
{
    return moved;
}

static void *real(const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (fn == NULL)
        lab_die("LMDB is not a shared library here", name);
    return fn;
}

static int real_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
    int (*put)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned);
    void *fn = real("mdb_put");
    memcpy(&put, &fn, sizeof put);
    return put(txn, dbi, key, data, flags);
}

static int real_commit(MDB_txn *txn)
{
    int (*commit)(MDB_txn *);
    void *fn = real("mdb_txn_commit");
    memcpy(&commit, &fn, sizeof commit);
    return commit(txn);
}

static uint8_t header_key[2] = {KV_SPACE_STORE, 'h'};

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
    if (now != MUTANT_LSN || key->mv_size != sizeof header_key ||
        memcmp(key->mv_data, header_key, sizeof header_key) != 0)
        return real_put(txn, dbi, key, data, flags);
    if (data->mv_size > sizeof header)
        lab_die("the header", "is too long to hold back");
    header_len = data->mv_size;
    header_dbi = dbi;
    if ((flags & MDB_RESERVE) != 0)
        data->mv_data = header;
    else
        memcpy(header, data->mv_data, data->mv_size);
    return MDB_SUCCESS;
}

int mdb_txn_commit(MDB_txn *txn)
{
    MDB_env *env = mdb_txn_env(txn);
    int rc = real_commit(txn);
    if (rc != MDB_SUCCESS || header_len == 0)
        return rc;
    MDB_txn *second = NULL;
    MDB_val key = {.mv_size = sizeof header_key, .mv_data = header_key};
    MDB_val data = {.mv_size = header_len, .mv_data = header};
    header_len = 0;
    moved++;
    rc = mdb_txn_begin(env, NULL, 0, &second);
    if (rc == MDB_SUCCESS)
        rc = real_put(second, header_dbi, &key, &data, 0);
    return rc == MDB_SUCCESS ? real_commit(second) : rc;
}
