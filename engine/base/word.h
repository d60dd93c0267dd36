/* SPDX-License-Identifier: Apache-2.0 */
/* Words of configurations and commands: in any case, sizes and times with their units. */
#ifndef OXBOW_BASE_WORD_H
#define OXBOW_BASE_WORD_H

#include "oxbow/types.h"

#include <stdbool.h>

/* Whether the text is the word, which is given in lower case. */
bool word_is(struct oxbow_bytes text, const char *word);
/* The text's place among words, which a NULL closes; -1: it is none of them. */
int word_place(struct oxbow_bytes text, const char *const *words);
/* Bytes as redis.conf has them: a number, or one with k (1000), kb (1024), m, mb, g, gb, t, tb. False:
 * it is none, or too large. */
bool word_size(struct oxbow_bytes text, uint64_t *bytes);
/* Milliseconds: a number, or one with ms, s, m, h, d, w. False: it is none, or too large. */
bool word_ms(struct oxbow_bytes text, uint64_t *ms);
/* The next word of the text from *at on, where words are separated by blanks; *at is then behind it.
 * len 0: there is none. Borrowed from the text. */
struct oxbow_bytes word_next(struct oxbow_bytes text, size_t *at);

#endif
