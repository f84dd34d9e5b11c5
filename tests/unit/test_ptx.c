#include "sim/ptx.h"
#include "tests/harness.h"

#include <errno.h>

#define HEAD ".version 7.0\n.target sm_70\n.address_size 64\n"

static struct ptx_entry *parse(const char *text)
{
    struct ptx_entry *entries = NULL;
    struct err err = {0};

    CHECK_OK(ptx_parse(&entries, text, &err), &err);
    return entries;
}

static void refuse(const char *text, const char *words)
{
    struct ptx_entry *entries = NULL;
    struct err err = {0};

    CHECK_EQ(ptx_parse(&entries, text, &err), -EINVAL);
    CHECK_STR_EQ(err.text, words);
    CHECK(entries == NULL);
}

TEST(entries_are_found_in_their_order)
{
    struct ptx_entry *entries = parse(HEAD ".visible .entry first() { ret; }\n"
                                           ".entry second\n{\n{ ret; }\n}\n");

    CHECK_STR_EQ(entries->name, "first");
    CHECK_EQ(entries->parameter_count, 0);
    CHECK_STR_EQ(entries->next->name, "second");
    CHECK(entries->next->next == NULL);
    ptx_free(entries);
}

TEST(parameters_lie_where_the_launch_buffer_has_them)
{
    struct ptx_entry *entries =
        parse(HEAD ".visible .entry k(\n"
                   "    .param .u32 count,\n"
                   "    .param .u64 .ptr .global .align 4 out, /* a comment, with a comma */\n"
                   "    .param .align 4 .b8 blob[12],\n"
                   "    .param .u8 flag, // another\n"
                   "    .param .f64 factor\n"
                   ")\n.maxntid 128, 1, 1\n{ ret; }\n");

    CHECK_EQ(entries->parameter_count, 5);
    CHECK_STR_EQ(entries->parameters[1].name, "out");
    CHECK_EQ(entries->parameters[0].offset, 0);
    CHECK_EQ(entries->parameters[1].offset, 8);
    CHECK_EQ(entries->parameters[2].offset, 16);
    CHECK_EQ(entries->parameters[2].bytes, 12);
    CHECK_EQ(entries->parameters[3].offset, 28);
    CHECK_EQ(entries->parameters[4].offset, 32);
    ptx_free(entries);
}

TEST(a_contract_stands_before_or_inside_its_entry)
{
    struct ptx_entry *entries =
        parse(HEAD "//! sim duration_ns=n * 2.5 progress=counter clock=stamp\n"
                   ".entry a(.param .u64 n, .param .u64 counter, .param .u64 stamp) { ret; }\n"
                   ".entry b(.param .u32 n) {\n    //! sim duration_ns=n\n    ret;\n}\n"
                   ".entry c(.param .u32 n) { ret; }\n");
    const struct ptx_entry *b = entries->next, *c = b->next;

    CHECK_EQ(entries->duration, 0);
    CHECK_EQ(entries->progress, 1);
    CHECK_EQ(entries->clock, 2);
    CHECK_EQ(entries->unit_ps, 2500);
    CHECK_EQ(b->duration, 0);
    CHECK_EQ(b->unit_ps, 1000);
    CHECK_EQ(b->progress, PTX_NONE);
    CHECK_EQ(c->duration, PTX_NONE);
    ptx_free(entries);
}

TEST(other_comments_are_no_contract)
{
    struct ptx_entry *entries = parse(HEAD "// sim duration_ns=n\n/* //! sim duration_ns=n */\n"
                                           ".entry a(.param .u64 n) { ret; }\n");

    CHECK_EQ(entries->duration, PTX_NONE);
    ptx_free(entries);
}

TEST(a_parameter_may_bear_several_parts_of_a_contract)
{
    struct ptx_entry *entries = parse(HEAD "//! sim progress=p clock=p duration_ns=p * 3\n"
                                           ".entry a(.param .u64 p) { ret; }\n");

    CHECK_EQ(entries->duration, 0);
    CHECK_EQ(entries->progress, 0);
    CHECK_EQ(entries->unit_ps, 3000);
    ptx_free(entries);
}

TEST(what_is_wrong_is_said)
{
    refuse("hello\n", "this is no PTX text");
    refuse("", "this is no PTX text");
    refuse(HEAD ".entry a() { ret;", "entry 'a' has no end");
    refuse(HEAD ".entry a(.param .u64", "a parameter of entry 'a' is not understood");
    refuse(HEAD "//! sim duration_ns=n\n.entry a(.param .u64 m) { ret; }",
           "entry 'a' has no parameter 'n'");
    refuse(HEAD "//! sim speed=n\n.entry a(.param .u64 n) { ret; }",
           "the simulator knows no 'speed='");
    refuse(HEAD "//! sim duration_ns=n * x\n.entry a(.param .u64 n) { ret; }",
           "'x' is no number of nanoseconds");
    refuse(HEAD "//! sim duration_ns\n.entry a(.param .u64 n) { ret; }",
           "the contract of 'a' lacks 'duration_ns='");
}
