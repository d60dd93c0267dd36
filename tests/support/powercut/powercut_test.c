/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim loses what was not synced and nothing else. Each test runs this program again as a
 * child under the shim, in a fresh directory, lets it act a scene and cut its own power, and looks
 * at what is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE         4096
#define MAPPED_PAGES 2000

static char base[] = "/tmp/powercut_test_XXXXXX";
static char dir[64], report[64];

/* ---- the child's scenes ---- */

static void must(int ok)
{
    if (!ok) {
        perror("scene");
        _exit(3);
    }
}

static void fill(int fd, char letter, off_t pos, size_t len)
{
    char buf[8 * PAGE];
    memset(buf, letter, len);
    must(pwrite(fd, buf, len, pos) == (ssize_t)len);
}

static void sync_dir(void)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    must(fd >= 0 && fsync(fd) == 0 && close(fd) == 0);
}

/* A page of 'a', durable. */
static int settled_file(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT, 0644);
    must(fd >= 0);
    fill(fd, 'a', 0, PAGE);
    must(fsync(fd) == 0);
    sync_dir();
    return fd;
}

static void scene_overwrite(void)
{
    int fd = settled_file("f");
    fill(fd, 'b', 100, 50);
    fill(fd, 'c', PAGE, 2 * PAGE);
}

/* As redis-server does for its title. */
static void scene_environment_gone(void)
{
    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, "POWERCUT_REPORT=", 16) == 0)
            memset(*entry, 'x', strlen(*entry));
    scene_overwrite();
}

static void scene_sync_then_more(void)
{
    int fd = settled_file("f");
    fill(fd, 'b', 0, PAGE);
    must(fdatasync(fd) == 0);
    fill(fd, 'c', 0, PAGE);
}

static void scene_dsync(void)
{
    int fd = settled_file("f");
    int meta = open("f", O_WRONLY | O_DSYNC);
    must(meta >= 0);
    fill(fd, 'b', 1000, 10);
    fill(meta, 'm', 32, 120);
    fill(meta, 'n', PAGE, 10);
}

static void scene_streams(void)
{
    int fd = settled_file("f");
    char one[] = "12345", two[] = "6789";
    struct iovec iov[2] = {{one, 5}, {two, 4}};
    must(lseek(fd, 10, SEEK_SET) == 10 && writev(fd, iov, 2) == 9 && write(fd, "xyz", 3) == 3);
    must(lseek(fd, 0, SEEK_CUR) == 22 && fdatasync(fd) == 0);
    must(write(fd, "lost", 4) == 4);
    int end = open("f", O_WRONLY | O_APPEND);
    must(end >= 0 && write(end, "tail", 4) == 4);
}

static void scene_lengths(void)
{
    int shrunk = settled_file("shrunk"), grown = settled_file("grown"), cut = settled_file("cut");
    must(ftruncate(shrunk, 10) == 0);
    must(posix_fallocate(grown, 0, 1 << 20) == 0);
    must(cut >= 0 && open("cut", O_WRONLY | O_TRUNC) >= 0);
}

static void scene_names(void)
{
    close(settled_file("kept"));
    close(settled_file("gone"));
    close(settled_file("target"));
    int made = open("made", O_RDWR | O_CREAT | O_EXCL, 0644);
    must(made >= 0);
    fill(made, 'z', 0, PAGE);
    must(fsync(made) == 0);
    int source = open("source", O_RDWR | O_CREAT, 0644);
    must(source >= 0);
    fill(source, 's', 0, PAGE);
    must(fsync(source) == 0 && unlink("gone") == 0);
    sync_dir();
    must(rename("source", "target") == 0 && unlink("kept") == 0 && mkdir("sub", 0755) == 0);
    int late = open("late", O_RDWR | O_CREAT, 0644);
    must(late >= 0 && fsync(late) == 0);
}

static atomic_uint told_count;

/* Each thread writes the next number into its own page and, once it is durable, tells the parent.
 */
static void *counting_thread(void *arg)
{
    off_t pos = (off_t)(intptr_t)arg * PAGE;
    int fd = open("f", O_RDWR);
    must(fd >= 0);
    for (uint32_t n = 1;; n++) {
        uint32_t told[2] = {(uint32_t)(intptr_t)arg, n};
        must(pwrite(fd, &n, sizeof n, pos) == sizeof n);
        must(fdatasync(fd) == 0);
        must(write(STDOUT_FILENO, told, sizeof told) == sizeof told);
        told_count++;
    }
    return NULL;
}

static void scene_threads(void)
{
    int fd = settled_file("f");
    fill(fd, '\0', 0, 4 * PAGE);
    must(fsync(fd) == 0);
    pthread_t t;
    for (intptr_t i = 0; i < 4; i++)
        must(pthread_create(&t, NULL, counting_thread, (void *)i) == 0);
    for (unsigned i = 0; i < 100 || told_count < 20; i++) /* a device may be slow */
        usleep(1000);
}

static void *reading_thread(void *arg)
{
    const volatile char *map = arg;
    for (;;)
        for (size_t page = 0; page < MAPPED_PAGES; page++)
            (void)map[page * PAGE];
    return NULL;
}

static void scene_mapped(void)
{
    int fd = settled_file("f");
    for (off_t page = 1; page < MAPPED_PAGES; page++)
        fill(fd, 'b', page * PAGE, PAGE);
    void *map = mmap(NULL, (size_t)MAPPED_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED);
    pthread_t t;
    must(pthread_create(&t, NULL, reading_thread, map) == 0);
    usleep(20 * 1000);
}

static void scene_event(void)
{
    int fd = settled_file("f");
    for (int i = 0; i < 1000; i++)
        fill(fd, 'b', (i % 8) * PAGE, PAGE);
    must(0);
}

static pthread_t writer;

static void *signalling_thread(void *arg)
{
    (void)arg;
    usleep(3000);
    must(pthread_kill(writer, SIGRTMIN + 10) == 0);
    return NULL;
}

/* The signal comes to a thread that does nothing but write. */
static void scene_busy(void)
{
    int fd = settled_file("f");
    pthread_t t;
    writer = pthread_self();
    (void)alarm(60);
    must(pthread_create(&t, NULL, signalling_thread, NULL) == 0);
    for (unsigned i = 0;; i++)
        fill(fd, 'b', (i % 8) * PAGE, PAGE);
}

static const struct scene {
    const char *name;
    void (*act)(void);
} scenes[] = {
    {"overwrite", scene_overwrite}, {"sync_then_more", scene_sync_then_more},
    {"dsync", scene_dsync},         {"streams", scene_streams},
    {"lengths", scene_lengths},     {"names", scene_names},
    {"threads", scene_threads},     {"event", scene_event},
    {"mapped", scene_mapped},       {"environment_gone", scene_environment_gone},
    {"busy", scene_busy},
};

static _Noreturn void act(const char *name)
{
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        if (strcmp(scenes[i].name, name) == 0)
            scenes[i].act();
    kill(getpid(), SIGRTMIN + 10);
    for (;;)
        pause();
}

/* ---- the parent ---- */

static void remove_all(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf -- '%s'", path);
    assert_int_equal(system(command), 0);
}

/* Runs a scene with `settings` ("NAME=value NAME=value") in a fresh directory. It must die of
 * SIGKILL. `out` receives up to `max` bytes of what it wrote, or is NULL. */
static size_t run(const char *scene, const char *settings, void *out, size_t max)
{
    remove_all(dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    unlink(report);
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(p[1], STDOUT_FILENO);
        close(p[0]);
        close(p[1]);
        char copy[256], *save = NULL, self[512];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        must(n > 0);
        self[n] = '\0';
        must(chdir(dir) == 0 && setenv("POWERCUT_DIR", dir, 1) == 0);
        must(setenv("POWERCUT_REPORT", report, 1) == 0 &&
             setenv("LD_PRELOAD", POWERCUT_SO, 1) == 0);
        must(setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1) == 0);
        snprintf(copy, sizeof copy, "%s", settings);
        for (char *s = strtok_r(copy, " ", &save); s != NULL; s = strtok_r(NULL, " ", &save))
            must(putenv(s) == 0);
        execl(self, self, scene, (char *)NULL);
        _exit(4);
    }
    close(p[1]);
    size_t got = 0;
    char rest[64];
    for (;;) {
        bool room = out != NULL && got < max;
        ssize_t n = read(p[0], room ? (char *)out + got : rest, room ? max - got : sizeof rest);
        if (n <= 0)
            break;
        got += room ? (size_t)n : 0;
    }
    close(p[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("scene %s ended with status %x", scene, (unsigned)status);
    return got;
}

static char content[64 * PAGE];

/* Reads a file of the directory; -1 if it is not there. */
static long look(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    memset(content, '?', sizeof content);
    ssize_t n = read(fd, content, sizeof content);
    close(fd);
    return n;
}

static bool all(const char *bytes, char letter, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != letter)
            return false;
    return true;
}

static void assert_reported(const char *what)
{
    char line[1024] = "";
    int fd = open(report, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    assert_true(n > 0 && line[n - 1] == '\n');
    if (strstr(line, what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, line);
}

static void synced_bytes_survive_and_unsynced_ones_are_gone(void **state)
{
    (void)state;
    run("overwrite", "POWERCUT_MODE=drop", NULL, 0);
    assert_int_equal(look("f"), PAGE);
    assert_true(all(content, 'a', PAGE));
    assert_reported("by=signal mode=drop");
    assert_reported("files=1 pages_lost=3 pages_kept=0");
    assert_reported("mid_commit=yes");
}

static void a_thread_that_is_interrupted_while_it_writes_does_not_keep_the_power_on(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        run("busy", "POWERCUT_MODE=drop", NULL, 0);
        assert_int_equal(look("f"), PAGE);
        assert_true(all(content, 'a', PAGE));
        assert_reported("by=signal mode=drop");
    }
}

static void a_program_that_writes_over_its_environment_is_reported(void **state)
{
    (void)state;
    run("environment_gone", "POWERCUT_MODE=drop", NULL, 0);
    assert_int_equal(look("f"), PAGE);
    assert_reported("by=signal mode=drop");
}

static void a_sync_covers_what_came_before_it_only(void **state)
{
    (void)state;
    run("sync_then_more", "", NULL, 0);
    assert_int_equal(look("f"), PAGE);
    assert_true(all(content, 'b', PAGE));
}

static void everything_stays_when_nothing_is_dropped(void **state)
{
    (void)state;
    run("overwrite", "POWERCUT_MODE=keep", NULL, 0);
    assert_int_equal(look("f"), 3 * PAGE);
    assert_true(all(content, 'a', 100) && all(content + 100, 'b', 50));
    assert_true(all(content + PAGE, 'c', 2 * PAGE));
}

static void a_lying_device_loses_everything(void **state)
{
    (void)state;
    run("sync_then_more", "POWERCUT_LIE=1", NULL, 0);
    assert_int_equal(look("f"), -1);
    assert_reported("lie=3");
    run("sync_then_more", "POWERCUT_LIE=data", NULL, 0);
    assert_int_equal(look("f"), 0);
    run("sync_then_more", "POWERCUT_LIE=dir", NULL, 0);
    assert_int_equal(look("f"), -1);
}

static void a_reader_of_a_mapping_does_not_end_the_cut_half_way(void **state)
{
    (void)state;
    run("mapped", "POWERCUT_MODE=drop", NULL, 0);
    assert_int_equal(look("f"), PAGE);
    assert_true(all(content, 'a', PAGE));
    assert_reported("files=1 pages_lost=1999");
}

static void a_dsync_write_covers_its_own_range_only(void **state)
{
    (void)state;
    run("dsync", "", NULL, 0);
    assert_int_equal(look("f"), PAGE + 10);
    assert_true(all(content, 'a', 32) && all(content + 32, 'm', 120));
    assert_true(all(content + 152, 'a', PAGE - 152) && all(content + PAGE, 'n', 10));
}

static void writes_without_a_position_are_followed(void **state)
{
    (void)state;
    run("streams", "", NULL, 0);
    assert_int_equal(look("f"), PAGE);
    assert_memory_equal(content, "aaaaaaaaaa123456789xyzaaaaaa", 28);
    run("streams", "POWERCUT_MODE=keep", NULL, 0);
    assert_int_equal(look("f"), PAGE + 4);
    assert_memory_equal(content, "aaaaaaaaaa123456789xyzlostaa", 28);
    assert_memory_equal(content + PAGE, "tail", 4);
}

static void lengths_that_were_not_synced_are_taken_back(void **state)
{
    (void)state;
    run("lengths", "", NULL, 0);
    static const char *const names[] = {"shrunk", "grown", "cut"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(look(names[i]), PAGE);
        assert_true(all(content, 'a', PAGE));
    }
}

static void names_that_were_not_synced_are_taken_back(void **state)
{
    (void)state;
    run("names", "", NULL, 0);
    assert_int_equal(look("gone"), -1);
    assert_int_equal(look("late"), -1);
    assert_int_equal(look("sub"), -1);
    assert_int_equal(look("kept"), PAGE);
    assert_true(all(content, 'a', PAGE));
    assert_int_equal(look("target"), PAGE);
    assert_true(all(content, 'a', PAGE));
    assert_int_equal(look("source"), PAGE);
    assert_true(all(content, 's', PAGE));
    assert_int_equal(look("made"), PAGE);
    assert_true(all(content, 'z', PAGE));
    assert_reported("names_lost=4 names_kept=0");
}

static void what_threads_were_told_is_durable_stays(void **state)
{
    (void)state;
    static const char *const modes[] = {"drop", "pages", "sectors", "prefix", "mix"};
    static uint32_t told[1 << 16];
    for (size_t m = 0; m < 5; m++) {
        char settings[64];
        snprintf(settings, sizeof settings, "POWERCUT_SYNC_US=50 POWERCUT_MODE=%s", modes[m]);
        size_t count = run("threads", settings, told, sizeof told) / 8;
        uint32_t last[4] = {0};
        for (size_t i = 0; i < count; i++)
            last[told[2 * i]] = told[2 * i + 1];
        assert_true(count > 10);
        assert_int_equal(look("f"), 4 * PAGE);
        for (size_t i = 0; i < 4; i++) {
            uint32_t found = 0;
            memcpy(&found, content + i * PAGE, sizeof found);
            assert_true(found == last[i] || found == last[i] + 1);
        }
    }
}

static void chance_keeps_some_pages_and_a_seed_repeats_it(void **state)
{
    (void)state;
    char first[8 * PAGE] = "";
    unsigned kept = 0, lost = 0;
    for (int seed = 1; seed <= 20; seed++) {
        char settings[96];
        snprintf(settings, sizeof settings, "POWERCUT_AT=20 POWERCUT_MODE=pages POWERCUT_SEED=%d",
                 seed);
        run("event", settings, NULL, 0);
        long len = look("f");
        assert_true(len == PAGE || len == 8 * PAGE);
        memcpy(first, content, (size_t)len);
        for (long i = 0; i < len; i += PAGE)
            *(content[i] == 'b' ? &kept : &lost) += 1;
        run("event", settings, NULL, 0);
        assert_int_equal(look("f"), len);
        assert_memory_equal(content, first, (size_t)len);
    }
    assert_true(kept > 5 && lost > 5);
}

static void the_power_fails_at_the_chosen_event(void **state)
{
    (void)state;
    run("event", "POWERCUT_AT=7 POWERCUT_MODE=keep", NULL, 0);
    /* create, write, sync, directory sync: the fifth event is the first 'b' */
    assert_int_equal(look("f"), 3 * PAGE);
    assert_true(all(content, 'b', 3 * PAGE));
    assert_reported("by=event");
    assert_reported("events=7");
}

static int make_base(void **state)
{
    (void)state;
    if (mkdtemp(base) == NULL)
        return -1;
    snprintf(dir, sizeof dir, "%s/store", base);
    snprintf(report, sizeof report, "%s/report", base);
    return 0;
}

static int remove_base(void **state)
{
    (void)state;
    remove_all(base);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        act(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_bytes_survive_and_unsynced_ones_are_gone),
        cmocka_unit_test(a_program_that_writes_over_its_environment_is_reported),
        cmocka_unit_test(a_thread_that_is_interrupted_while_it_writes_does_not_keep_the_power_on),
        cmocka_unit_test(a_sync_covers_what_came_before_it_only),
        cmocka_unit_test(everything_stays_when_nothing_is_dropped),
        cmocka_unit_test(a_lying_device_loses_everything),
        cmocka_unit_test(a_reader_of_a_mapping_does_not_end_the_cut_half_way),
        cmocka_unit_test(a_dsync_write_covers_its_own_range_only),
        cmocka_unit_test(writes_without_a_position_are_followed),
        cmocka_unit_test(lengths_that_were_not_synced_are_taken_back),
        cmocka_unit_test(names_that_were_not_synced_are_taken_back),
        cmocka_unit_test(what_threads_were_told_is_durable_stays),
        cmocka_unit_test(chance_keeps_some_pages_and_a_seed_repeats_it),
        cmocka_unit_test(the_power_fails_at_the_chosen_event),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
