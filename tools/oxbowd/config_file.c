/* SPDX-License-Identifier: Apache-2.0 */
/* Files of redis.conf's form: lines, words, quotes, includes. */
#include "tools/oxbowd/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 8u

struct source {
    FILE *file;
    char path[CONFIG_TEXT_MAX];
    uint32_t line;
};

/* ---- words ---- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What follows a backslash in double quotes; moves *at behind it. */
static char escaped(const char **at)
{
    static const char from[] = "nrtba";
    static const char to[] = "\n\r\t\b\a";
    const char *p = *at;
    const char *known = *p != '\0' ? strchr(from, *p) : NULL;

    if (p[0] == 'x' && hex_of(p[1]) >= 0 && hex_of(p[2]) >= 0) {
        *at = p + 3;
        return (char)(hex_of(p[1]) * 16 + hex_of(p[2]));
    }
    *at = p + 1;
    return known != NULL ? to[known - from] : *p;
}

/* One word, written to where it stood: it only gets shorter. NULL: quotes are not balanced. */
static const char *word_take(const char *at, char **out)
{
    char quote = '\0';

    for (;;) {
        char c = *at;

        if (quote == '\0' && (c == '\0' || isspace((unsigned char)c))) {
            return at;
        }
        if (c == '\0') {
            return NULL;
        }
        at++;
        if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (quote != '\0' && c == quote) {
            return *at == '\0' || isspace((unsigned char)*at) ? at : NULL;
        } else if (quote == '"' && c == '\\' && *at != '\0') {
            *(*out)++ = escaped(&at);
        } else if (quote == '\'' && c == '\\' && *at == '\'') {
            *(*out)++ = *at++;
        } else {
            *(*out)++ = c;
        }
    }
}

bool config_split(char *line, char *words[CONFIG_WORDS_MAX], uint32_t *count)
{
    const char *at = line;
    char *out = line;

    *count = 0;
    for (;;) {
        bool last;

        while (isspace((unsigned char)*at)) {
            at++;
        }
        if (*at == '\0') {
            return true;
        }
        if (*count == CONFIG_WORDS_MAX) {
            return false;
        }
        words[(*count)++] = out;
        at = word_take(at, &out);
        if (at == NULL) {
            return false;
        }
        last = *at == '\0';
        *out++ = '\0';
        if (last) {
            return true;
        }
        at++;
    }
}

/* ---- files ---- */

static bool complain(const struct source *s, struct config_why *why, const char *text)
{
    (void)snprintf(why->text, sizeof why->text, "%s:%u: %s", s->path, s->line, text);
    return false;
}

static bool push(struct source *stack, uint32_t *depth, const char *path, struct config_why *why)
{
    struct source *s = &stack[*depth];

    if (strlen(path) >= sizeof s->path) {
        (void)snprintf(why->text, sizeof why->text, "%.200s...: the path is too long", path);
        return false;
    }
    memcpy(s->path, path, strlen(path) + 1);
    s->line = 0;
    s->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (s->file == NULL) {
        (void)snprintf(why->text, sizeof why->text, "%s: %s", path, strerror(errno));
        return false;
    }
    (*depth)++;
    return true;
}

static void pop(struct source *stack, uint32_t *depth)
{
    struct source *s = &stack[--*depth];

    if (s->file != stdin) {
        (void)fclose(s->file); /* it was only read */
    }
}

/* The next line; *end: there is none. */
static bool next_line(struct source *s, char line[CONFIG_LINE_MAX], bool *end,
                      struct config_why *why)
{
    size_t len;

    *end = fgets(line, CONFIG_LINE_MAX, s->file) == NULL;
    if (*end) {
        return ferror(s->file) == 0 || complain(s, why, strerror(errno));
    }
    s->line++;
    len = strlen(line);
    if (len == 0) {
        return complain(s, why, "there is a zero byte in the line");
    }
    if (line[len - 1] != '\n' && !feof(s->file)) {
        return complain(s, why, "the line is too long, or has a zero byte");
    }
    return true;
}

static bool take_line(struct config *c, struct source *stack, uint32_t *depth, char *line,
                      struct config_why *why)
{
    const struct source *s = &stack[*depth - 1];
    char *words[CONFIG_WORDS_MAX] = {NULL};
    char where[CONFIG_TEXT_MAX + 16];
    uint32_t count = 0;
    const char *first = line + strspn(line, " \t\r\n");

    if (*first == '#' || *first == '\0') {
        return true;
    }
    if (!config_split(line, words, &count)) {
        return complain(s, why, "quotes are not balanced, or there are too many words");
    }
    if (count > 0 && strcasecmp(words[0], "include") == 0) {
        if (count != 2) {
            return complain(s, why, "include: takes one file");
        }
        if (*depth == DEPTH_MAX) {
            return complain(s, why, "include: files are nested too deep");
        }
        return push(stack, depth, words[1], why);
    }
    (void)snprintf(where, sizeof where, "%s:%u", s->path, s->line);
    return config_set(c, where, words, count, why);
}

bool config_read(struct config *c, const char *path, struct config_why *why)
{
    struct source stack[DEPTH_MAX];
    char line[CONFIG_LINE_MAX];
    uint32_t depth = 0;
    bool ok = push(stack, &depth, path, why);

    if (ok && strcmp(path, "-") != 0) {
        memcpy(c->file, path, strlen(path) + 1); /* it fits: push took it */
    }
    while (ok && depth > 0) {
        bool end;

        ok = next_line(&stack[depth - 1], line, &end, why);
        if (ok && end) {
            pop(stack, &depth);
        } else if (ok) {
            ok = take_line(c, stack, &depth, line, why);
        }
    }
    while (depth > 0) {
        pop(stack, &depth);
    }
    return ok;
}
