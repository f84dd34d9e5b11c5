/*
 * show_metrics [ACCEPT] - prints the metrics of a made-up node as the daemon would, in the format
 * that the Accept header asks for.
 */
#include "hypervisor/exposition.h"

#include <stdio.h>

#include "tests/unit/made_up_snapshot.h"

int main(int argc, char **argv)
{
    struct metrics_own own = made_up_own();
    struct snapshot *snapshot = made_up_snapshot();
    struct exposition exposition;
    int rc = exposition_write(snapshot, &own, argc > 1 ? argv[1] : NULL, &exposition, NULL);

    snapshot_release(snapshot);
    if (rc < 0)
        return 1;
    fwrite(exposition.text, 1, exposition.length, stdout);
    exposition_fini(&exposition);
    return fflush(stdout) ? 1 : 0;
}
