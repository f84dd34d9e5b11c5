#include "hypervisor/nearest.h"

#include "tests/harness.h"

#include <string.h>

static const char *find(const char *word)
{
    struct nearest nearest;

    nearest_begin(&nearest, word);
    nearest_offer(&nearest, "api_socket");
    nearest_offer(&nearest, "api_listen_addr");
    nearest_offer(&nearest, "log_level");
    return nearest_get(&nearest);
}

TEST(the_word_with_the_fewest_changes_is_named)
{
    CHECK_STR_EQ(find("api_sockt"), "api_socket");
    CHECK_STR_EQ(find("api-socket"), "api_socket");
    CHECK_STR_EQ(find("api_listen_address"), "api_listen_addr");
    CHECK_STR_EQ(find("LogLevel"), "log_level");
}

TEST(what_is_like_none_of_them_names_none)
{
    char word[300];

    CHECK(find("weight") == NULL);
    CHECK(find("") == NULL);
    memset(word, 'x', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    CHECK(find(word) == NULL);
}
