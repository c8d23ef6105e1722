/*
 * Truth values, for hosts that read four bytes of a `bool` (.NET does), or pass other values than 0 and 1 for one.
 *
 * The functions are declared once more, with 32 bits in the place of `bool`.
 */
#include "guest.h"

#ifdef __cplusplus
extern "C" {
#endif
uint32_t config(ExtismContext *, ExtismPlugin, const uint8_t *, ExtismSize) __asm__("extism_plugin_config");
uint32_t exists(ExtismContext *, ExtismPlugin, const char *) __asm__("extism_plugin_function_exists");
ExtismPlugin make(ExtismContext *, const uint8_t *, ExtismSize, uint32_t) __asm__("extism_plugin_new");
uint32_t update(ExtismContext *, ExtismPlugin, const uint8_t *, ExtismSize, uint32_t) __asm__("extism_plugin_update");
uint32_t log_file(const char *, const char *) __asm__("extism_log_file");
uint32_t set(const char *) __asm__("extism_compiler_set");
uint32_t available(const char *) __asm__("extism_compiler_available");
uint32_t cancel(const ExtismCancelHandle *) __asm__("extism_plugin_cancel");
#ifdef __cplusplus
}
#endif

#define SEVEN "(module (func (export \"seven\") (result i32) (i32.const 7)))"
#define WITH_WASI                                                                                                      \
    "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))"                                       \
    "(memory (export \"memory\") 1))"

static const uint8_t *bytes(const char *text)
{
    return (const uint8_t *)text;
}

static void results_are_0_or_1_in_four_bytes(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, SEVEN);
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(ctx, plugin);
    const char *compiler = extism_compiler();

    /* What an earlier call has left in the register differs from time to time. */
    for (int i = 0; i < 3; i++) {
        CHECK(config(ctx, plugin, bytes("{\"key\": \"value\"}"), 16) == 1);
        CHECK(config(ctx, plugin, bytes("[1]"), 3) == 0);
        CHECK(config(NULL, plugin, bytes("{}"), 2) == 0);
        CHECK(exists(ctx, plugin, "seven") == 1);
        CHECK(exists(ctx, plugin, "eight") == 0);
        CHECK(exists(ctx, plugin, NULL) == 0);
        CHECK(update(ctx, plugin, bytes(SEVEN), sizeof SEVEN - 1, 0) == 1);
        CHECK(update(ctx, plugin, bytes("(module"), 7, 0) == 0);
        CHECK(log_file("stderr", "off") == 1);
        CHECK(log_file("stderr", "loud") == 0);
        CHECK(set(compiler) == 1);
        CHECK(set("gcc") == 0);
        CHECK(available(compiler) == 1);
        CHECK(available("gcc") == 0);
        CHECK(cancel(handle) == 0);
        CHECK(cancel(NULL) == 0);
    }
    CHECK(set(NULL) == 1);
    extism_cancel_handle_free(handle);
    extism_context_free(ctx);
}

static void one_byte_of_a_parameter_counts(void)
{
    static const struct {
        const char *name;
        uint32_t value;
        bool is_true;
    } cases[] = {
        {"0", 0, false},
        {"1", 1, true},
        {"2", 2, true},
        {"0xff", 0xff, true},
        {"0xffffff00", 0xffffff00, false},
        {"0xb3b8c001", 0xb3b8c001, true},
    };
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, SEVEN);

    for (size_t i = 0; i < COUNT(cases); i++) {
        ExtismPlugin made = make(ctx, bytes(WITH_WASI), sizeof WITH_WASI - 1, cases[i].value);
        CHECK_CASE(cases[i].name, (made >= 0) == cases[i].is_true);
        bool updated = update(ctx, plugin, bytes(WITH_WASI), sizeof WITH_WASI - 1, cases[i].value);
        CHECK_CASE(cases[i].name, updated == cases[i].is_true);
    }
    extism_context_free(ctx);
}

int main(void)
{
    results_are_0_or_1_in_four_bytes();
    one_byte_of_a_parameter_counts();
    return check_done();
}
