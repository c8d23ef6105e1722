/* Callbacks that call the library, on their own plugin and on others. */
#include "acts.h"

/* Runs an act in two calls that must go on normally. */
static void check_act(void (*run)(struct act *, ExtismCurrentPlugin *))
{
    struct act act = act_of(run);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_answers(plugin, "go", "before", "before"));
    act.ok = false;
    CHECK(guest_answers(plugin, "go", "input", "input"));
    CHECK(act.ok);
    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
}

static void calls_itself(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->n = guest_call(act->plugin, "six", "");
    act->ok = act->n == -1 && extism_plugin_error(act->plugin) != NULL;
}

/* A call of the running plugin is refused at once, with a text. The outer call goes on normally, so it has none. */
static void call(void)
{
    struct act act = act_of(calls_itself);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_answers(plugin, "go", "input", "input"));
    CHECK(act.n == -1 && act.ok);
    CHECK(extism_plugin_error(plugin) == NULL);
    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
}

static void calls_other(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->n = guest_call(act->other, "go", "");
}

static void call_through_another(void)
{
    struct act inner = act_of(calls_itself), outer = act_of(calls_other);

    outer.other = act_plugin(ACT_GUEST, &inner);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &outer);
    inner.plugin = plugin;
    CHECK(guest_answers(plugin, "go", "input", "input"));
    CHECK(outer.n == 0 && inner.n == -1);
    extism_plugin_free(plugin);
    extism_plugin_free(outer.other);
}

static void asks_error(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = extism_plugin_error(act->plugin) == NULL && extism_error(act->plugin) == NULL;
}

static void asks_output(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = extism_plugin_output_length(act->plugin) == 0;
}

static void asks_output_data(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = extism_plugin_output_data(act->plugin) != NULL;
}

static void asks_facts(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = extism_plugin_function_exists(act->plugin, "six") && !extism_plugin_function_exists(act->plugin, "no");
    act->ok &= guest_config(act->plugin, "{\"a\": \"b\"}") && !guest_config(act->plugin, "1");
    act->ok &= extism_plugin_id(act->plugin) && extism_plugin_cancel_handle(act->plugin);
    extism_plugin_allow_http_response_headers(act->plugin);
}

static void resets(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = !extism_plugin_reset(act->plugin);
}

static void error(void) { check_act(asks_error); }
static void output_length(void) { check_act(asks_output); }
static void output_data(void) { check_act(asks_output_data); }
static void facts(void) { check_act(asks_facts); }
static void reset(void) { check_act(resets); }

/* Config that a callback sets is what the guest reads next. */
static void sets_config(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = guest_config(act->plugin, "{\"input\": \"set by the host\"}");
}

static void config_in_time(void)
{
    struct act act = act_of(sets_config);
    ExtismPlugin *plugin = act_plugin("(module " USER "\"act\" (func $act (param i64) (result i64)))" GUEST
                                      "(func (export \"go\") (drop (call $act (i64.const 0)))"
                                      " (call $output (call $config_get (call $input)))))", &act);

    CHECK(guest_answers(plugin, "go", "input", "set by the host"));
    extism_plugin_free(plugin);
}

static void cancels(struct act *act, ExtismCurrentPlugin *current)
{
    act->ok = extism_plugin_cancel(extism_plugin_cancel_handle(act->plugin));
    act->ok &= extism_current_plugin_memory(current) != NULL;
    act->n++;
}

/* A stop waits until the callback is back in the guest. */
static void cancel(void)
{
    struct act act = act_of(cancels);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_call(plugin, "forever", "") == 134);
    CHECK(act.ok && act.n == 1);
    CHECK_HAS(extism_plugin_error(plugin), "timeout");
    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
}

/* Creates, calls and frees plugins of both kinds. */
static void uses_others(struct act *act, ExtismCurrentPlugin *current)
{
    struct act inner = act_of(asks_facts);
    ExtismCompiledPlugin *compiled =
        guest_compile("(module (func (export \"f\") (result i32) (i32.const 8)))", NULL, 0);
    ExtismPlugin *one = guest_instance(compiled), *two = act_plugin(ACT_GUEST, &inner);

    extism_compiled_plugin_free(compiled);
    act->ok = guest_call(one, "f", "") == 8 && guest_answers(two, "go", "inner", "inner") && inner.ok;
    act->ok &= guest_call(two, "fail", "") == 134 && extism_plugin_error(two);
    extism_plugin_free(one);
    extism_plugin_free(two);
    act->ok &= extism_current_plugin_memory(current) != NULL;
}

static void other_plugins(void) { check_act(uses_others); }

/* Sixty plugins, each of which calls the next from its callback. */
static void nests(struct act *act, ExtismCurrentPlugin *current)
{
    ExtismMemoryHandle at = extism_current_plugin_memory_alloc(current, 16);
    uint8_t *base = extism_current_plugin_memory(current);

    if (base && at)
        memset(base + at, act->n, 16);
    act->ok = !act->other || guest_answers(act->other, "go", "nested", "nested");
    act->ok &= at && extism_current_plugin_memory(current) == base && base[at + 15] == (uint8_t)act->n;
}

static void check_depth(int depth)
{
    static struct act acts[60];
    ExtismPlugin *next = NULL;

    for (int i = 0; i < depth; i++) {
        acts[i] = act_of(nests);
        acts[i].n = i;
        acts[i].other = next;
        next = act_plugin(ACT_GUEST, &acts[i]);
    }
    for (int round = 0; round < 2; round++) {
        CHECK(guest_answers(next, "go", "outer", "outer"));
        for (int i = 0; i < depth; i++)
            CHECK(acts[i].ok);
    }
    for (int i = depth; i-- > 0;)
        extism_plugin_free(acts[i].plugin);
}

static void sixty_deep(void) { check_depth(60); }

/* A trap in the innermost of three ends its own call only. */
static void calls_failing(struct act *act, ExtismCurrentPlugin *current)
{
    act->n = guest_call(act->other, "fail", "");
    act->ok = act->n == 134 && extism_plugin_error(act->other) && extism_current_plugin_memory(current);
}

static void nested_trap(void)
{
    struct act inner = act_of(asks_facts), outer = act_of(calls_failing);

    outer.other = act_plugin(ACT_GUEST, &inner);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &outer);
    CHECK(guest_answers(plugin, "go", "input", "input"));
    CHECK(outer.ok);
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
    extism_plugin_free(outer.other);
}

/* A stop of the outer call that arrives in the inner one waits for its turn. */
static void cancels_outer(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = extism_plugin_cancel(extism_plugin_cancel_handle(act->other));
}

static void cancel_of_outer(void)
{
    struct act inner = act_of(cancels_outer), outer = act_of(calls_other);

    outer.other = act_plugin(ACT_GUEST, &inner);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &outer);
    inner.other = plugin;
    CHECK(guest_call(plugin, "forever", "") == 134);
    CHECK(outer.n == 0 && inner.ok);
    CHECK_HAS(extism_plugin_error(plugin), "timeout");
    CHECK(extism_plugin_error(outer.other) == NULL);
    extism_plugin_free(plugin);
    extism_plugin_free(outer.other);
}

static void frees_itself(struct act *act, ExtismCurrentPlugin *current)
{
    extism_plugin_free(act->plugin);
    act->ok = extism_current_plugin_memory(current) != NULL && extism_current_plugin_memory_alloc(current, 8) != 0;
}

static int data_frees;
static void counts_free(void *data) { (void)data, data_frees++; }

/* The plugin is gone when the call returns, which then fails; its functions go with it, on this thread. */
static void free_in_callback(void)
{
    struct act act = act_of(frees_itself);
    ExtismFunction *one = function_with("act", "I", "I", act_now, &act, counts_free);
    ExtismPlugin *plugin = act.plugin = guest_with(ACT_GUEST, &one, 1, false);

    extism_function_free(one);
    CHECK(data_frees == 0);
    CHECK(guest_call(plugin, "go", "input") != 0);
    CHECK(act.ok && data_frees == 1);
    CHECK(guest_call(plugin, "six", "") == -1);
    CHECK(extism_plugin_output_length(plugin) == 0);
    extism_plugin_free(plugin);
    CHECK(data_frees == 1);
}

/* Makes a plugin like the one that calls it, and calls that, until the library refuses. */
static void goes_deeper(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    ExtismFunction *one = function_with("act", "I", "I", act_now, act, NULL);
    ExtismPlugin *plugin = guest_with(ACT_GUEST, &one, 1, false);

    extism_function_free(one);
    act->n++;
    if (plugin == NULL)
        act->ok = strstr(creation_error, "stack") != NULL;
    else if (guest_call(plugin, "go", "input") != 0)
        act->ok = strstr(extism_plugin_error(plugin), "stack") != NULL;
    extism_plugin_free(plugin);
}

static void *without_end_on_thread(void *unused)
{
    struct act act = act_of(goes_deeper);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_answers(plugin, "go", "input", "input"));
    CHECK(act.ok && act.n >= 16);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
    return unused;
}

/* The innermost creation or call is refused while the stack has room. All others go on. */
static void without_end(void)
{
    static const size_t stacks[] = {128, 256, 1024};

    for (size_t i = 0; i < COUNT(stacks); i++) {
        pthread_attr_t attributes;
        pthread_t thread;

        pthread_attr_init(&attributes);
        CHECK(pthread_attr_setstacksize(&attributes, stacks[i] << 10) == 0);
        CHECK(pthread_create(&thread, &attributes, without_end_on_thread, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        pthread_attr_destroy(&attributes);
    }
}

static const struct test tests[] = {
    {"W6", "call", call},
    {"W6", "call through another plugin", call_through_another},
    {"W6", "error", error},
    {"W6", "output length", output_length},
    {"W6", "output data", output_data},
    {NULL, "function_exists, config, id, handle, headers", facts},
    {"reset", "reset", reset},
    {NULL, "config in time", config_in_time},
    {NULL, "cancel", cancel},
    {NULL, "other plugins", other_plugins},
    {NULL, "sixty deep", sixty_deep},
    {NULL, "a nested trap", nested_trap},
    {NULL, "cancel of the outer call", cancel_of_outer},
    {"W5", "free", free_in_callback},
    {"limits", "calls inside calls without end", without_end},
};

RUN_TESTS(tests)
