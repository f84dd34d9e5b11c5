#include "hypervisor/web_assets.h"

#include "utils/str.h"
#include "web_asset_table.h"

#define ASSET_COUNT (sizeof(assets) / sizeof(assets[0]))

const struct web_asset *web_assets_find(const char *path)
{
    for (size_t i = 0; i < ASSET_COUNT; i++)
        if (str_equals(assets[i].path, path))
            return &assets[i];
    return NULL;
}

const struct web_asset *web_assets_at(size_t index)
{
    return index < ASSET_COUNT ? &assets[index] : NULL;
}
