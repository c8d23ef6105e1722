/* The host context of a call, the thread and stack of callbacks, how long an ExtismCurrentPlugin is good, and errors
   that a callback sets. */
#include "acts.h"

static int32_t call_with(ExtismPlugin *plugin, const char *function, void *context)
{
    return extism_plugin_call_with_host_context(plugin, function, (const uint8_t *)"input", 5, context);
}

static void asks_context(struct act *act, ExtismCurrentPlugin *current)
{
    act->pointer = extism_current_plugin_host_context(current);
    act->n++;
}

static void one_call_only(void)
{
    struct act act = act_of(asks_context);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);
    int here, there;

    CHECK(call_with(plugin, "go", &here) == 0);
    CHECK(act.pointer == &here);
    CHECK(guest_output_is(plugin, "input", 5));
    CHECK(call_with(plugin, "go", &there) == 0);
    CHECK(act.pointer == &there);
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.pointer == NULL);
    CHECK(call_with(plugin, "go", NULL) == 0);
    CHECK(act.pointer == NULL);
    CHECK(call_with(plugin, "fail", &here) == 134);
    CHECK(act.pointer == &here);
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.pointer == NULL);
    CHECK(call_with(plugin, "nobody", &here) == -1);
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.pointer == NULL && act.n == 7);
    extism_plugin_free(plugin);
}

static void nests(struct act *act, ExtismCurrentPlugin *current)
{
    act->ok = extism_current_plugin_host_context(current) == act->pointer;
    if (act->other)
        act->n = act->plugin == NULL ? guest_call(act->other, "go", "") : call_with(act->other, "go", &act->n);
    act->ok &= extism_current_plugin_host_context(current) == act->pointer;
}

/* A nested call of another plugin has a context of its own, and the outer one is unchanged after it. */
static void nested_calls(void)
{
    struct act inner = act_of(asks_context), outer = act_of(nests);
    int here;

    outer.other = act_plugin(ACT_GUEST, &inner);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &outer);
    outer.pointer = &here;
    CHECK(call_with(plugin, "go", &here) == 0);
    CHECK(outer.ok && inner.pointer == &outer.n && inner.n == 1);
    outer.plugin = NULL;
    CHECK(call_with(plugin, "go", &here) == 0);
    CHECK(outer.ok && inner.pointer == NULL && inner.n == 2);
    extism_plugin_free(plugin);
    extism_plugin_free(outer.other);
}

static void looks_around(struct act *act, ExtismCurrentPlugin *current)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;

    (void)current;
    act->thread = pthread_self();
    pthread_getattr_np(act->thread, &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    act->ok = (uintptr_t)&size >= (uintptr_t)low && (uintptr_t)&size < (uintptr_t)low + size;
}

static void *calls_go(void *plugin)
{
    guest_call((ExtismPlugin *)plugin, "go", "");
    return NULL;
}

/* Languages that scan their stack find it: callbacks run on the calling thread's own. */
static void thread_and_stack(void)
{
    struct act act = act_of(looks_around);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(pthread_equal(act.thread, pthread_self()) && act.ok);
    act.ok = false;
    pthread_t thread = start(calls_go, plugin);
    pthread_join(thread, NULL);
    CHECK(pthread_equal(act.thread, thread) && act.ok);
    extism_plugin_free(plugin);
}

/* Whether all functions answer that this is no current plugin. */
static bool is_dead(ExtismCurrentPlugin *current)
{
    extism_current_plugin_memory_free(current, 77);
    return !extism_current_plugin_memory(current) && !extism_current_plugin_memory_alloc(current, 8) &&
           !extism_current_plugin_memory_length(current, 77) && !extism_current_plugin_host_context(current);
}

static void keeps_current(struct act *act, ExtismCurrentPlugin *current)
{
    act->pointer = current;
    act->ok = extism_current_plugin_memory(current) != NULL && extism_current_plugin_memory_alloc(current, 8) != 0;
}

static void check_kept(bool freed)
{
    struct act act = act_of(keeps_current);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(call_with(plugin, "go", &act) == 0);
    CHECK(act.ok);
    if (freed)
        extism_plugin_free(plugin);
    CHECK(is_dead((ExtismCurrentPlugin *)act.pointer));
    if (!freed)
        extism_plugin_free(plugin);
}

static void after_the_call(void) { check_kept(false); }
static void after_the_free(void) { check_kept(true); }

/* The second callback of a call has another token than the first, which is spent. */
static void asks_earlier(struct act *act, ExtismCurrentPlugin *current)
{
    act->ok = act->n++ == 0 || (act->pointer != current && is_dead((ExtismCurrentPlugin *)act->pointer));
    act->ok &= !is_dead(current);
    act->pointer = current;
}

static void in_a_later_callback(void)
{
    struct act act = act_of(asks_earlier);
    ExtismPlugin *plugin = act_plugin("(module " USER "\"act\" (func $act (param i64) (result i64)))"
                                      "(func (export \"go\") (drop (call $act (i64.const 0)))"
                                      " (drop (call $act (i64.const 0)))))", &act);

    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.n == 2 && act.ok);
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.n == 4 && act.ok);
    extism_plugin_free(plugin);
}

static void *asks_from_thread(void *current) { return is_dead((ExtismCurrentPlugin *)current) ? current : NULL; }

static void hands_to_thread(struct act *act, ExtismCurrentPlugin *current)
{
    void *dead = NULL;

    pthread_join(start(asks_from_thread, current), &dead);
    act->ok = dead != NULL && !is_dead(current);
}

static void on_another_thread(void)
{
    struct act act = act_of(hands_to_thread);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(call_with(plugin, "go", &act) == 0);
    CHECK(act.ok);
    extism_plugin_free(plugin);
}

static void foreign_pointers(void)
{
    static const uintptr_t numbers[] = {1, 8, 0x1000, 0xdeadbeef};
    ExtismPlugin *plugin = guest_new("(module)");
    uint64_t local[64] = {0};

    CHECK(is_dead((ExtismCurrentPlugin *)(void *)plugin));
    CHECK(is_dead((ExtismCurrentPlugin *)(void *)local));
    for (size_t i = 0; i < COUNT(numbers); i++)
        CHECK(is_dead((ExtismCurrentPlugin *)numbers[i]));
    extism_plugin_free(plugin);
}

static void no_current(void) { CHECK(is_dead(NULL)); }

/* Start sections and initialisers run host functions too, with memory and all. */
static void writes(struct act *act, ExtismCurrentPlugin *current)
{
    ExtismMemoryHandle at = extism_current_plugin_memory_alloc(current, 4);
    uint8_t *base = extism_current_plugin_memory(current);

    act->n++;
    act->ok = base && at && extism_current_plugin_memory_length(current, at) == 4;
    if (act->ok)
        base[at] = 1;
    extism_current_plugin_memory_free(current, at);
}

static void in_start_section(void)
{
    struct act act = act_of(writes);
    ExtismPlugin *plugin = act_plugin("(module " USER "\"act\" (func $act (param i64) (result i64)))"
                                      "(func $f (drop (call $act (i64.const 0)))) (start $f)"
                                      "(func (export \"go\")))", &act);

    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.n >= 1 && act.ok);
    extism_plugin_free(plugin);
}

static void in_initialiser(void)
{
    struct act act = act_of(writes);
    ExtismPlugin *plugin = act_plugin("(module " USER "\"act\" (func $act (param i64) (result i64)))"
                                      "(func (export \"__wasm_call_ctors\") (drop (call $act (i64.const 0))))"
                                      "(func (export \"go\")))", &act);

    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.n == 1 && act.ok);
    extism_plugin_free(plugin);
}

static void sets_error(struct act *act, ExtismCurrentPlugin *current)
{
    act->out = 1;
    extism_current_plugin_error_set(current, (const char *)act->pointer);
    act->n++;
}

/* A host function that fails ends the call with its text: the guest does not run on. */
static void error_of_callback(void)
{
    struct act act = act_of(sets_error);
    ExtismPlugin *plugin = act_plugin("(module " USER "\"act\" (func $act (param i64) (result i64)))"
                                      "(func (export \"go\") (result i32) (drop (call $act (i64.const 0)))"
                                      " (drop (call $act (i64.const 0))) (i32.const 3))"
                                      "(func (export \"six\") (result i32) (i32.const 6)))", &act);

    for (int round = 0; round < 2; round++) {
        act.pointer = "no such key: colour";
        act.n = 0;
        CHECK(guest_call(plugin, "go", "") == -1);
        CHECK(act.n == 1);
        CHECK_STARTS(extism_plugin_error(plugin), "no such key: colour");
        CHECK(guest_call(plugin, "six", "") == 6);
        CHECK(extism_plugin_error(plugin) == NULL);
    }
    act.pointer = "not \xff UTF-8";
    CHECK(guest_call(plugin, "go", "") == -1);
    CHECK_HAS(extism_plugin_error(plugin), "UTF-8");
    CHECK(!text_has(extism_plugin_error(plugin), "\xff"));
    extism_plugin_free(plugin);
    extism_current_plugin_error_set(NULL, "text");
}

static const struct test tests[] = {
    {NULL, "a context for one call", one_call_only},
    {NULL, "contexts of nested calls", nested_calls},
    {NULL, "thread and stack", thread_and_stack},
    {"W20", "after the call", after_the_call},
    {"W20?", "after the free", after_the_free},
    {"W20", "in a later callback", in_a_later_callback},
    {"W20", "on another thread", on_another_thread},
    {"W20", "foreign pointers", foreign_pointers},
    {NULL, "NULL", no_current},
    {"W7", "in a start section", in_start_section},
    {"W7", "in an initialiser", in_initialiser},
    {"addition", "an error of a callback", error_of_callback},
};

RUN_TESTS(tests)
