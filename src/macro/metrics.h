#pragma once
/*
 * metrics - the words that rows of metrics.def are written in: kinds, labels, and what a metric is
 * there for (its scope: once, for each GPU, for each tenant ...).
 */
#include <stdint.h>

/* In Prometheus' text format an info is a gauge of 1; in OpenMetrics it has a type of its own. */
#define METRICS_TYPES(TYPE)                                                                        \
    TYPE(GAUGE, gauge)                                                                             \
    TYPE(COUNTER, counter)                                                                         \
    TYPE(INFO, info)

#define METRICS_SCOPES(SCOPE)                                                                      \
    SCOPE(NODE, "once")                                                                            \
    SCOPE(FAULT, "for each component that may have a fault")                                       \
    SCOPE(GPU, "for each GPU")                                                                     \
    SCOPE(GPU_VERDICT, "for each GPU and verdict; 1 for the one that holds")                       \
    SCOPE(TENANT, "for each tenant")                                                               \
    SCOPE(TENANT_STATE, "for each tenant and state; 1 for the one that holds")                     \
    SCOPE(SHARE, "for each tenant and GPU that it may use")                                        \
    SCOPE(SHARE_PRIORITY, "for each tenant, GPU and priority; 1 for the one that holds")

/* In the order in which they are written. A label without a value is left out. */
#define METRICS_LABELS(LABEL)                                                                      \
    LABEL(NODE, node, "the node's name")                                                           \
    LABEL(TENANT, tenant, "the tenant's name")                                                     \
    LABEL(GPU, gpu, "NVML's index of the GPU")                                                     \
    LABEL(UUID, uuid, "NVML's UUID of the GPU")                                                    \
    LABEL(MODEL, model, "NVML's name of the GPU")                                                  \
    LABEL(COMPONENT, component, "gpu, sampler, disk, api, metrics or shared-files")                \
    LABEL(VERDICT, verdict, "obeys, inert or not-tested")                                          \
    LABEL(STATE, state, "starting, running, suspended, queued or orphaned")                        \
    LABEL(PRIORITY, priority, "low, normal or high")                                               \
    LABEL(VERSION, version, "vgpu's version")                                                      \
    LABEL(DRIVER, driver, "the NVIDIA driver's version")

enum metrics_type {
#define METRICS_TYPE_NUMBER(type, word) METRICS_##type,
    METRICS_TYPES(METRICS_TYPE_NUMBER)
#undef METRICS_TYPE_NUMBER
};

enum metrics_scope {
#define METRICS_SCOPE_NUMBER(scope, words) METRICS_SCOPE_##scope,
    METRICS_SCOPES(METRICS_SCOPE_NUMBER)
#undef METRICS_SCOPE_NUMBER
        METRICS_SCOPE_END
};

enum metrics_label {
#define METRICS_LABEL_NUMBER(label, name, words) METRICS_LABEL_##label,
    METRICS_LABELS(METRICS_LABEL_NUMBER)
#undef METRICS_LABEL_NUMBER
        METRICS_LABEL_END
};

/* The labels of a scope; a row may add some. */
#define METRICS_BIT(label)               (UINT32_C(1) << METRICS_LABEL_##label)
#define METRICS_LABELS_OF_NODE           METRICS_BIT(NODE)
#define METRICS_LABELS_OF_FAULT          (METRICS_BIT(NODE) | METRICS_BIT(COMPONENT))
#define METRICS_LABELS_OF_GPU            (METRICS_BIT(NODE) | METRICS_BIT(GPU) | METRICS_BIT(UUID))
#define METRICS_LABELS_OF_GPU_VERDICT    (METRICS_LABELS_OF_GPU | METRICS_BIT(VERDICT))
#define METRICS_LABELS_OF_TENANT         (METRICS_BIT(NODE) | METRICS_BIT(TENANT))
#define METRICS_LABELS_OF_TENANT_STATE   (METRICS_LABELS_OF_TENANT | METRICS_BIT(STATE))
#define METRICS_LABELS_OF_SHARE          (METRICS_LABELS_OF_GPU | METRICS_BIT(TENANT))
#define METRICS_LABELS_OF_SHARE_PRIORITY (METRICS_LABELS_OF_SHARE | METRICS_BIT(PRIORITY))
/* What a row may add to its scope's. */
#define METRICS_ALSO_NOTHING UINT32_C(0)
#define METRICS_ALSO_MODEL   METRICS_BIT(MODEL)
#define METRICS_ALSO_VERSION METRICS_BIT(VERSION)
#define METRICS_ALSO_DRIVER  METRICS_BIT(DRIVER)
