/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a session: checked, copied, and filled in from the link's preset. Nothing
 * else looks at zero fields.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

#define NAMES_MAX_FUNCTION 63u

struct preset {
    uint32_t linger_ms, batch_bytes, window_bytes, ping_ms, keepalive_s, user_timeout_ms, cap_ms;
};

/* One row for each enum oxbow_uplink_link; uplink.h shows it to users. */
static const struct preset presets[] = {
    [OXBOW_LINK_LAN] = {5, 32768, 1048576, 300000, 60, 60000, 120000},
    [OXBOW_LINK_CELLULAR] = {250, 32768, 262144, 600000, 240, 60000, 300000},
    [OXBOW_LINK_SATELLITE] = {2000, 16384, 262144, UINT32_MAX, 0, 120000, 300000},
};

static void fill(uint32_t *field, uint32_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static bool within(uint32_t v, uint32_t min, uint32_t max)
{
    return v >= min && v <= max;
}

static bool settings_fit(const struct oxbow_uplink_config *c)
{
    return c->database <= 15 && c->owner <= 1 && within(c->window_bytes_max, 32768, 8u << 20) &&
           within(c->batch_bytes, 1024, 262144) && within(c->linger_ms, 1, 60000) &&
           (c->rate_bytes_s_max == 0 || c->rate_bytes_s_max >= OXBOW_UPLINK_RATE_MIN) &&
           within(c->backoff_base_ms, 1, 3600000) && within(c->backoff_cap_ms, 1000, 3600000) &&
           (unsigned)c->mode <= OXBOW_UPLINK_MULTI;
}

static void settings_fill(struct oxbow_uplink_config *c)
{
    const struct preset *p = &presets[c->link];

    fill(&c->window_bytes_max, p->window_bytes);
    fill(&c->batch_bytes, p->batch_bytes);
    fill(&c->linger_ms, p->linger_ms);
    fill(&c->ping_ms, p->ping_ms);
    fill(&c->backoff_cap_ms, p->cap_ms);
    fill(&c->backoff_base_ms, 2000);
    fill(&c->first_spread_ms, 30000);
    fill(&c->connect_timeout_ms, 30000);
    fill(&c->handshake_timeout_ms, 30000);
    fill(&c->answer_timeout_ms, 30000);
    fill(&c->confirm_ms, 2000);
    fill(&c->persist_ms, 1000);
}

static enum oxbow_err copy_targets(struct oxbow_uplink *u, const struct oxbow_uplink_config *c)
{
    size_t i;

    if (c->targets == NULL || c->target_count == 0 || c->target_count > OXBOW_UPLINK_TARGETS_MAX) {
        return OXBOW_EINVAL;
    }
    for (i = 0; i < c->target_count; i++) {
        const struct oxbow_uplink_target *t = &c->targets[i];

        if (t->host == NULL || t->host[0] == 0 || strlen(t->host) > OXBOW_UPLINK_HOST_MAX) {
            return OXBOW_EINVAL;
        }
        text_copy(u->hosts[i], sizeof(u->hosts[i]), t->host);
        u->targets[i] = (struct oxbow_uplink_target){u->hosts[i], t->port ? t->port : 6379};
    }
    return OXBOW_OK;
}

static enum oxbow_err copy_secret(struct oxbow_uplink *u, const struct oxbow_uplink_config *c)
{
    const char *user = c->user == NULL ? "" : c->user;
    const char *password = c->password == NULL ? "" : c->password;

    if (strlen(user) > OXBOW_UPLINK_SECRET_MAX || strlen(password) > OXBOW_UPLINK_SECRET_MAX) {
        return OXBOW_EINVAL;
    }
    text_copy(u->secret.user, sizeof(u->secret.user), user);
    text_copy(u->secret.password, sizeof(u->secret.password), password);
    u->has_secret = c->password != NULL;
    return OXBOW_OK;
}

enum oxbow_err settings_init(struct oxbow_uplink *u, const struct oxbow_uplink_config *config)
{
    const char *function = config->function == NULL ? "oxbow_batch" : config->function;
    enum oxbow_err err;

    if ((unsigned)config->link > OXBOW_LINK_SATELLITE || strlen(function) > NAMES_MAX_FUNCTION) {
        return OXBOW_EINVAL;
    }
    u->config = *config;
    settings_fill(&u->config);
    if (!settings_fit(&u->config)) {
        return OXBOW_EINVAL;
    }
    text_copy(u->function, sizeof(u->function), function);
    err = copy_targets(u, config);
    if (!err) {
        err = copy_secret(u, config);
    }
    u->config.targets = u->targets;
    u->config.user = NULL; /* the copies in u->secret count */
    u->config.password = NULL;
    u->config.function = u->function;
    u->mode = config->mode == OXBOW_UPLINK_AUTO ? OXBOW_UPLINK_SCRIPT : config->mode;
    return err;
}

uint32_t settings_user_timeout_ms(const struct oxbow_uplink *u)
{
    return presets[u->config.link].user_timeout_ms;
}

uint32_t settings_keepalive_s(const struct oxbow_uplink *u)
{
    return presets[u->config.link].keepalive_s;
}
