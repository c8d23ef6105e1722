/*
 * Runs one workload on one library, which is loaded by its path, and prints one number and the plugin's output.
 *
 *   driver LIBRARY MODE PLUGIN FUNCTION INPUT SECONDS [NUMBER]
 *
 *   LIBRARY   with the C interface of Extism 0.1.0, of Extism 1.x, or of wasmtime, recognised by its functions
 *   MODE      new      nanoseconds to make and free a plugin, repeated for SECONDS: the median
 *             use      the same with one call in between
 *             call     nanoseconds of a call, repeated for SECONDS: the median
 *             cpu      the same in the processor time of the thread, which other processes do not lengthen
 *             start    nanoseconds from NUMBER, a time of the monotonic clock, to the answer of a first call
 *             rss      bytes that NUMBER plugins, called once each, add to the resident set
 *             threads  calls a second of two threads at once, each on a plugin of its own, for SECONDS
 *             scaling  the result of `threads`, divided by the calls a second that one thread makes on both plugins
 *   PLUGIN    a module's path; the prefix `wasi:` gives it WASI. Before that may stand one of `timeout:`, `context:`,
 *             `compiled:`, `increment:` and `block:`; driver.h says at `enum way` what they do
 *   FUNCTION  empty: plugins are made and not called
 *   INPUT     text, or @N for N bytes
 *
 * Prints the number, a tab, and the first bytes of the output in hex. Exits with 1 if a plugin fails, 2 on wrong usage.
 */
#include "driver.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "driver: %s: %s\n", what, why ? why : "failed");
    exit(status);
}

static uint64_t time_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t now(void)
{
    return time_of(CLOCK_MONOTONIC);
}

/* Copies the address as POSIX recommends for dlsym. */
bool find(void *handle, const char *name, void *to)
{
    void *address = dlsym(handle, name);
    memcpy(to, &address, sizeof address);
    return address != NULL;
}

union plugin make(const struct work *work)
{
    return work->library->plugin_new();
}

void call(const struct work *work, union plugin plugin)
{
    work->library->plugin_call(plugin, work->function, work->input, work->length);
}

static union plugin make_and_call(const struct work *work)
{
    union plugin plugin = make(work);
    if (*work->function)
        call(work, plugin);
    return plugin;
}

uint64_t batch_of_calls(const struct work *work, union plugin plugin)
{
    enum { LONG_ENOUGH = 100000 };
    uint64_t batch = 1;
    for (uint64_t took = 0; took < LONG_ENOUGH; batch *= took < LONG_ENOUGH ? 2 : 1) {
        uint64_t start = now();
        for (uint64_t i = 0; i < batch; i++)
            call(work, plugin);
        took = now() - start;
    }
    return batch;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], compare);
    return values[count / 2];
}

enum { MAX_TIMES = 1 << 20 };

static double times[MAX_TIMES];

/* Each mode returns its figure, and leaves a plugin that has been called in `*plugin`. */

/* The time to make a plugin with a function and to free it. */
static double time_to_free(const struct work *work, union plugin (*made)(const struct work *), union plugin *plugin)
{
    size_t count = 0;
    for (uint64_t end = now() + work->nanoseconds; count == 0 || (count < MAX_TIMES && now() < end); count++) {
        uint64_t start = now();
        work->library->plugin_free(made(work));
        times[count] = (double)(now() - start);
    }
    *plugin = make_and_call(work);
    return median(times, count);
}

static double time_of_new(const struct work *work, union plugin *plugin)
{
    return time_to_free(work, make, plugin);
}

static double time_of_use(const struct work *work, union plugin *plugin)
{
    return time_to_free(work, make_and_call, plugin);
}

static double time_of_calls(const struct work *work, clockid_t clock, union plugin *plugin)
{
    *plugin = make(work);
    uint64_t batch = batch_of_calls(work, *plugin);
    size_t count = 0;
    for (uint64_t end = now() + work->nanoseconds; count == 0 || (count < MAX_TIMES && now() < end); count++) {
        uint64_t start = time_of(clock);
        for (uint64_t i = 0; i < batch; i++)
            call(work, *plugin);
        times[count] = (double)(time_of(clock) - start) / (double)batch;
    }
    return median(times, count);
}

static double time_of_call(const struct work *work, union plugin *plugin)
{
    return time_of_calls(work, CLOCK_MONOTONIC, plugin);
}

static double processor_time_of_call(const struct work *work, union plugin *plugin)
{
    return time_of_calls(work, CLOCK_THREAD_CPUTIME_ID, plugin);
}

static double time_of_start(const struct work *work, union plugin *plugin)
{
    *plugin = make_and_call(work);
    return (double)(now() - work->number);
}

static double resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %lu", &pages) != 1)
        fail(2, "/proc/self/statm", "cannot be read");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double resident_set(const struct work *work, union plugin *plugin)
{
    double before = resident();
    for (uint64_t i = 0; i < work->number; i++)
        *plugin = make_and_call(work);
    return resident() - before;
}

static const struct mode {
    const char *name;
    bool number; /* whether it takes one */
    double (*measure)(const struct work *work, union plugin *plugin);
} modes[] = {
    {"new", false, time_of_new},
    {"use", false, time_of_use},
    {"call", false, time_of_call},
    {"cpu", false, processor_time_of_call},
    {"start", true, time_of_start},
    {"rss", true, resident_set},
    {"threads", false, calls_of_two_threads},
    {"scaling", false, two_threads_against_one},
};

static const struct mode *mode_named(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    fail(2, name, "no such mode");
}

/* Returns true if `*text` begins with `start`, and skips it then. */
static bool skip(const char **text, const char *start)
{
    size_t length = strlen(start);
    bool begins = strncmp(*text, start, length) == 0;
    *text += begins ? length : 0;
    return begins;
}

static const struct library *load(const char *path, const char *plugin)
{
    static const struct {
        const char *prefix;
        enum way way;
    } ways[] = {
        {"timeout:", WITH_TIMEOUT}, {"context:", WITH_CONTEXT}, {"compiled:", COMPILED},
        {"increment:", WITH_INCREMENT}, {"block:", WITH_BLOCK},
    };
    struct source source = {.way = PLAINLY};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && source.way == PLAINLY; i++)
        if (skip(&plugin, ways[i].prefix))
            source.way = ways[i].way;
    source.wasi = skip(&plugin, "wasi:");
    source.path = plugin;
    void *handle = dlopen(path, RTLD_NOW);
    if (!handle)
        fail(2, path, dlerror());
    const struct library *library = extism_open(handle, &source);
    if (!library)
        library = wasmtime_open(handle, &source);
    if (!library)
        fail(2, path, "lacks functions of libextism, and of wasmtime");
    return library;
}

/* Text of `length` bytes. */
static const uint8_t *text_of(uint64_t length)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog. ";
    uint8_t *bytes = malloc(length ? length : 1);
    if (!bytes)
        fail(2, "input", "no memory");
    for (uint64_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)text[i % (sizeof text - 1)];
    return bytes;
}

static void print(double number, struct output output)
{
    printf("%.12g\t%" PRIu64 ":", number, output.length);
    for (uint64_t i = 0; i < output.length && i < 64; i++)
        printf("%02x", output.bytes[i]);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 8)
        fail(2, "usage", "driver LIBRARY MODE PLUGIN FUNCTION INPUT SECONDS [NUMBER]");
    const struct mode *mode = mode_named(argv[2]);
    struct work work = {.function = argv[4], .nanoseconds = (uint64_t)(atof(argv[6]) * 1e9)};
    work.number = argc == 8 ? strtoull(argv[7], NULL, 10) : 0;
    if (mode->number != (work.number > 0))
        fail(2, mode->name, mode->number ? "needs a number" : "takes no number");
    if (argv[5][0] == '@') {
        work.length = strtoull(argv[5] + 1, NULL, 10);
        work.input = text_of(work.length);
    } else {
        work.length = strlen(argv[5]);
        work.input = (const uint8_t *)argv[5];
    }
    work.library = load(argv[1], argv[3]);

    union plugin plugin = {0};
    double number = mode->measure(&work, &plugin);
    print(number, *work.function ? work.library->plugin_output(plugin) : (struct output){0});
    return 0;
}
