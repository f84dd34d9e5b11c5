#include "hypervisor/http_routes.h"

#include "hypervisor/http_target.h"
#include "tests/harness.h"

#include <errno.h>

static struct http_routes routes;
static struct http_target target;

static void add(enum http_method method, const char *path, const char *query)
{
    struct http_route route = {.method = method, .path = path, .query = query};
    struct err err;

    CHECK_OK(http_routes_add(&routes, &route, &err), &err);
}

static struct http_match find(enum http_method method, const char *path)
{
    struct err err;

    CHECK_OK(http_target_parse(&target, path, &err), &err);
    return http_routes_find(&routes, method, &target);
}

TEST(a_path_with_placeholders_matches_whole_parts)
{
    struct http_match match;

    routes.count = 0;
    add(HTTP_GET, "/", NULL);
    add(HTTP_GET, "/a/{x}/b/{y}", NULL);
    match = find(HTTP_GET, "/a/1/b/2");
    CHECK(match.route == &routes.routes[1]);
    CHECK_STR_EQ(match.parameters[0], "1");
    CHECK_STR_EQ(match.parameters[1], "2");
    CHECK(match.parameters[2] == NULL);
    CHECK(find(HTTP_GET, "/").route == &routes.routes[0]);
    CHECK(find(HTTP_GET, "/a/1/b").route == NULL);
    CHECK(find(HTTP_GET, "/a/1/b/2/3").route == NULL);
    CHECK(find(HTTP_GET, "/a/1/b/").route == NULL);
    CHECK(find(HTTP_GET, "/a/1/bb/2").route == NULL);
    CHECK(find(HTTP_GET, "/a").methods == 0);
    CHECK(find(HTTP_GET, "//").methods == 0);
}

TEST(a_path_without_placeholders_goes_first)
{
    routes.count = 0;
    add(HTTP_GET, "/a/{x}", NULL);
    add(HTTP_GET, "/a/b", NULL);
    add(HTTP_GET, "/{y}/b", NULL);
    CHECK(find(HTTP_GET, "/a/b").route == &routes.routes[1]);
    CHECK(find(HTTP_GET, "/a/c").route == &routes.routes[0]);
}

TEST(the_methods_of_a_path_are_known)
{
    struct http_match match;
    char allowed[64];

    routes.count = 0;
    add(HTTP_GET, "/a", NULL);
    add(HTTP_DELETE, "/a", NULL);
    match = find(HTTP_POST, "/a");
    CHECK(match.route == NULL);
    http_methods_write(match.methods, allowed, sizeof(allowed));
    CHECK_STR_EQ(allowed, "OPTIONS, HEAD, GET, DELETE");
    CHECK_EQ(http_method_of("HEAD"), HTTP_GET);
    CHECK_EQ(http_method_of("get"), HTTP_METHOD_END);
}

TEST(a_route_is_there_once)
{
    struct http_route route = {.method = HTTP_GET, .path = "/a"};
    struct http_route many = {.path = "/{a}/{b}/{c}/{d}/{e}"};

    routes.count = 0;
    CHECK_EQ(http_routes_add(&routes, &route, NULL), 0);
    CHECK_EQ(http_routes_add(&routes, &route, NULL), -EEXIST);
    route.method = HTTP_PUT;
    CHECK_EQ(http_routes_add(&routes, &route, NULL), 0);
    CHECK_EQ(http_routes_add(&routes, &many, NULL), -ENOSPC);
}

TEST(strange_query_parameters_are_found)
{
    routes.count = 0;
    add(HTTP_GET, "/a", "after pace");
    CHECK(http_route_stranger(find(HTTP_GET, "/a?pace=1&after=2").route, &target) == NULL);
    CHECK_STR_EQ(http_route_stranger(find(HTTP_GET, "/a?after=2&paces=1").route, &target), "paces");
    CHECK_STR_EQ(http_route_stranger(find(HTTP_GET, "/a?pac=2").route, &target), "pac");
    routes.routes[0].query = NULL;
    CHECK_STR_EQ(http_route_stranger(find(HTTP_GET, "/a?x").route, &target), "x");
}
