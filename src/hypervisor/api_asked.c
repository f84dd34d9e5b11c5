#include "hypervisor/api_asked.h"

#include "utils/str.h"

#include <stdlib.h>

struct question {
    struct list node;
    struct api_call *call; /* held */
};

void api_asked_init(struct api_asked *asked)
{
    list_init(&asked->questions);
    (void)pthread_mutex_init(&asked->lock, NULL); /* cannot fail without attributes */
}

static void drop(struct question *question)
{
    list_remove(&question->node);
    api_call_free(question->call);
    free(question);
}

void api_asked_fini(struct api_asked *asked)
{
    LIST_EACH_SAFE(node, following, &asked->questions)
    drop(CONTAINER_OF(node, struct question, node));
    (void)pthread_mutex_destroy(&asked->lock);
}

/* The one about the tenant that is on its way; NULL: none. Drops those that are done. */
static struct api_call *find(struct api_asked *asked, const char *name)
{
    struct api_call *found = NULL;

    LIST_EACH_SAFE(node, following, &asked->questions)
    {
        struct question *question = CONTAINER_OF(node, struct question, node);

        if (api_call_is_done(question->call))
            drop(question);
        else if (str_equals(api_call_request(question->call)->name, name))
            found = question->call;
    }
    return found;
}

static void post_new(struct api_asked *asked, struct api_call *call, struct http_request *http,
                     api_call_answer *answer)
{
    struct question *question = malloc(sizeof(*question));

    if (!question) {
        http_reply_problem(http, 500, NULL, "there is no memory");
        api_call_free(call);
        return;
    }
    question->call = api_call_hold(call);
    list_append(&asked->questions, &question->node);
    api_call_post(call, http, answer, API_CALL_TIMEOUT_NS);
}

void api_asked_post(struct api_asked *asked, struct api_call *call, struct http_request *http,
                    api_call_answer *answer)
{
    struct api_call *before;

    (void)pthread_mutex_lock(&asked->lock); /* these two fail for misuse only */
    before = find(asked, api_call_request(call)->name);
    if (before) {
        api_call_join(before, http, API_CALL_TIMEOUT_NS);
        api_call_free(call);
    } else {
        post_new(asked, call, http, answer);
    }
    (void)pthread_mutex_unlock(&asked->lock);
}
