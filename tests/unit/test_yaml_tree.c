#include "hypervisor/yaml_tree.h"

#include "hypervisor/yaml_json.h"
#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_refused(const char *text, const char *words)
{
    struct yaml_tree tree;
    struct err err = {0};

    CHECK_EQ(yaml_tree_parse(&tree, "f.yaml", text, strlen(text), &err), -EINVAL);
    if (!strstr(err.text, words))
        CHECK_STR_EQ(err.text, words);
}

TEST(what_is_no_yaml_is_refused_with_its_place)
{
    check_refused("a: [1, 2\nb: 3\n", "f.yaml:2:2: ");
    check_refused("a: 1\n\tb: 2\n", "f.yaml:2:1: ");
    check_refused("a: *nothing\n", "f.yaml:1:4: ");
    check_refused("a: \xff\n", "f.yaml: byte 3: ");
    check_refused("a: 1\n---\nb: 2\n", "f.yaml:3:1: a second document");
}

TEST(nothing_is_a_document_too)
{
    static const char *const texts[] = {"", "\n\n", "# only words\n", "---\n", "~\n"};

    for (size_t i = 0; i < 5; i++) {
        struct yaml_tree tree;
        struct err err = {0};

        CHECK_OK(yaml_tree_parse(&tree, "f", texts[i], strlen(texts[i]), &err), &err);
        CHECK(yaml_tree_root(&tree) == NULL);
        yaml_tree_fini(&tree);
    }
}

TEST(a_file_that_is_not_there_or_has_no_end_is_an_error)
{
    struct yaml_tree tree;
    struct err err = {0};

    CHECK_EQ(yaml_tree_load(&tree, "/nowhere/f.yaml", &err), -ENOENT);
    CHECK_EQ(yaml_tree_load(&tree, "/dev/zero", &err), -EFBIG);
    CHECK_EQ(yaml_tree_load(&tree, "/tmp", &err), -EISDIR);
}

static int count(void *context, struct yaml_tree *tree, yaml_node_pair_t *pair, struct err *err)
{
    ++*(int *)context;
    return 0;
}

static int visit(const char *text, int *ret_count, struct err *err)
{
    struct yaml_tree tree;
    int rc;

    CHECK_OK(yaml_tree_parse(&tree, "f", text, strlen(text), err), err);
    rc = yaml_tree_each(&tree, yaml_tree_root(&tree), count, ret_count, err);
    yaml_tree_fini(&tree);
    return rc;
}

TEST(keys_are_texts_and_each_is_there_once)
{
    struct err err = {0};
    int pairs = 0;

    CHECK_OK(visit("a: 1\n'b': 2\n", &pairs, &err), &err);
    CHECK_EQ(pairs, 2);
    CHECK_EQ(visit("a: 1\nb: 2\n'a': 3\n", &pairs, &err), -EINVAL);
    CHECK_STR_EQ(err.text, "f:3:1: 'a' is there twice");
    CHECK_EQ(visit("[a]: 1\n", &pairs, &err), -EINVAL);
    CHECK_STR_EQ(err.text, "f:1:1: a key that is no text");
    CHECK_EQ(visit("\"a\\0b\": 1\n", &pairs, &err), -EINVAL);
    CHECK_EQ(visit("- a\n", &pairs, &err), -EINVAL);
}

/* The first value of the document, as JSON; NULL with words in `err`. */
static char *to_json(const char *text, struct err *err)
{
    struct yaml_tree tree;
    char *json = NULL;

    CHECK_OK(yaml_tree_parse(&tree, "f", text, strlen(text), err), err);
    if (yaml_json_write(&tree, yaml_tree_root(&tree), &json, err) < 0)
        json = NULL;
    yaml_tree_fini(&tree);
    return json;
}

static void check_json(const char *text, const char *wanted)
{
    struct err err = {0};
    char *json = to_json(text, &err);

    CHECK(json != NULL);
    CHECK_STR_EQ(json, wanted);
    free(json);
}

TEST(a_mapping_is_a_json_object)
{
    check_json("{a: 1, b: 1.5, c: true, d: null, e: x, f: '1', g: [1, ~]}",
               "{\"a\":1,\"b\":1.5,\"c\":true,\"d\":null,\"e\":\"x\",\"f\":\"1\",\"g\":[1,null]}");
    check_json("{\"a\": {\"b\": \"c\"}}", "{\"a\":{\"b\":\"c\"}}");
    check_json("'{\"a\": 1}'", "{\"a\": 1}");
    check_json("a: &x {b: 1}\nc: *x\n", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}");
}

TEST(aliases_that_lie_in_themselves_or_multiply_are_refused)
{
    struct err err = {0};

    CHECK(to_json("&x {a: *x}", &err) == NULL);
    CHECK(strstr(err.text, "nested deeper") != NULL);
    CHECK(to_json("a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                  "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                  "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
                  &err) == NULL);
    CHECK(strstr(err.text, "more than 1000 values") != NULL);
    CHECK(to_json("{a: \"x\\0y\"}", &err) == NULL);
    CHECK_STR_EQ(err.text, "f:1:5: a value that is no text");
}
