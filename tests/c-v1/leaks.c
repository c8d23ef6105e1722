/* Memory over many rounds of creating, calling and freeing. TEST_ROUNDS in the environment says how many; under
   valgrind or a sanitizer, which count what is lost, 10,000 take a while. */
#include "acts.h"

static int rounds(void)
{
    const char *text = getenv("TEST_ROUNDS");
    return text && atoi(text) > 0 ? atoi(text) : 300;
}

/* Kilobytes that the process has in memory, or 0 where that says nothing. */
static long resident(void)
{
    long pages = 0, all;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file) {
        if (fscanf(file, "%ld %ld", &all, &pages) != 2)
            pages = 0;
        fclose(file);
    }
#ifdef INSTRUMENTED
    pages = 0;
#endif
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Runs all rounds; the second half may not add more than 6 MiB, as long as there are some hundreds. */
static void check_rounds(void (*round)(int))
{
    int n = rounds();
    long half = 0;

    alarm(TEST_SECONDS + (unsigned)n / 2);
    for (int i = 0; i < n; i++) {
        if (i == n / 2)
            half = resident();
        round(i);
    }
    long grown = resident() - half;
    if (grown >= 6144)
        fprintf(stderr, "grown by %ld KiB in the second half\n", grown);
    CHECK(grown < 6144);
}

static int frees;
static void counts_free(void *data) { (void)data, frees++; }

static void swaps(struct act *act, ExtismCurrentPlugin *current)
{
    act->out = extism_current_plugin_memory_alloc(current, 100);
    extism_current_plugin_memory_free(current, act->in);
    act->n += extism_current_plugin_host_context(current) == act;
}

static struct act act;

static void new_call_free(int i)
{
    ExtismFunction *functions[2];

    act.run = swaps;
    functions[0] = function_with("act", "I", "I", act_now, &act, counts_free);
    functions[1] = function_with("unused", "IIF", "F", act_now, &act, counts_free);
    ExtismPlugin *plugin = guest_with(ACT_GUEST, functions, 2, i % 2);
    CHECK(plugin != NULL);
    if (i % 3)
        for (int f = 0; f < 2; f++)
            extism_function_free(functions[f]);
    CHECK(extism_plugin_call_with_host_context(plugin, "go", (const uint8_t *)"input", 5, &act) == 0);
    CHECK(guest_call(plugin, "fail", "") == 134);
    CHECK(extism_plugin_error(plugin) != NULL);
    CHECK(guest_config(plugin, "{\"a\": \"b\"}"));
    extism_plugin_free(plugin);
    if (i % 3 == 0)
        for (int f = 0; f < 2; f++)
            extism_function_free(functions[f]);
    CHECK(frees == 2 * (i + 1));
}

static void compiled(int i)
{
    act.run = swaps;
    ExtismFunction *f = function_with("act", "I", "I", act_now, &act, counts_free);
    ExtismCompiledPlugin *made = guest_compile(ACT_GUEST, &f, 1);
    ExtismPlugin *one = guest_instance(made), *two = guest_instance(made);

    extism_function_free(f);
    CHECK(guest_call(one, "go", "input") == 0);
    extism_plugin_free(one);
    extism_compiled_plugin_free(made);
    CHECK(guest_call(two, "go", "input") == 0);
    CHECK(frees == i);
    extism_plugin_free(two);
    CHECK(frees == i + 1);
}

static void failures(int i)
{
    static const char *const wrong[] = {"nonsense", "(module (import \"a\" \"b\" (func)))", "{}",
                                        "(module (func $f unreachable) (start $f))"};

    CHECK(guest_new(wrong[i % 4]) == NULL);
    CHECK(creation_error != NULL);
}

/* A module of its own each time, as a host that makes plugins from many sources has. */
static void different(int i)
{
    char wat[128];

    snprintf(wat, sizeof wat, "(module (func (export \"f\") (result i32) (i32.const %d)))", i);
    ExtismPlugin *plugin = guest_new(wat);
    CHECK(guest_call(plugin, "f", "") == i);
    extism_plugin_free(plugin);
}

static void new_call_free_rounds(void) { check_rounds(new_call_free); }
static void compiled_rounds(void) { check_rounds(compiled); }
static void failure_rounds(void) { check_rounds(failures); }
static void different_rounds(void) { check_rounds(different); }

static const struct test tests[] = {
    {NULL, "new, call, free", new_call_free_rounds},
    {NULL, "compile, instantiate, free", compiled_rounds},
    {NULL, "failures", failure_rounds},
    {NULL, "different modules", different_rounds},
};

RUN_TESTS(tests)
