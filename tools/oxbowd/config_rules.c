/* SPDX-License-Identifier: Apache-2.0 */
/* What queues and groups are given by patterns of their names: options queue and group. */
#include "tools/oxbowd/config.h"

#include <stdio.h>
#include <string.h>

static bool refuse(struct config_why *why, const char *text)
{
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    return false;
}

/* The words, where they stay as long as the configuration does. */
static bool keep(struct config_rules *out, char *const *words, uint32_t count,
                 struct oxbow_bytes kept[CONFIG_WORDS_MAX], struct config_why *why)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(words[i]);

        if (len > sizeof out->text - out->len) {
            return refuse(why, "the rules of all queues and groups take more than 65536 bytes");
        }
        memcpy(out->text + out->len, words[i], len);
        kept[i] = (struct oxbow_bytes){out->text + out->len, len};
        out->len += len;
    }
    return true;
}

static bool is_same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The second line for a pattern would never count. */
static bool refuse_twice(struct config_why *why, struct oxbow_bytes pattern)
{
    (void)snprintf(why->text, sizeof why->text, "there is a line for '%.*s' already",
                   (int)(pattern.len < 60 ? pattern.len : 60), (const char *)pattern.data);
    return false;
}

bool config_queues_take(struct config_rules *out, char *const *words, uint32_t count,
                        struct config_why *why)
{
    struct oxbow_resp_queue_rule *rule = &out->queues[out->queue_count];
    struct oxbow_bytes kept[CONFIG_WORDS_MAX];
    struct oxbow_policy_why wrong;

    if (out->queue_count == CONFIG_RULES_MAX) {
        return refuse(why, "more than 256 lines");
    }
    if (words[0][0] == '\0') {
        return refuse(why, "the pattern is empty");
    }
    if (!keep(out, words, count, kept, why)) {
        return false;
    }
    for (uint32_t i = 0; i < out->queue_count; i++) {
        if (is_same(out->queues[i].pattern, kept[0])) {
            return refuse_twice(why, kept[0]);
        }
    }
    *rule = (struct oxbow_resp_queue_rule){.pattern = kept[0]};
    if (oxbow_policy_words(kept + 1, count - 1, &rule->policy, &wrong) != OXBOW_OK) {
        return refuse(why, wrong.text);
    }
    out->queue_count++;
    return true;
}

bool config_groups_take(struct config_rules *out, char *const *words, uint32_t count,
                        struct config_why *why)
{
    struct oxbow_resp_group_rule *rule = &out->groups[out->group_count];
    struct oxbow_bytes kept[CONFIG_WORDS_MAX];
    struct oxbow_group_why wrong;

    if (count < 2) {
        return refuse(why, "wants KEY-PATTERN GROUP-PATTERN [OPTION VALUE]...");
    }
    if (out->group_count == CONFIG_RULES_MAX) {
        return refuse(why, "more than 256 lines");
    }
    if (words[0][0] == '\0' || words[1][0] == '\0') {
        return refuse(why, "a pattern is empty");
    }
    if (!keep(out, words, count, kept, why)) {
        return false;
    }
    for (uint32_t i = 0; i < out->group_count; i++) {
        if (is_same(out->groups[i].key, kept[0]) && is_same(out->groups[i].group, kept[1])) {
            return refuse_twice(why, kept[0]);
        }
    }
    *rule = (struct oxbow_resp_group_rule){.key = kept[0], .group = kept[1]};
    if (oxbow_group_words(kept + 2, count - 2, &rule->options, &wrong) != OXBOW_OK ||
        oxbow_group_options_check(&rule->options, &wrong) != OXBOW_OK) {
        return refuse(why, wrong.text);
    }
    out->group_count++;
    return true;
}
