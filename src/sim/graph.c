#include "sim/graph.h"

#include "sim/card.h"
#include "sim/cuda_calls.h"
#include "sim/module.h"
#include "sim/stream.h"

#include <stdlib.h>

static void graph_init(struct CUgraph_st *graph)
{
    graph->first = NULL;
    graph->last = &graph->first;
}

CUresult graph_new(struct CUgraph_st **ret_graph)
{
    struct CUgraph_st *graph = malloc(sizeof(*graph));

    if (!graph)
        return CUDA_ERROR_OUT_OF_MEMORY;
    graph_init(graph);
    *ret_graph = graph;
    return CUDA_SUCCESS;
}

CUresult graph_add(struct CUgraph_st *graph, const struct queue_item *item,
                   const struct copy_content *content)
{
    struct CUgraphNode_st *node = calloc(1, sizeof(*node));

    if (!node)
        return CUDA_ERROR_OUT_OF_MEMORY;
    node->item = *item;
    if (content)
        node->content = *content;
    *graph->last = node;
    graph->last = &node->next;
    return CUDA_SUCCESS;
}

static void fini(struct CUgraph_st *graph)
{
    while (graph->first) {
        struct CUgraphNode_st *next = graph->first->next;

        free(graph->first);
        graph->first = next;
    }
}

CUresult cuGraphCreate(CUgraph *graph, unsigned int flags)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    return graph && flags == 0 ? graph_new(graph) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphDestroy(CUgraph graph)
{
    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    fini(graph);
    free(graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                                 size_t count, const CUDA_KERNEL_NODE_PARAMS *parameters)
{
    CUgraphNode *place;
    struct queue_item item;
    struct module_launch launch;
    CUresult result;

    if (!node || !graph || !parameters || (count > 0 && !dependencies))
        return CUDA_ERROR_INVALID_VALUE;
    launch = (struct module_launch){
        .grid = {parameters->gridDimX, parameters->gridDimY, parameters->gridDimZ},
        .block = {parameters->blockDimX, parameters->blockDimY, parameters->blockDimZ},
        .parameters = parameters->kernelParams,
        .extra = parameters->extra,
    };
    result = module_make_item(parameters->func, &launch, &item);
    place = graph->last;
    if (result == CUDA_SUCCESS)
        result = graph_add(graph, &item, NULL);
    if (result == CUDA_SUCCESS)
        *node = *place;
    return result;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                     unsigned long long flags)
{
    struct CUgraphExec_st *made;
    CUresult result = CUDA_SUCCESS;

    if (!executable || !graph)
        return CUDA_ERROR_INVALID_VALUE;
    made = malloc(sizeof(*made));
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    graph_init(&made->graph);
    for (const struct CUgraphNode_st *node = graph->first; node && result == CUDA_SUCCESS;
         node = node->next)
        result = graph_add(&made->graph, &node->item, &node->content);
    if (result != CUDA_SUCCESS) {
        fini(&made->graph);
        free(made);
        return result;
    }
    *executable = made;
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream)
{
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if (!executable)
        return CUDA_ERROR_INVALID_VALUE;
    for (const struct CUgraphNode_st *node = executable->graph.first;
         node && result == CUDA_SUCCESS; node = node->next) {
        result = stream_submit(target, &node->item);
        if (result == CUDA_SUCCESS)
            result = copy_run(&node->content);
    }
    return result;
}

CUresult cuGraphExecDestroy(CUgraphExec executable)
{
    if (!executable)
        return CUDA_ERROR_INVALID_VALUE;
    fini(&executable->graph);
    free(executable);
    return CUDA_SUCCESS;
}
