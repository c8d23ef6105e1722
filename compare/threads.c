/*
 * Calls two plugins from one thread and from two, to measure whether calls on different plugins hold each other up.
 */
#include "driver.h"

#include <pthread.h>

enum { PLUGINS = 2 };

/* A thread that calls plugins by turns. */
struct caller {
    const struct work *work;
    const union plugin *plugins;
    int count;
    uint64_t batch;
    pthread_barrier_t *start;
    double rate; /* what comes of it: calls a second */
};

static void *call_by_turns(void *argument)
{
    struct caller *caller = argument;
    pthread_barrier_wait(caller->start);
    uint64_t calls = 0, start = now(), took;
    do {
        for (int plugin = 0; plugin < caller->count; plugin++)
            for (uint64_t i = 0; i < caller->batch; i++)
                call(caller->work, caller->plugins[plugin]);
        calls += caller->batch * (uint64_t)caller->count;
        took = now() - start;
    } while (took < caller->work->nanoseconds);
    caller->rate = (double)calls * 1e9 / (double)took;
    return NULL;
}

/* The calls a second of all threads together; each thread has its share of the plugins. */
static double rate(const struct work *work, const union plugin plugins[PLUGINS], uint64_t batch, int threads)
{
    pthread_t ids[PLUGINS];
    struct caller callers[PLUGINS];
    pthread_barrier_t start;
    if (pthread_barrier_init(&start, NULL, (unsigned)threads) != 0)
        fail(2, "barrier", "cannot be made");
    int share = PLUGINS / threads;
    for (int i = 0; i < threads; i++) {
        callers[i] = (struct caller){work, plugins + i * share, share, batch, &start, 0};
        if (pthread_create(&ids[i], NULL, call_by_turns, &callers[i]) != 0)
            fail(2, "thread", "cannot be started");
    }
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        if (pthread_join(ids[i], NULL) != 0)
            fail(2, "thread", "cannot be joined");
        sum += callers[i].rate;
    }
    pthread_barrier_destroy(&start);
    return sum;
}

/* Makes and warms the plugins; returns the size of batches in which to call them. */
static uint64_t prepare(const struct work *work, union plugin plugins[PLUGINS])
{
    uint64_t batch = 0;
    for (int i = 0; i < PLUGINS; i++) {
        plugins[i] = make(work);
        batch = batch_of_calls(work, plugins[i]);
    }
    return batch;
}

double calls_of_two_threads(const struct work *work, union plugin *plugin)
{
    union plugin plugins[PLUGINS];
    uint64_t batch = prepare(work, plugins);
    *plugin = plugins[0];
    return rate(work, plugins, batch, 2);
}

double two_threads_against_one(const struct work *work, union plugin *plugin)
{
    union plugin plugins[PLUGINS];
    uint64_t batch = prepare(work, plugins);
    *plugin = plugins[0];
    double one = rate(work, plugins, batch, 1);
    return rate(work, plugins, batch, 2) / one;
}
