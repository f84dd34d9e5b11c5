#pragma once
/*
 * api_asked - the explanations that are asked for over HTTP: one a tenant at a time. Anybody on the
 * machine may ask, as often as it likes, and each question takes a place in the line to the
 * tenant's supervisor, where changes wait as well. Whoever asks while one is on its way shares its
 * answer: it was not there yet when the later one was asked.
 */
#include "hypervisor/api_call.h"
#include "utils/list.h"

#include <pthread.h>

struct api_asked {
    pthread_mutex_t lock;
    struct list questions; /* of struct question */
};

void api_asked_init(struct api_asked *asked);
/* After the last request. Calls that the loop is not done with yet may be done later. */
void api_asked_fini(struct api_asked *asked);

/*
 * Posts the call, or lets the HTTP request wait for the one about its tenant that was posted before
 * and is not done. Takes the call over. Any thread.
 */
void api_asked_post(struct api_asked *asked, struct api_call *call, struct http_request *http,
                    api_call_answer *answer);
