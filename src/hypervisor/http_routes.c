#include "hypervisor/http_routes.h"

#include "hypervisor/http_target.h"
#include "utils/str.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char *const words[] = {
    [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

static size_t count_placeholders(const char *path)
{
    size_t count = 0;

    for (; *path; path++)
        count += *path == '{';
    return count;
}

int http_routes_add(struct http_routes *routes, const struct http_route *route, struct err *err)
{
    if (routes->count == HTTP_ROUTES_MAX)
        return err_say(err, ENOSPC, "more than %d routes", HTTP_ROUTES_MAX);
    if (count_placeholders(route->path) > HTTP_PARAMETERS_MAX)
        return err_say(err, ENOSPC, "more than %d placeholders in '%s'", HTTP_PARAMETERS_MAX,
                       route->path);
    for (size_t i = 0; i < routes->count; i++)
        if (routes->routes[i].method == route->method &&
            str_equals(routes->routes[i].path, route->path))
            return err_say(err, EEXIST, "%s '%s' has a handler already", words[route->method],
                           route->path);
    routes->routes[routes->count++] = *route;
    return 0;
}

/* Compares one part of a pattern, which ends at a slash or its end. */
static bool part_equals(const char *part, size_t length, const char *segment)
{
    return strlen(segment) == length && memcmp(part, segment, length) == 0;
}

static bool matches(const char *path, const struct http_target *target, const char **parameters)
{
    size_t count = 0, i = 0;

    for (path++; *path; i++) {
        size_t length = strcspn(path, "/");

        if (i == target->segment_count || !*target->segments[i])
            return false;
        if (*path == '{')
            parameters[count++] = target->segments[i];
        else if (!part_equals(path, length, target->segments[i]))
            return false;
        path += length + (path[length] == '/');
    }
    parameters[count] = NULL;
    return i == target->segment_count;
}

/* Takes the route in if it matches and is no worse than what was found. */
static void consider(struct http_match *match, const struct http_route *route,
                     enum http_method method, const struct http_target *target)
{
    const char *parameters[HTTP_PARAMETERS_MAX + 1] = {NULL};

    if (!matches(route->path, target, parameters))
        return;
    match->methods |= 1u << route->method;
    if (route->method != method || (match->route && !match->parameters[0]))
        return;
    match->route = route;
    memcpy(match->parameters, parameters, sizeof(parameters));
}

struct http_match http_routes_find(const struct http_routes *routes, enum http_method method,
                                   const struct http_target *target)
{
    struct http_match match = {0};

    for (size_t i = 0; i < routes->count; i++)
        consider(&match, &routes->routes[i], method, target);
    return match;
}

enum http_method http_method_of(const char *word)
{
    if (str_equals(word, "HEAD"))
        return HTTP_GET;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_equals(word, words[i]))
            return (enum http_method)i;
    return HTTP_METHOD_END;
}

void http_methods_write(unsigned int methods, char *buffer, size_t size)
{
    struct str str;

    str_init(&str, buffer, size);
    str_add(&str, "OPTIONS");
    if (methods & 1u << HTTP_GET)
        str_add(&str, ", HEAD");
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (methods & 1u << i)
            str_add(&str, ", %s", words[i]);
}

const char *http_route_stranger(const struct http_route *route, const struct http_target *target)
{
    for (size_t i = 0; i < target->query_count; i++) {
        const char *name = target->query[i].name;
        const char *known = route->query;
        size_t length = 0;

        for (; known && *known; known += length + (known[length] == ' ')) {
            length = strcspn(known, " ");
            if (part_equals(known, length, name))
                break;
        }
        if (!known || !*known)
            return name;
    }
    return NULL;
}
