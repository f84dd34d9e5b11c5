#include "tests/harness.h"
#include "tests/unit/fake_tenants.h"

#include "cli/top_view.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

#define TENANTS 4

static struct {
    struct top_model model;
    struct top_view view;
    struct listing_tenant tenants[TENANTS];
    char order[TENANTS * 2];
} at;

/* a uses 10 %, b 50 %, c nothing known and has a cap of 20 %, d 0 % and the most memory. */
static void begin(void)
{
    static const char *const comms[] = {"python3", "train", "Jupyter", "sleep"};

    top_model_init(&at.model, "host");
    top_view_init(&at.view);
    for (size_t i = 0; i < TENANTS; i++) {
        char name[] = {(char)('a' + i), '\0'};

        at.tenants[i] = fake_tenant(name, comms[i]);
    }
    at.tenants[0].status.gpus[0].used_milli_percent = 10000;
    at.tenants[1].status.gpus[0].used_milli_percent = 50000;
    at.tenants[2].status.gpus[0].cap_milli_percent = 20000;
    at.tenants[3].status.gpus[0].used_milli_percent = 0;
    at.tenants[3].status.gpus[0].memory_used_bytes = 5 * FAKE_GIB;
    fake_refresh(&at.model, at.tenants, TENANTS);
    top_view_arrange(&at.view, &at.model);
}

static void end(void)
{
    for (size_t i = 0; i < TENANTS; i++)
        fake_tenant_fini(&at.tenants[i]);
    top_model_fini(&at.model);
}

static struct top_action press(uint32_t key)
{
    return top_view_press(&at.view, &at.model, key);
}

static struct top_action type(const char *text)
{
    struct top_action action = {.kind = TOP_NOTHING};

    for (; *text; text++)
        action = press((uint32_t)(unsigned char)*text);
    return action;
}

static const char *order(void)
{
    struct str str;

    str_init(&str, at.order, sizeof(at.order));
    for (size_t i = 0; i < at.view.order_count; i++)
        str_add(&str, "%s", at.model.tenants[at.view.order[i]]->name);
    return at.order;
}

TEST(the_busiest_come_first_and_the_unknown_last)
{
    begin();
    CHECK_STR_EQ(order(), "badc");
    press('r');
    CHECK_STR_EQ(order(), "dabc"); /* the unknown stay last */
    end();
}

TEST(a_key_sorts_and_the_same_once_more_turns_round)
{
    begin();
    press('N');
    CHECK_STR_EQ(order(), "abcd");
    press('N');
    CHECK_STR_EQ(order(), "dcba");
    press('M');
    CHECK_STR_EQ(order(), "dabc"); /* equal ones by name */
    press('C');
    CHECK_STR_EQ(order(), "abdc");
    press('C');
    CHECK_STR_EQ(order(), "cabd");
    press('S');
    CHECK_STR_EQ(order(), "badc");
    end();
}

TEST(sort_words_are_read)
{
    enum top_sort sort = TOP_SORT_SHARE;
    struct err err;

    CHECK_OK(top_view_read_sort(&sort, "memory", &err), &err);
    CHECK_EQ(sort, TOP_SORT_MEMORY);
    CHECK_STR_EQ(top_view_sort_word(TOP_SORT_CAP), "cap");
    CHECK_EQ(top_view_read_sort(&sort, "Name", &err), -EINVAL);
    CHECK_EQ(top_view_read_sort(&sort, "", &err), -EINVAL);
    CHECK_EQ(sort, TOP_SORT_MEMORY);
}

TEST(keys_move_and_stop_at_the_ends)
{
    begin();
    press('N');
    CHECK_STR_EQ(at.view.selected, "b"); /* chosen at the start, and kept */
    press('j');
    CHECK_STR_EQ(at.view.selected, "c");
    press(TOP_KEY_DOWN);
    press(TOP_KEY_DOWN);
    press(TOP_KEY_DOWN);
    CHECK_STR_EQ(at.view.selected, "d");
    press('k');
    press(TOP_KEY_UP);
    CHECK_STR_EQ(at.view.selected, "b");
    press('g');
    press(TOP_KEY_UP);
    CHECK_STR_EQ(at.view.selected, "a");
    press('G');
    CHECK_STR_EQ(at.view.selected, "d");
    at.view.page = 3;
    press(TOP_KEY_PAGE_UP);
    CHECK_STR_EQ(at.view.selected, "a");
    press(TOP_KEY_PAGE_UP);
    CHECK_STR_EQ(at.view.selected, "a");
    press(TOP_KEY_PAGE_DOWN);
    press(TOP_KEY_PAGE_DOWN);
    CHECK_STR_EQ(at.view.selected, "d");
    press(TOP_KEY_HOME);
    CHECK_STR_EQ(at.view.selected, "a");
    press(TOP_KEY_END);
    CHECK_STR_EQ(at.view.selected, "d");
    end();
}

TEST(the_choice_follows_its_tenant_and_then_its_place)
{
    begin();
    press('j'); /* a, the second of b a d c */
    CHECK_STR_EQ(at.view.selected, "a");
    at.tenants[0].status.gpus[0].used_milli_percent = 90000;
    fake_refresh(&at.model, at.tenants, TENANTS);
    top_view_arrange(&at.view, &at.model);
    CHECK_STR_EQ(order(), "abdc");
    CHECK_STR_EQ(at.view.selected, "a");
    CHECK_EQ(at.view.selected_at, 0);
    fake_refresh(&at.model, at.tenants + 1, TENANTS - 1);
    top_view_arrange(&at.view, &at.model);
    CHECK_STR_EQ(at.view.selected, "b");
    fake_refresh(&at.model, NULL, 0);
    top_view_arrange(&at.view, &at.model);
    CHECK(!top_view_selected(&at.view, &at.model));
    press('j');
    press('m');
    press('z');
    CHECK_EQ(at.view.mode, TOP_LIST);
    end();
}

TEST(a_filter_works_while_it_is_typed)
{
    begin();
    press('/');
    CHECK_EQ(at.view.mode, TOP_FILTER);
    type("j");
    CHECK_STR_EQ(order(), "c"); /* by its command, whatever the case */
    type("q");                  /* a letter here */
    CHECK_STR_EQ(order(), "");
    CHECK(!top_view_selected(&at.view, &at.model));
    press(TOP_KEY_BACKSPACE);
    CHECK_STR_EQ(order(), "c");
    CHECK_STR_EQ(at.view.selected, "c");
    press(TOP_KEY_CLEAR);
    type("running");
    CHECK_STR_EQ(order(), "badc");
    press(TOP_KEY_ENTER);
    CHECK_EQ(at.view.mode, TOP_LIST);
    CHECK_STR_EQ(at.view.filter, "running");
    press(TOP_KEY_ESCAPE);
    CHECK_STR_EQ(at.view.filter, "");
    press('/');
    type("zzz");
    press(TOP_KEY_ESCAPE);
    CHECK_STR_EQ(at.view.filter, "");
    CHECK_STR_EQ(order(), "badc");
    end();
}

TEST(a_limit_is_sent_once_it_reads_as_one)
{
    struct top_action action;

    begin();
    press('c');
    CHECK_EQ(at.view.mode, TOP_PROMPT);
    CHECK_STR_EQ(at.view.target, "b");
    action = type("200\n");
    CHECK_EQ(action.kind, TOP_NOTHING);
    CHECK_EQ(at.view.mode, TOP_PROMPT);
    CHECK(at.view.is_error && at.view.message[0]);
    CHECK_STR_EQ(at.view.input, "200"); /* to be mended */
    press('\b');
    CHECK_STR_EQ(at.view.message, "");
    action = press('\r');
    CHECK_EQ(action.kind, TOP_SEND);
    CHECK_STR_EQ(action.tenant, "b");
    CHECK_EQ(action.set.fields, MESSAGE_SET_COMPUTE);
    CHECK_EQ(action.set.cap_milli_percent, 20000);
    CHECK_EQ(action.set.gpu_mask, UINT32_MAX);
    CHECK_EQ(message_check(&action.set, sizeof(action.set)), MESSAGE_SET);
    CHECK_EQ(at.view.mode, TOP_LIST);
    end();
}

TEST(each_limit_has_its_key)
{
    struct top_action action;

    begin();
    action = type("m8GiB\n");
    CHECK_EQ(action.set.fields, MESSAGE_SET_MEMORY);
    CHECK_EQ(action.set.memory_bytes, 8 * FAKE_GIB);
    action = type("m40%\n");
    CHECK_EQ(action.set.memory_milli_percent, 40000);
    action = type("mnone\n");
    CHECK(action.set.memory_bytes == REGION_NO_LIMIT);
    action = type("w7\n");
    CHECK_EQ(action.set.fields, MESSAGE_SET_WEIGHT);
    CHECK_EQ(action.set.weight, 7);
    action = type("phigh\n");
    CHECK_EQ(action.set.fields, MESSAGE_SET_PRIORITY);
    CHECK_EQ(action.set.priority, REGION_HIGH);
    action = type("cnone\n");
    CHECK_EQ(action.set.cap_milli_percent, LISTING_NO_CAP);
    end();
}

TEST(more_memory_than_the_card_has_is_refused)
{
    begin();
    CHECK_EQ(type("m81GiB\n").kind, TOP_NOTHING);
    CHECK_STR_EQ(at.view.message, "GPU 0 has only 81920MiB");
    press(TOP_KEY_CLEAR);
    CHECK_EQ(type("80GiB\n").kind, TOP_SEND);
    end();
}

TEST(a_prompt_is_left_without_a_change)
{
    begin();
    press('m');
    type("8G");
    press(TOP_KEY_ESCAPE);
    CHECK_EQ(at.view.mode, TOP_LIST);
    press('m');
    CHECK_STR_EQ(at.view.input, ""); /* anew */
    CHECK_EQ(press('\n').kind, TOP_NOTHING);
    CHECK_EQ(at.view.mode, TOP_LIST);
    press('w');
    for (int i = 0; i < 200; i++)
        press('9');
    CHECK_EQ(strlen(at.view.input), TOP_INPUT_MAX - 1);
    press(0x1f600);
    press(TOP_KEY_UP);
    CHECK_EQ(strlen(at.view.input), TOP_INPUT_MAX - 1);
    end();
}

TEST(a_prompt_stays_with_the_tenant_it_began_with)
{
    begin();
    press('w');
    fake_refresh(&at.model, at.tenants, 1);
    top_view_arrange(&at.view, &at.model);
    CHECK_STR_EQ(at.view.selected, "a");
    CHECK_STR_EQ(type("5\n").tenant, "b");
    end();
}

TEST(suspending_is_asked_for_twice)
{
    struct top_action action;

    begin();
    press('z');
    CHECK_EQ(at.view.mode, TOP_CONFIRM);
    CHECK_EQ(press('q').kind, TOP_NOTHING);
    CHECK_EQ(at.view.mode, TOP_LIST);
    action = type("zy");
    CHECK_EQ(action.kind, TOP_SEND);
    CHECK_EQ(action.set.fields, MESSAGE_SET_SUSPENDED);
    CHECK_EQ(action.set.is_suspended, 1);
    at.tenants[1].status.tenant.state = MESSAGE_SUSPENDED;
    fake_refresh(&at.model, at.tenants, TENANTS);
    top_view_arrange(&at.view, &at.model);
    action = type("zy");
    CHECK_EQ(action.kind, TOP_SEND);
    CHECK_EQ(action.set.is_suspended, 0);
    press('z');
    at.tenants[1].status.tenant.state = MESSAGE_RUNNING; /* somebody else was faster */
    fake_refresh(&at.model, at.tenants, TENANTS);
    top_view_arrange(&at.view, &at.model);
    action = press('y');
    CHECK_EQ(action.kind, TOP_SEND);
    CHECK_EQ(action.set.is_suspended, 0); /* what was asked for, and not the contrary */
    press('z');
    fake_refresh(&at.model, NULL, 0);
    CHECK_EQ(press('y').kind, TOP_NOTHING); /* it has gone meanwhile */
    end();
}

TEST(who_has_no_supervisor_cannot_be_changed)
{
    begin();
    at.tenants[1].is_orphan = true;
    fake_refresh(&at.model, at.tenants, TENANTS);
    top_view_arrange(&at.view, &at.model);
    press('N');
    press('g');
    press('j');
    CHECK_STR_EQ(at.view.selected, "b");
    press('m');
    CHECK_EQ(at.view.mode, TOP_LIST);
    CHECK(at.view.is_error && strstr(at.view.message, "'b'"));
    end();
}

TEST(help_goes_with_any_key_and_q_quits)
{
    begin();
    press('?');
    CHECK_EQ(at.view.mode, TOP_HELP);
    CHECK_EQ(press('q').kind, TOP_NOTHING);
    CHECK_EQ(at.view.mode, TOP_LIST);
    CHECK_EQ(press(TOP_KEY_REDRAW).kind, TOP_REPAINT);
    CHECK_EQ(press(TOP_KEY_ESCAPE).kind, TOP_NOTHING);
    CHECK_EQ(press('f').kind, TOP_NOTHING); /* no key of ours */
    CHECK_EQ(press('q').kind, TOP_QUIT);
    end();
}

TEST(any_keys_in_any_order_are_survived)
{
    static const uint32_t special[] = {TOP_KEY_UP,        TOP_KEY_DOWN,  TOP_KEY_PAGE_UP,
                                       TOP_KEY_PAGE_DOWN, TOP_KEY_HOME,  TOP_KEY_END,
                                       TOP_KEY_ESCAPE,    TOP_KEY_ENTER, 0,
                                       UINT32_MAX};
    uint32_t random = 1;

    begin();
    for (int i = 0; i < 100000; i++) {
        uint32_t key;

        random = random * 1664525u + 1013904223u;
        key = random >> 16;
        key = key % 3 ? key % 128 : special[key / 3 % (sizeof(special) / sizeof(special[0]))];
        (void)press(key);
        if (i % 97 == 0) {
            fake_refresh(&at.model, at.tenants, (size_t)i % (TENANTS + 1));
            top_view_arrange(&at.view, &at.model);
        }
        CHECK(at.view.order_count <= TENANTS);
        CHECK(!at.view.order_count || at.view.selected_at < at.view.order_count);
    }
    end();
}
