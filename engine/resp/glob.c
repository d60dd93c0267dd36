/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching without recursion. On a mismatch it is enough to go back to the last `*` and let that
 * take one byte more: what stands before it has matched at the first place possible, and a later
 * place would leave less text for the rest.
 */
#include "engine/resp/glob.h"

struct glob {
    const uint8_t *p; /* the pattern's rest */
    size_t len;
    bool any_case;
};

static uint8_t folded(const struct glob *g, uint8_t c)
{
    return g->any_case && c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static void skip(struct glob *g, size_t n)
{
    g->p += n;
    g->len -= n;
}

/* Characters of a range are compared as signed ones, as Redis does. */
static int rank(const struct glob *g, uint8_t c)
{
    return (int8_t)folded(g, c);
}

static bool in_range(const struct glob *g, uint8_t c)
{
    bool forwards = (int8_t)g->p[0] <= (int8_t)g->p[2];
    int from = rank(g, g->p[forwards ? 0 : 2]);
    int to = rank(g, g->p[forwards ? 2 : 0]);

    return rank(g, c) >= from && rank(g, c) <= to;
}

/* A class behind its '['; goes past its ']', or to the end. */
static bool class_takes(struct glob *g, uint8_t c)
{
    bool negated = g->len > 0 && g->p[0] == '^';
    bool found = false;

    if (negated) {
        skip(g, 1);
    }
    while (g->len > 0 && g->p[0] != ']') {
        if (g->len >= 2 && g->p[0] == '\\') {
            found = found || g->p[1] == c;
            skip(g, 2);
        } else if (g->len >= 3 && g->p[1] == '-') {
            found = found || in_range(g, c);
            skip(g, 3);
        } else {
            found = found || folded(g, g->p[0]) == folded(g, c);
            skip(g, 1);
        }
    }
    if (g->len > 0) {
        skip(g, 1);
    }
    return found != negated;
}

/* One element of the pattern, which is no '*', against one byte; goes past it. */
static bool element_takes(struct glob *g, uint8_t c)
{
    uint8_t element = g->p[0];

    skip(g, 1);
    if (element == '?') {
        return true;
    }
    if (element == '[') {
        return class_takes(g, c);
    }
    if (element == '\\' && g->len > 0) {
        element = g->p[0];
        skip(g, 1);
    }
    return folded(g, element) == folded(g, c);
}

static void skip_stars(struct glob *g)
{
    while (g->len > 0 && g->p[0] == '*') {
        skip(g, 1);
    }
}

bool resp_glob(struct oxbow_bytes pattern, struct oxbow_bytes text, bool any_case)
{
    struct glob g = {pattern.data, pattern.len, any_case};
    struct glob after_star = g;
    const uint8_t *t = text.data;
    size_t at = 0;
    size_t star_at = 0; /* where what follows the star was tried */
    bool star = false;

    if (text.len == 0) {
        return pattern.len == 0;
    }
    while (at < text.len) {
        if (g.len > 0 && g.p[0] == '*') {
            skip_stars(&g);
            if (g.len == 0) {
                return true;
            }
            star = true;
            after_star = g;
            star_at = at;
        } else if (g.len > 0 && element_takes(&g, t[at])) {
            at++;
        } else if (star) {
            g = after_star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    skip_stars(&g);
    return g.len == 0;
}
