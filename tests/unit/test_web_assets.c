#include "tests/harness.h"

#include "hypervisor/web_assets.h"

#include <string.h>

/* Whether `words` stand in the file that is served for the path. */
static bool has_words(const char *path, const char *words)
{
    const struct web_asset *asset = web_assets_find(path);

    return asset && memmem(asset->bytes, asset->length, words, strlen(words));
}

TEST(the_root_is_the_page)
{
    const struct web_asset *page = web_assets_find("/");

    CHECK(page != NULL);
    CHECK_STR_EQ(page->content_type, "text/html; charset=utf-8");
    CHECK(has_words("/", "<!doctype html>"));
    CHECK(has_words("/", "</html>"));
    CHECK_EQ(page->bytes[page->length - 1], '\n');
}

TEST(each_kind_of_file_has_its_content_type)
{
    CHECK_STR_EQ(web_assets_find("/style.css")->content_type, "text/css; charset=utf-8");
    CHECK_STR_EQ(web_assets_find("/app.js")->content_type, "text/javascript; charset=utf-8");
    CHECK_STR_EQ(web_assets_find("/favicon.svg")->content_type, "image/svg+xml; charset=utf-8");
}

TEST(what_is_no_asset_is_not_found)
{
    CHECK(web_assets_find("") == NULL);
    CHECK(web_assets_find("/index.html") == NULL);
    CHECK(web_assets_find("/app.js/") == NULL);
    CHECK(web_assets_find("/../app.js") == NULL);
    CHECK(web_assets_find("/api/v1/gpus") == NULL);
}

TEST(tags_are_strong_and_differ)
{
    const struct web_asset *asset;

    for (size_t i = 0; (asset = web_assets_at(i)); i++) {
        size_t length = strlen(asset->etag);

        CHECK(length > 2 && asset->etag[0] == '"' && asset->etag[length - 1] == '"');
        CHECK(strchr(asset->etag + 1, '"') == asset->etag + length - 1);
        for (size_t other = 0; other < i; other++)
            CHECK(strcmp(web_assets_at(other)->etag, asset->etag) != 0);
    }
}

/* The strict policy that the page is served with would block it, silently for who does not look. */
TEST(the_page_has_no_script_or_style_of_its_own)
{
    CHECK(!has_words("/", "<style"));
    CHECK(!has_words("/", " style="));
    CHECK(!has_words("/", "<script>"));
    CHECK(!has_words("/", " onclick="));
    CHECK(!has_words("/", "https://"));
}

/* Names of tenants and processes are written by others: as text, never as markup. */
TEST(no_script_makes_markup_or_code_of_text)
{
    const struct web_asset *asset;

    for (size_t i = 0; (asset = web_assets_at(i)); i++) {
        CHECK(!has_words(asset->path, "innerHTML"));
        CHECK(!has_words(asset->path, "outerHTML"));
        CHECK(!has_words(asset->path, "insertAdjacentHTML"));
        CHECK(!has_words(asset->path, "document.write"));
        CHECK(!has_words(asset->path, "eval("));
        CHECK(!has_words(asset->path, "localStorage"));
    }
}
