/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A life that says nothing for minutes of real time: what each of its threads is at. That tells a
 * process that waits for something from one that was stopped, or that the machine gave no time.
 */
#include "tests/sim/year_tell.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 512u

/* One line of a file; empty when it cannot be read. */
static void line_of(const char *path, char out[LINE_MAX_LEN])
{
    FILE *f = fopen(path, "r");
    out[0] = '\0';
    if (f == NULL)
        return;
    if (fgets(out, LINE_MAX_LEN, f) == NULL)
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

static void print_thread(const char *task, const char *id)
{
    char path[LINE_MAX_LEN], stat[LINE_MAX_LEN], at[LINE_MAX_LEN], sched[LINE_MAX_LEN];
    snprintf(path, sizeof path, "%s/%s/stat", task, id);
    line_of(path, stat);
    snprintf(path, sizeof path, "%s/%s/syscall", task, id);
    line_of(path, at);
    snprintf(path, sizeof path, "%s/%s/schedstat", task, id);
    line_of(path, sched);
    const char *state = strrchr(stat, ')');
    printf("    thread %s: state%.2s, system call %s, ns of processor and of waiting for it %s\n",
           id, state != NULL ? state + 1 : " ?", at, sched);
}

void stuck_print(long pid)
{
    char task[64];
    snprintf(task, sizeof task, "/proc/%ld/task", pid);
    DIR *d = opendir(task);
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d))
        if (e->d_name[0] != '.')
            print_thread(task, e->d_name);
    if (d != NULL)
        closedir(d);
}
