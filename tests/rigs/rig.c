/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rigs on a real kernel, see docs/TESTING.md:
 *
 *   rig kill N          kill -9 of a load with many threads, N times
 *   rig shutdown N      the file system under the load shut down, N times
 *   rig verify          a store against the records of a witness (a virtual machine's disk)
 *   rig load            the load alone, its records to --witness (inside a virtual machine)
 *
 * Options: --seed S, --dir D (where to work, or the store's), --fs ext4|xfs, --policy
 * always|interval|none|mix, --journal on|off|mix, --control nosync|forged|rollback|skip, --save D,
 * --witness FILE, --image FILE, --threads T, --shape S, --entropy E, --interval MS, --verbose.
 *
 * Exit status: 0 good (with --control: the fault was caught), 1 not, 2 the rig itself failed, 77
 * this machine lacks what it needs.
 */
#include "tests/rigs/options.h"

#include "tests/rigs/campaign.h"
#include "tests/rigs/mounts.h"
#include "tests/rigs/nosync.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct load_options load_options(const struct options *o)
{
    return (struct load_options){
        .dir = o->dir,
        .seed = o->seed,
        .shape = o->shape,
        .threads = o->threads,
        .sync = o->policy == POLICY_MIX ? OXBOW_SYNC_ALWAYS : (enum oxbow_sync)o->policy,
        .interval_ms = o->interval_ms,
        .journal = o->journal == JOURNAL_MIX ? OXBOW_JOURNAL_ON : (enum oxbow_journal)o->journal,
    };
}

/* Machines that go on from one state would all draw the same random numbers. */
static void stir(uint64_t entropy)
{
    /* struct rand_pool_info: bits, bytes, and these. */
    uint32_t pool[4] = {64, sizeof entropy};
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);

    memcpy(&pool[2], &entropy, sizeof entropy);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) != 0 || ioctl(fd, RNDRESEEDCRNG) != 0)
        die("/dev/urandom");
    close(fd);
}

static int run_load(const struct options *o)
{
    struct load_options load = load_options(o);

    if (o->witness == NULL)
        return options_usage("load needs --witness");
    load.witness_fd = open(o->witness, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (load.witness_fd < 0)
        die(o->witness);
    if (o->entropy != 0)
        stir(o->entropy);
    if (o->control == CONTROL_NOSYNC)
        nosync_begin();
    return load_run(&load);
}

static void take_file(struct witness *w, const char *path)
{
    uint8_t bytes[RECORD_BYTES * 100];
    size_t len = 0, used;
    FILE *f = fopen(path, "rb");

    if (f == NULL)
        die(path);
    for (size_t n; (n = fread(bytes + len, 1, sizeof bytes - len, f)) > 0;) {
        len += n;
        used = witness_take_bytes(w, bytes, len);
        if (used == 0 && len >= RECORD_BYTES)
            break; /* no record: the witness has noted it */
        memmove(bytes, bytes + used, len - used);
        len -= used;
    }
    fclose(f);
}

static int verify(const struct options *o, const char *store)
{
    struct witness w = {.seed = o->seed};
    struct load_options load = load_options(o);
    struct verdict v;

    load.dir = store;
    take_file(&w, o->witness);
    verify_apart(&load, &w, true, &v);
    printf("%s told %zu rows %" PRIu64 " values %" PRIu64 " lsn %" PRIu64 "%s%s\n",
           v.good ? "good" : "BAD", w.told, v.rows, v.objects, v.lsn, v.good ? "" : ": ",
           v.good ? "" : v.why);
    witness_free(&w);
    return v.good ? 0 : 1;
}

/* The store is --dir, or `store` on the file system in --image, mounted below --dir. */
static int run_verify(const struct options *o)
{
    struct mounts mounts;
    char why[400], store[320];
    int status = 1;

    if (o->witness == NULL)
        return options_usage("verify needs --witness");
    if (o->image == NULL)
        return verify(o, o->dir);
    if (!mounts_enter(why, sizeof why)) {
        printf("rig verify: skipped: %s\n", why);
        return 77;
    }
    if (mounts_init_image(&mounts, o->fs, o->image, o->dir, why, sizeof why)) {
        snprintf(store, sizeof store, "%s/store", mounts.dir);
        status = verify(o, store);
    } else {
        printf("BAD: %s\n", why);
    }
    mounts_fini(&mounts);
    return status;
}

int main(int argc, char **argv)
{
    struct options o;
    int status = options_read(&o, argc, argv);

    if (status != 0)
        return status;
    switch (o.what) {
    case RUN_LOAD:
        return run_load(&o);
    case RUN_VERIFY:
        return run_verify(&o);
    default:
        return campaign_run(&o);
    }
}
