/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of damaged data files share: a store's directory, and its data file as bytes. */
#ifndef OXBOW_TESTS_STORE_SALVAGE_FIXTURE_H
#define OXBOW_TESTS_STORE_SALVAGE_FIXTURE_H

#include "engine/store/salvage.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PAGE 4096u

static char dir[SCRATCH_MAX];
static uint8_t *image; /* of the sound data file; to be freed */
static size_t image_len;

/* A path that is good until the next call. */
static inline const char *in_dir(const char *name)
{
    static char path[SCRATCH_MAX + 32];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* All that a store and its mending leave in the directory, and that. */
static inline void remove_all(void)
{
    static const char *const more[] = {SALVAGE_NEW, SALVAGE_LOCK, SALVAGE_MENDED, SALVAGE_DAMAGED,
                                       SALVAGE_DAMAGED2};

    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        (void)unlink(in_dir(more[i]));
    }
    (void)rmdir(in_dir(SALVAGE_DIR));
    scratch_remove(dir);
}

static inline void read_image(void)
{
    struct stat st;
    int fd = open(in_dir("data.mdb"), O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    free(image);
    image_len = (size_t)st.st_size;
    image = malloc(image_len);
    assert_non_null(image);
    assert_int_equal(read(fd, image, image_len), image_len);
    assert_int_equal(close(fd), 0);
}

static inline void write_image(const uint8_t *bytes, size_t len)
{
    int fd = open(in_dir("data.mdb"), O_WRONLY | O_CREAT | O_TRUNC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(close(fd), 0);
}

#endif
