#include "hypervisor/line_protocol.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "tests/harness.h"

static const char *printed(const struct line_protocol *line, enum line_protocol_format format)
{
    static char text[4096];
    FILE *file;

    memset(text, 0, sizeof(text));
    file = fmemopen(text, sizeof(text), "we");
    CHECK(file != NULL);
    line_protocol_print(line, format, file);
    CHECK_EQ(fclose(file), 0);
    return text;
}

static const char *influx(const struct line_protocol *line)
{
    return printed(line, LINE_PROTOCOL_INFLUX);
}

TEST(tags_and_fields_are_sorted_and_whole_numbers_have_their_letter)
{
    struct line_protocol line;

    line_protocol_init(&line, "tf_gpu_usage", 1700000000123);
    line_protocol_tag(&line, "uuid", "gpu-0");
    line_protocol_tag(&line, "node", "a");
    line_protocol_tag(&line, "pool", "b");
    line_protocol_float(&line, "tx", 12.5);
    line_protocol_unsigned(&line, "memory_bytes", UINT64_MAX);
    line_protocol_integer(&line, "power_usage", -5);
    line_protocol_float(&line, "rx", 100);
    CHECK_STR_EQ(influx(&line),
                 "tf_gpu_usage,node=a,pool=b,uuid=gpu-0 memory_bytes=18446744073709551615u,"
                 "power_usage=-5i,rx=100,tx=12.5 1700000000123\n");
    CHECK_STR_EQ(printed(&line, LINE_PROTOCOL_JSON),
                 "{\"measure\":\"tf_gpu_usage\",\"ts\":1700000000123,"
                 "\"tag\":{\"node\":\"a\",\"pool\":\"b\",\"uuid\":\"gpu-0\"},"
                 "\"field\":{\"memory_bytes\":18446744073709551615,\"power_usage\":-5,"
                 "\"rx\":100,\"tx\":12.5}}\n");
}

TEST(a_line_without_a_field_says_so)
{
    struct line_protocol line;

    line_protocol_init(&line, "m", 7);
    CHECK_STR_EQ(influx(&line), "m _empty=true 7\n");
    CHECK_STR_EQ(printed(&line, LINE_PROTOCOL_JSON),
                 "{\"measure\":\"m\",\"ts\":7,\"tag\":{},\"field\":{}}\n");
}

TEST(what_is_no_number_is_left_out)
{
    struct line_protocol line;

    line_protocol_init(&line, "m", 7);
    line_protocol_float(&line, "a", NAN);
    line_protocol_float(&line, "b", INFINITY);
    CHECK_STR_EQ(influx(&line), "m _empty=true 7\n");
}

TEST(floats_are_printed_without_an_exponent_and_without_idle_zeros)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},
                {0.1, "0.1"},
                {33.333333333, "33.333333"},
                {2e7, "20000000"},
                {1e15, "1000000000000000"},
                {0.0000001, "0"},
                {99.9999999, "100"},
                {0.000001, "0.000001"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct line_protocol line;
        char expected[64];

        line_protocol_init(&line, "m", 1);
        line_protocol_float(&line, "f", rows[i].value);
        (void)snprintf(expected, sizeof(expected), "m f=%s 1\n", rows[i].text);
        CHECK_STR_EQ(influx(&line), expected);
    }
}

TEST(names_that_break_the_line_are_escaped)
{
    struct line_protocol line;

    line_protocol_init(&line, "a b,c=d", 1);
    line_protocol_tag(&line, "k=e y", "v,a=l ue");
    line_protocol_tag(&line, "nothing", "");
    line_protocol_tag(&line, "slash", "ends\\");
    line_protocol_tag(&line, "space", "\nx\ty\x7f");
    line_protocol_tag(&line, "wrong", "\xffo\xc3\xb6");
    line_protocol_unsigned(&line, "f i,=", 1);
    CHECK_STR_EQ(influx(&line), "a\\ b\\,c=d,k\\=e\\ y=v\\,a\\=l\\ ue,slash=ends/,"
                                "space=\\ x\\ y\\ ,wrong=\xef\xbf\xbdo\xc3\xb6 "
                                "f\\ i\\,\\==1u 1\n");
}

TEST(json_can_be_read_whatever_is_in_it)
{
    struct line_protocol line;
    json_t *root, *tag;

    line_protocol_init(&line, "m\"", 1);
    line_protocol_tag(&line, "k", "\"\\\n\x01\x7f\xff\xed\xa0\x80");
    root = json_loads(printed(&line, LINE_PROTOCOL_JSON), 0, NULL);
    CHECK(root != NULL);
    tag = json_object_get(root, "tag");
    CHECK_STR_EQ(json_string_value(json_object_get(tag, "k")),
                 "\"\\\n\x01\x7f\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR_EQ(json_string_value(json_object_get(root, "measure")), "m\"");
    json_decref(root);
}
