/*
 * The types that the driver's files share: a library's plugins behind one interface, and the work to do with them.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdbool.h>
#include <stdint.h>

/* A plugin: a number in Extism 0.1.0, an address elsewhere. */
union plugin {
    int32_t id;
    void *address;
};

/* How plugins are made and called. All but the first two need the interface of Extism 1.x. */
enum way {
    PLAINLY,
    WITH_TIMEOUT,   /* a call may take no longer than a minute */
    WITH_CONTEXT,   /* each call has a host context */
    COMPILED,       /* all are made of one compiled plugin */
    WITH_INCREMENT, /* each has a host function of its own, `work`, which adds 1 to an i64 */
    WITH_BLOCK,     /* the same, but `work` also allocates a block, asks for its length, and frees it */
};

/* The module that plugins are made of, and their settings. */
struct source {
    const char *path; /* of the module */
    bool wasi;
    enum way way;
};

struct output {
    const uint8_t *bytes; /* valid until the plugin is called again or freed */
    uint64_t length;
};

/* A library that makes plugins of one source. A failure ends the process. Threads may call different plugins at once. */
struct library {
    union plugin (*plugin_new)(void);
    void (*plugin_call)(union plugin plugin, const char *function, const uint8_t *input, uint64_t length);
    struct output (*plugin_output)(union plugin plugin);
    void (*plugin_free)(union plugin plugin);
};

/* The library behind a handle of dlopen, to be opened once. NULL if it has another interface. */
const struct library *extism_open(void *handle, const struct source *source);
const struct library *wasmtime_open(void *handle, const struct source *source);

/* The work to do with the library's plugins. */
struct work {
    const struct library *library;
    const char *function; /* empty: plugins are made, and none is called */
    const uint8_t *input;
    uint64_t length;
    uint64_t nanoseconds; /* for how long what is repeated is repeated */
    uint64_t number;      /* what it is depends on the mode */
};

union plugin make(const struct work *work);

/* Calls the function once. */
void call(const struct work *work, union plugin plugin);

/* The number of calls per reading of the clock that makes the clock's own cost negligible. Warms the plugin. */
uint64_t batch_of_calls(const struct work *work, union plugin plugin);

/* Calls a second of two threads at once, each on a plugin of its own. `plugin` becomes one of the plugins. */
double calls_of_two_threads(const struct work *work, union plugin *plugin);

/* The result of `calls_of_two_threads`, divided by the calls a second that one thread makes on both plugins by turns. */
double two_threads_against_one(const struct work *work, union plugin *plugin);

/* The monotonic clock, in nanoseconds. */
uint64_t now(void);

/* Stores the address of a function in `*to`, a pointer to a function. Returns false if there is none. */
bool find(void *handle, const char *name, void *to);

/* Ends the process: 1 if a plugin fails, 2 if the driver was used wrongly. `why` may be NULL. */
_Noreturn void fail(int status, const char *what, const char *why);

#endif
