/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of policies as words of a command line: FIELD=VALUE. */
#ifndef OXBOW_TOOLS_POLICY_WORDS_H
#define OXBOW_TOOLS_POLICY_WORDS_H

#include "oxbow/policy.h"

#define POLICY_WHY_MAX   OXBOW_POLICY_WHY_MAX
#define POLICY_TEXT_MAX  512
#define POLICY_VALUE_MAX 48

/* A field's value as it is set on the command line. */
void policy_value_print(char out[POLICY_VALUE_MAX], const struct oxbow_policy_field *f,
                        uint64_t value);
/* All fields that are set, as words; "-" when none is. */
void policy_words_print(char out[POLICY_TEXT_MAX], const struct oxbow_policy *p);
/* Sets what "FIELD=VALUE" says; false: `why` says what is wrong with it. */
bool policy_word_set(const char *word, struct oxbow_policy *p, char why[POLICY_WHY_MAX]);

#endif
