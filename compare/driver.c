/*
 * Runs one workload on one library, which is loaded by its path, and prints one number and the plugin's output.
 *
 *   driver LIBRARY MODE PLUGIN FUNCTION INPUT SECONDS [START]
 *
 *   LIBRARY   with the C interface of Extism 0.1.0 or of 1.x; which one is seen from its functions
 *   MODE      new    nanoseconds to make and free a plugin, again and again for SECONDS: the median
 *             call   nanoseconds of a call, again and again for SECONDS: the median
 *             start  nanoseconds from START, of the monotonic clock, to the answer of a first call
 *             rss    bytes that 100 plugins, called once each, add to the resident set
 *   PLUGIN    a module's path; `wasi:` in front gives it WASI
 *   INPUT     text, or @N for N bytes
 *
 * Prints NUMBER, a tab, and the first bytes of the output in hex. Exits with 1 if a plugin fails, 2 on wrong usage.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PLUGINS = 100, MAX_TIMES = 1 << 20 };

/* A library behind either interface. A plugin is a number in 0.1.0 and a pointer in 1.x. */
static struct {
    void *context; /* NULL for 1.x */
    void *(*context_new)(void);
    int32_t (*new_0)(void *, const uint8_t *, uint64_t, bool);
    int32_t (*call_0)(void *, int32_t, const char *, const uint8_t *, uint64_t);
    const char *(*error_0)(void *, int32_t);
    uint64_t (*length_0)(void *, int32_t);
    const uint8_t *(*data_0)(void *, int32_t);
    void (*free_0)(void *, int32_t);
    void *(*new_1)(const uint8_t *, uint64_t, const void **, uint64_t, bool, char **);
    int32_t (*call_1)(void *, const char *, const uint8_t *, uint64_t);
    const char *(*error_1)(void *);
    uint64_t (*length_1)(void *);
    const uint8_t *(*data_1)(void *);
    void (*free_1)(void *);
} library;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "driver: %s: %s\n", what, why ? why : "failed");
    exit(status);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Puts the address of a function into `*to`, in the way that POSIX has for it. */
static bool find(void *handle, const char *name, void *to)
{
    void *address = dlsym(handle, name);
    memcpy(to, &address, sizeof address);
    return address != NULL;
}

static void load(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW);
    if (!handle)
        fail(2, path, dlerror());
    bool all;
    if (find(handle, "extism_context_new", &library.context_new)) {
        all = find(handle, "extism_plugin_new", &library.new_0) && find(handle, "extism_plugin_call", &library.call_0) &&
              find(handle, "extism_error", &library.error_0) &&
              find(handle, "extism_plugin_output_length", &library.length_0) &&
              find(handle, "extism_plugin_output_data", &library.data_0) &&
              find(handle, "extism_plugin_free", &library.free_0);
        library.context = library.context_new();
    } else {
        all = find(handle, "extism_plugin_new", &library.new_1) && find(handle, "extism_plugin_call", &library.call_1) &&
              find(handle, "extism_plugin_error", &library.error_1) &&
              find(handle, "extism_plugin_output_length", &library.length_1) &&
              find(handle, "extism_plugin_output_data", &library.data_1) &&
              find(handle, "extism_plugin_free", &library.free_1);
    }
    if (!all)
        fail(2, path, "lacks a function of libextism");
}

union plugin {
    int32_t id;
    void *pointer;
};

static char manifest[4096];
static bool with_wasi;

static union plugin plugin_new(void)
{
    union plugin plugin;
    const uint8_t *bytes = (const uint8_t *)manifest;
    if (library.context) {
        plugin.id = library.new_0(library.context, bytes, strlen(manifest), with_wasi);
        if (plugin.id < 0)
            fail(1, "plugin", library.error_0(library.context, -1));
    } else {
        char *error = NULL;
        plugin.pointer = library.new_1(bytes, strlen(manifest), NULL, 0, with_wasi, &error);
        if (!plugin.pointer)
            fail(1, "plugin", error);
    }
    return plugin;
}

static void plugin_free(union plugin plugin)
{
    if (library.context)
        library.free_0(library.context, plugin.id);
    else
        library.free_1(plugin.pointer);
}

static void plugin_call(union plugin plugin, const char *function, const uint8_t *input, uint64_t length)
{
    int32_t rc = library.context ? library.call_0(library.context, plugin.id, function, input, length)
                                 : library.call_1(plugin.pointer, function, input, length);
    if (rc != 0)
        fail(1, function, library.context ? library.error_0(library.context, plugin.id) : library.error_1(plugin.pointer));
}

static void print(uint64_t number, union plugin plugin)
{
    uint64_t length = library.context ? library.length_0(library.context, plugin.id) : library.length_1(plugin.pointer);
    const uint8_t *data = library.context ? library.data_0(library.context, plugin.id) : library.data_1(plugin.pointer);
    printf("%" PRIu64 "\t%" PRIu64 ":", number, length);
    for (uint64_t i = 0; i < length && i < 64; i++)
        printf("%02x", data[i]);
    printf("\n");
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t times[MAX_TIMES];

static uint64_t median(size_t count)
{
    qsort(times, count, sizeof times[0], compare);
    return times[count / 2];
}

static uint64_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %lu", &pages) != 1)
        fail(2, "/proc/self/statm", "cannot be read");
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 8)
        fail(2, "usage", "driver LIBRARY MODE PLUGIN FUNCTION INPUT SECONDS [START]");
    const char *mode = argv[2], *path = argv[3], *function = argv[4];
    uint64_t budget = (uint64_t)(atof(argv[6]) * 1e9);
    with_wasi = strncmp(path, "wasi:", 5) == 0;
    /* The official plugin wants to be told something. */
    snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"path\": \"%s\"}], \"config\": {\"thing\": \"this\"}}", with_wasi ? path + 5 : path);
    uint64_t length = strlen(argv[5]);
    uint8_t *input = (uint8_t *)argv[5];
    if (input[0] == '@') {
        static const char text[] = "The quick brown fox jumps over the lazy dog. ";
        length = strtoull(argv[5] + 1, NULL, 10);
        input = malloc(length ? length : 1);
        if (!input)
            fail(2, "input", "no memory");
        for (uint64_t i = 0; i < length; i++)
            input[i] = (uint8_t)text[i % (sizeof text - 1)];
    }
    load(argv[1]);

    union plugin plugin;
    size_t count = 0;
    if (strcmp(mode, "start") == 0 && argc == 8) {
        plugin = plugin_new();
        plugin_call(plugin, function, input, length);
        print(now() - strtoull(argv[7], NULL, 10), plugin);
    } else if (strcmp(mode, "new") == 0) {
        for (uint64_t end = now() + budget; count == 0 || (count < MAX_TIMES && now() < end); count++) {
            uint64_t start = now();
            plugin_free(plugin_new());
            times[count] = now() - start;
        }
        plugin = plugin_new();
        plugin_call(plugin, function, input, length);
        print(median(count), plugin);
    } else if (strcmp(mode, "call") == 0) {
        plugin = plugin_new();
        /* So many at once that reading the clock costs nothing, once it runs warm. */
        uint64_t batch = 1, start;
        for (uint64_t took = 0; took < 100000; batch *= took < 100000 ? 2 : 1) {
            start = now();
            for (uint64_t i = 0; i < batch; i++)
                plugin_call(plugin, function, input, length);
            took = now() - start;
        }
        for (uint64_t end = now() + budget; count == 0 || (count < MAX_TIMES && now() < end); count++) {
            start = now();
            for (uint64_t i = 0; i < batch; i++)
                plugin_call(plugin, function, input, length);
            times[count] = (now() - start) / batch;
        }
        print(median(count), plugin);
    } else if (strcmp(mode, "rss") == 0) {
        uint64_t before = resident();
        for (int i = 0; i < PLUGINS; i++) {
            plugin = plugin_new();
            plugin_call(plugin, function, input, length);
        }
        print(resident() - before, plugin);
    } else {
        fail(2, mode, "no such mode");
    }
    return 0;
}
