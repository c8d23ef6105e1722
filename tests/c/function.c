/* Host functions: what a plugin can call, what the function may do, and when its user data is released. */
#include "guest.h"

/* `relay` gives its input to the host function and outputs the block that it returns. */
#define RELAY                                                                                                          \
    "(module (import \"extism:host/user\" \"work\" (func $work (param i64) (result i64)))" GUEST                       \
    "(func (export \"relay\") (call $output (call $work (call $input))))"                                              \
    "(func (export \"seven\") (result i32) (i32.const 7)))"

struct data {
    int calls, frees;
    ExtismCurrentPlugin *last;
};

/* Returns the bytes of its argument in reverse; fails without any. */
static void reverse(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize n_inputs, ExtismVal *outputs,
                    ExtismSize n_outputs, void *user_data)
{
    struct data *data = (struct data *)user_data;
    ExtismMemoryHandle from = (ExtismMemoryHandle)inputs[0].v.i64;
    ExtismSize length = extism_current_plugin_memory_length(plugin, from);

    data->calls += n_inputs == 1 && n_outputs == 1 && inputs[0].t == ExtismValType_I64;
    data->last = plugin;
    if (length == 0) {
        extism_current_plugin_error_set(plugin, "nothing to reverse");
        return;
    }
    ExtismMemoryHandle to = extism_current_plugin_memory_alloc(plugin, length);
    uint8_t *memory = extism_current_plugin_memory(plugin);
    for (ExtismSize i = 0; i < length; i++)
        memory[to + i] = memory[from + length - 1 - i];
    extism_current_plugin_memory_free(plugin, from);
    if (extism_current_plugin_memory_length(plugin, from) == 0 && extism_current_plugin_host_context(plugin) == NULL)
        outputs[0].v.i64 = (int64_t)to;
}

static void release(void *user_data)
{
    ((struct data *)user_data)->frees++;
}

static const ExtismValType handle[] = {ExtismValType_I64};

static ExtismFunction *work_new(struct data *data)
{
    return extism_function_new("work", handle, 1, handle, 1, reverse, data, release);
}

static ExtismPlugin relay_new(ExtismContext *ctx, const ExtismFunction *function)
{
    return extism_plugin_new_with_functions(ctx, (const uint8_t *)RELAY, strlen(RELAY), &function, 1, false);
}

static void a_plugin_calls_the_host(void)
{
    struct data data = {0, 0, NULL};
    ExtismContext *ctx = extism_context_new();
    ExtismFunction *function = work_new(&data);
    ExtismPlugin plugin = relay_new(ctx, function);

    extism_function_free(function);
    CHECK(plugin >= 0 && data.frees == 0);
    CHECK(guest_answers(ctx, plugin, "relay", "abc", "cba"));
    CHECK(guest_call(ctx, plugin, "relay", "") == -1);
    CHECK_HAS(extism_error(ctx, plugin), "nothing to reverse");
    CHECK(guest_answers(ctx, plugin, "relay", "xy", "yx"));
    CHECK(data.calls == 3);

    /* The pointer to the calling plugin is good only while it calls. */
    CHECK(extism_current_plugin_memory(data.last) == NULL);
    CHECK(extism_current_plugin_memory_alloc(data.last, 8) == 0);
    CHECK(extism_current_plugin_memory_length(data.last, 1) == 0);
    extism_current_plugin_memory_free(data.last, 1);
    extism_current_plugin_error_set(data.last, "too late");
    CHECK(guest_call(ctx, plugin, "seven", "") == 7);
    CHECK(extism_error(ctx, plugin) == NULL);
    extism_context_free(ctx);
    CHECK(data.frees == 1);
}

/* One row for each function that frees plugins. */
static void user_data_is_released_once(void)
{
    for (int how = 0; how < 3; how++) {
        struct data data = {0, 0, NULL};
        ExtismContext *ctx = extism_context_new();
        ExtismFunction *function = work_new(&data);
        ExtismPlugin plugins[] = {relay_new(ctx, function), relay_new(ctx, function)};

        CHECK(plugins[0] >= 0 && plugins[1] >= 0);
        extism_plugin_free(ctx, plugins[0]);
        extism_function_free(function);
        CHECK(data.frees == 0);

        /* An update keeps the functions, and a failing one changes nothing. */
        CHECK(guest_update(ctx, plugins[1], RELAY));
        CHECK(!guest_update(ctx, plugins[1], "(module"));
        CHECK(guest_answers(ctx, plugins[1], "relay", "ab", "ba"));
        CHECK(data.frees == 0);
        if (how == 0)
            extism_plugin_free(ctx, plugins[1]);
        if (how == 1)
            extism_context_reset(ctx);
        if (how == 2)
            extism_context_free(ctx);
        CHECK(data.frees == 1);
        if (how != 2)
            extism_context_free(ctx);
        extism_function_free(function);
        CHECK(data.frees == 1);
    }
}

static void what_cannot_be_made(void)
{
    static const ExtismValType vector[] = {ExtismValType_V128};
    struct data data = {0, 0, NULL};
    ExtismContext *ctx = extism_context_new();
    ExtismFunction *function = work_new(&data);
    ExtismFunction *of_vectors = extism_function_new("work", vector, 1, NULL, 0, reverse, &data, NULL);
    const uint8_t *wasm = (const uint8_t *)RELAY;

    /* Without the function, under another namespace, with a type that cannot be used, and with none. */
    CHECK(guest_new(ctx, RELAY) == -1);
    CHECK_STARTS(extism_error(ctx, -1), "unknown import: `extism:host/user::work`");
    extism_function_set_namespace(function, "other");
    CHECK(relay_new(ctx, function) == -1);
    CHECK_STARTS(extism_error(ctx, -1), "unknown import: `extism:host/user::work`");
    CHECK(relay_new(ctx, of_vectors) == -1);
    CHECK_HAS(extism_error(ctx, -1), "work");
    CHECK(relay_new(ctx, NULL) == -1);
    CHECK(extism_plugin_new_with_functions(NULL, wasm, strlen(RELAY), NULL, 0, false) == -1);
    CHECK(extism_function_new(NULL, NULL, 0, NULL, 0, reverse, NULL, NULL) == NULL);
    CHECK(extism_function_new("\xff", NULL, 0, NULL, 0, reverse, NULL, NULL) == NULL);

    /* A function that no plugin has is as good as before. */
    extism_function_set_namespace(function, "extism:host/user");
    CHECK(relay_new(ctx, function) >= 0);
    extism_function_set_namespace(function, NULL);
    extism_function_set_namespace(NULL, "other");
    extism_function_free(function);
    extism_function_free(of_vectors);
    extism_function_free(NULL);
    CHECK(data.frees == 0);
    extism_context_free(ctx);
    CHECK(data.frees == 1);
}

int main(void)
{
    a_plugin_calls_the_host();
    user_data_is_released_once();
    what_cannot_be_made();
    return check_done();
}
