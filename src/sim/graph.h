#pragma once
/*
 * graph - work noted down to be done later, as often as wanted: the items of a stream's capture, or
 * those that a program adds one by one. A launch submits them in the order in which they were
 * added, which respects any dependencies, as a node can only depend on earlier ones; branches do
 * not run beside each other. What copies move, they move at the launch.
 */
#include "abi/cuda.h"
#include "sim/copy.h"
#include "sim/queue.h"
#include "utils/attr.h"

struct CUgraphNode_st {
    struct CUgraphNode_st *next;
    struct queue_item item;
    struct copy_content content;
};

struct CUgraph_st {
    struct CUgraphNode_st *first, **last;
};

struct CUgraphExec_st {
    struct CUgraph_st graph;
};

CUresult graph_new(struct CUgraph_st **ret_graph) MUST_CHECK;

/* `content`: NULL for what moves nothing. */
CUresult graph_add(struct CUgraph_st *graph, const struct queue_item *item,
                   const struct copy_content *content) MUST_CHECK;
