#include "tests/harness.h"

#include "hypervisor/event_log.h"
#include "hypervisor/health.h"
#include "utils/str.h"

#include <string.h>

static struct {
    struct event_log *events;
    struct health health;
    struct event event;
} at;

static void start(void)
{
    struct err err;

    CHECK_OK(event_log_new(&at.events, 0, &err), &err);
    health_init(&at.health, at.events);
}

static void stop(void)
{
    event_log_free(at.events);
}

static const struct event *newest(void)
{
    CHECK_EQ(event_log_read(at.events, event_log_last(at.events) - 1, &at.event, 1), 1);
    return &at.event;
}

TEST(a_fault_begins_once_and_ends_once)
{
    start();
    health_set(&at.health, true, "gpu", "no GPU can be reached");
    health_set(&at.health, true, "gpu", "no GPU can be reached");
    CHECK_EQ(at.health.count, 1);
    CHECK_EQ(event_log_last(at.events), 1);
    CHECK_EQ(newest()->kind, EVENT_FAULT_BEGAN);
    CHECK_STR_EQ(newest()->text, "gpu: no GPU can be reached");
    health_set(&at.health, false, "gpu", "no GPU can be reached");
    health_set(&at.health, false, "gpu", "no GPU can be reached");
    CHECK_EQ(at.health.count, 0);
    CHECK_EQ(event_log_last(at.events), 2);
    CHECK_EQ(newest()->kind, EVENT_FAULT_ENDED);
    stop();
}

TEST(faults_are_told_apart_by_component_and_text)
{
    start();
    health_set(&at.health, true, "gpu", "a");
    health_set(&at.health, true, "gpu", "b");
    health_set(&at.health, true, "disk", "a");
    CHECK_EQ(at.health.count, 3);
    health_set(&at.health, false, "gpu", "a");
    CHECK_EQ(at.health.count, 2);
    for (uint32_t i = 0; i < at.health.count; i++)
        CHECK(!str_equals(at.health.list[i].component, "gpu") ||
              str_equals(at.health.list[i].text, "b"));
    stop();
}

TEST(words_that_are_cut_are_the_same_fault_when_they_come_again)
{
    char text[400], component[40];

    memset(text, 't', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(component, 'c', sizeof(component) - 1);
    component[sizeof(component) - 1] = '\0';
    start();
    health_set(&at.health, true, component, text);
    health_set(&at.health, true, component, text);
    CHECK_EQ(at.health.count, 1);
    CHECK_EQ(strlen(at.health.list[0].text), sizeof(at.health.list[0].text) - 1);
    health_set(&at.health, false, component, text);
    CHECK_EQ(at.health.count, 0);
    stop();
}

TEST(more_faults_than_are_kept_do_no_harm)
{
    char text[16];

    start();
    for (int i = 0; i < 40; i++) {
        (void)str_format(text, sizeof(text), "%d", i);
        health_set(&at.health, true, "gpu", text);
    }
    CHECK_EQ(at.health.count, SNAPSHOT_FAULTS_MAX);
    for (int i = 0; i < 40; i++) {
        (void)str_format(text, sizeof(text), "%d", i);
        health_set(&at.health, false, "gpu", text);
    }
    CHECK_EQ(at.health.count, 0);
    CHECK_EQ(event_log_last(at.events), 2 * SNAPSHOT_FAULTS_MAX);
    stop();
}
