#include "hypervisor/refusal_log.h"

#include "utils/clock.h"

#define MINUTE_NS (60 * NS_PER_SEC)

static bool is_over(const struct refusal_log_user *user, uint64_t now_ns)
{
    return !user->since_ns || now_ns >= user->since_ns + MINUTE_NS;
}

static struct refusal_log_user *find_user(struct refusal_log *log, uid_t uid, uint64_t now_ns)
{
    struct refusal_log_user *others = &log->users[REFUSAL_LOG_USERS], *free = others;

    for (uint32_t i = 0; i < REFUSAL_LOG_USERS; i++) {
        struct refusal_log_user *user = &log->users[i];

        if (user->since_ns && user->uid == uid)
            return user;
        if (free == others && is_over(user, now_ns) && !user->untold)
            free = user;
    }
    if (free != others || !free->since_ns)
        *free = (struct refusal_log_user){.uid = free == others ? REFUSAL_LOG_OTHERS : uid};
    return free;
}

bool refusal_log_may_tell(struct refusal_log *log, uid_t uid, uint64_t now_ns)
{
    struct refusal_log_user *user = find_user(log, uid, now_ns);

    if (is_over(user, now_ns)) {
        user->since_ns = now_ns;
        user->told = 0; /* what was not told before still is to be */
    }
    if (user->told == REFUSAL_LOG_A_MINUTE) {
        user->untold++;
        return false;
    }
    user->told++;
    return true;
}

bool refusal_log_take(struct refusal_log *log, uint64_t now_ns, uid_t *ret_uid, uint32_t *ret_count)
{
    for (uint32_t i = 0; i <= REFUSAL_LOG_USERS; i++) {
        struct refusal_log_user *user = &log->users[i];

        if (!user->untold || !is_over(user, now_ns))
            continue;
        *ret_uid = user->uid;
        *ret_count = user->untold;
        user->untold = 0;
        return true;
    }
    return false;
}
