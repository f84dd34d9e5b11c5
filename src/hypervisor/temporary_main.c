#include "hypervisor/node.h"
#include "hypervisor/policy.h"
#include "utils/log.h"

int main(int argc, char **argv)
{
    static struct policy policy;
    struct node_config config = {.node_name = "here", .policy = &policy, .look_ms = 1000};
    struct node *node;
    struct err err = {0};

    log_set_level(argc > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    (void)argv;
    if (node_new(&node, &config, &err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    node_run(node);
    node_free(node);
    return 0;
}
