/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void fixture_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    char path[512];

    if (d == NULL) {
        return;
    }
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
            unlink(path);
        }
    }
    closedir(d);
    rmdir(dir);
}

void fixture_init(struct fixture *f, const struct oxbow_config *config)
{
    memset(f, 0, sizeof(*f));
    if (config != NULL) {
        f->config = *config;
    } else {
        f->config.sync = OXBOW_SYNC_INTERVAL;
    }
    snprintf(f->dir, sizeof(f->dir), "/tmp/oxbow-queue-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->config.dir = f->dir;
    assert_ok(oxbow_open(&f->config, &f->db));
}

void fixture_fini(struct fixture *f)
{
    if (f->txn != NULL) {
        oxbow_txn_abort(f->txn);
    }
    if (f->db != NULL) {
        assert_ok(oxbow_close(f->db));
    }
    oxbow_result_fini(&f->result);
    fixture_remove(f->dir);
}

void fixture_reopen(struct fixture *f)
{
    assert_null(f->txn);
    assert_ok(oxbow_close(f->db));
    f->db = NULL;
    assert_ok(oxbow_open(&f->config, &f->db));
}

void fixture_begin(struct fixture *f)
{
    assert_null(f->txn);
    assert_ok(oxbow_txn_begin(f->db, NULL, &f->txn));
}

void fixture_commit(struct fixture *f)
{
    struct oxbow_txn *txn = f->txn;

    f->txn = NULL;
    assert_ok(oxbow_txn_commit(txn, NULL));
}

void fixture_abort(struct fixture *f)
{
    oxbow_txn_abort(f->txn);
    f->txn = NULL;
}

int fixture_setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    assert_non_null(f);
    fixture_init(f, NULL);
    fixture_begin(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

const char *fixture_items(const struct oxbow_result *result)
{
    static char text[4096];
    size_t len = 0;
    size_t i;

    text[0] = '\0';
    for (i = 0; i < result->item_count; i++) {
        int n = snprintf(text + len, sizeof(text) - len, "%s%.*s", i == 0 ? "" : " ",
                         (int)result->items[i].len, (const char *)result->items[i].data);

        assert_true(n >= 0 && (size_t)n < sizeof(text) - len);
        len += (size_t)n;
    }
    return text;
}

uint64_t fixture_seed(void)
{
    const char *env = getenv("OXBOW_SEED");
    struct timespec now;
    uint64_t seed;

    clock_gettime(CLOCK_REALTIME, &now);
    seed = env != NULL ? strtoull(env, NULL, 0)
                       : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    printf("OXBOW_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t fixture_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
