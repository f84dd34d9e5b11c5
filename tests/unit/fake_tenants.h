#pragma once
/*
 * fake_tenants - what supervisors would say, for tests of `vgpu top`.
 */
#include "cli/listing.h"
#include "cli/top_model.h"

#define FAKE_GIB (UINT64_C(1) << 30)

/*
 * A running tenant on GPU 0 without limits: nothing known of its use, 1 GiB of an 80 GiB card, one
 * process `comm`. The processes belong to the caller of fake_tenant_fini().
 */
struct listing_tenant fake_tenant(const char *name, const char *comm);
void fake_tenant_fini(struct listing_tenant *tenant);
/* One more GPU like the first, with its own number and UUID. */
void fake_tenant_add_gpu(struct listing_tenant *tenant);

/* A refresh of the model with these tenants; a name that begins with '!' is a silent one's. */
void fake_refresh(struct top_model *model, const struct listing_tenant *tenants, size_t count);
