#include "hypervisor/health.h"

#include "hypervisor/event_log.h"
#include "utils/log.h"
#include "utils/str.h"

void health_init(struct health *health, struct event_log *events)
{
    *health = (struct health){.events = events};
}

static void tell(const struct health *health, enum event_kind kind,
                 const struct snapshot_fault *fault)
{
    struct event event = {.kind = kind};

    (void)str_format(event.text, sizeof(event.text), "%s: %s", fault->component,
                     fault->text); /* fits */
    event_log_add(health->events, &event);
}

static void end(struct health *health, uint32_t at)
{
    struct snapshot_fault fault = health->list[at];

    health->list[at] = health->list[--health->count];
    log_warn("%s: over: %s", fault.component, fault.text);
    tell(health, EVENT_FAULT_ENDED, &fault);
}

static void end_all(struct health *health, const char *component)
{
    for (uint32_t i = health->count; i-- > 0;)
        if (str_equals(health->list[i].component, component))
            end(health, i);
}

static uint32_t find(const struct health *health, const char *component, const char *text)
{
    uint32_t i = 0;

    while (i < health->count && !(str_equals(health->list[i].component, component) &&
                                  str_equals(health->list[i].text, text)))
        i++;
    return i;
}

void health_set(struct health *health, bool is_there, const char *component, const char *text)
{
    struct snapshot_fault fault;
    uint32_t at;

    if (!is_there && !text[0]) {
        end_all(health, component);
        return;
    }
    (void)str_format(fault.component, sizeof(fault.component), "%s", component); /* cut at worst */
    (void)str_format(fault.text, sizeof(fault.text), "%s", text);
    at = find(health, fault.component, fault.text);
    if (is_there == (at < health->count))
        return;
    if (is_there && health->count == SNAPSHOT_FAULTS_MAX)
        return; /* so many are told already that it is not well */
    if (is_there) {
        log_error("%s: %s", fault.component, fault.text);
        health->list[health->count++] = fault;
        tell(health, EVENT_FAULT_BEGAN, &fault);
        return;
    }
    end(health, at);
}
