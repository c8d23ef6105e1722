/* The memory that a guest shares with the host: its bounds, its blocks, and no bytes of other calls. */
#include "guest.h"

/* Each function is an attempt that must trap; none may reach the host's other memory. */
static void out_of_range(void)
{
    static const struct {
        const char *name, *attempt;
    } cases[] = {
        {"input byte behind the end", "(drop (call $input_u8 (i64.const 4)))"},
        {"input byte far behind", "(drop (call $input_u8 (i64.const 1000)))"},
        {"input byte before the start", "(drop (call $input_u8 (i64.const -1)))"},
        {"input byte across the address space", "(drop (call $input_u8 (i64.const 0x7fffffffffffffff)))"},
        {"input word past the end", "(drop (call $input_u64 (i64.const 0)))"},
        {"input word before the start", "(drop (call $input_u64 (i64.const -4)))"},
        {"input word wrapping round", "(drop (call $input_u64 (i64.const -8)))"},
        {"input word far behind", "(drop (call $input_u64 (i64.const 0x100000000)))"},
        {"byte", "(drop (call $load_u8 (i64.const 0x100000000)))"},
        {"byte below zero", "(drop (call $load_u8 (i64.const -1)))"},
        {"word", "(drop (call $load_u64 (i64.const 0x7ffffffffffffff8)))"},
        {"word wrapping round", "(drop (call $load_u64 (i64.const -4)))"},
        {"store of a byte", "(call $store_u8 (i64.const 0x100000000) (i32.const 1))"},
        {"store of a byte below zero", "(call $store_u8 (i64.const -1) (i32.const 1))"},
        {"store of a word", "(call $store_u64 (i64.const 0xffffffff0) (i64.const 1))"},
        {"store of a word wrapping round", "(call $store_u64 (i64.const -4) (i64.const 1))"},
        {"output of great length", "(call $output_set (i64.const 0) (i64.const 99999999999))"},
        {"output of negative length", "(call $output_set (i64.const 8) (i64.const -1))"},
        {"output far away", "(call $output_set (i64.const 0x10000000000) (i64.const 1))"},
        {"output below zero", "(call $output_set (i64.const -1) (i64.const 1))"},
        {"output wrapping round", "(call $output_set (i64.const -8) (i64.const 16))"},
        {"alloc of everything", "(drop (call $alloc (i64.const -1)))"},
        {"alloc beyond 32 bits", "(drop (call $alloc (i64.const 0x200000000)))"},
        {"length within a block", "(drop (call $length (i64.add (call $alloc (i64.const 16)) (i64.const 3))))"},
        {"length of nothing", "(drop (call $length (i64.const 123456789)))"},
        {"error from nowhere", "(call $error_set (i64.const 123456789))"},
        {"config key from nowhere", "(drop (call $config_get (i64.const 123456789)))"},
        {"variable key from nowhere", "(drop (call $var_get (i64.const 123456789)))"},
        {"variable from nowhere", "(call $var_set (call $input) (i64.const 123456789))"},
    };
    char module[6000];
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(module, sizeof module,
                 "(module %s (func (export \"attempt\") (result i32) %s (i32.const 5))"
                 " (func (export \"fine\") (call $output (call $input))))",
                 GUEST, cases[i].attempt);
        ExtismPlugin plugin = guest_new(ctx, module);
        CHECK_CASE(cases[i].name, plugin >= 0);
        int32_t rc = guest_call(ctx, plugin, "attempt", "four");
        CHECK_CASE(cases[i].name, rc == -1);
        CHECK_STARTS_CASE(cases[i].name, extism_error(ctx, plugin), "Call failed");
        CHECK_CASE(cases[i].name, extism_plugin_output_length(ctx, plugin) == 0);
        CHECK_CASE(cases[i].name, extism_plugin_output_data(ctx, plugin) != NULL);
        bool right = guest_answers(ctx, plugin, "fine", "still here", "still here");
        CHECK_CASE(cases[i].name, right);
        extism_plugin_free(ctx, plugin);
    }
    extism_context_free(ctx);
}

static void no_input(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin =
        guest_new(ctx, "(module " GUEST "(func (export \"byte\") (result i32) (call $input_u8 (i64.const 0)))"
                       "(func (export \"word\") (result i32) (i32.wrap_i64 (call $input_u64 (i64.const 0)))))");

    int32_t rc = extism_plugin_call(ctx, plugin, "byte", NULL, 0);
    CHECK(rc == -1);
    rc = extism_plugin_call(ctx, plugin, "byte", NULL, 100);
    CHECK(rc == -1);
    rc = extism_plugin_call(ctx, plugin, "word", NULL, 100);
    CHECK(rc == -1);
    rc = guest_call(ctx, plugin, "byte", "A");
    CHECK(rc == 'A');
    extism_context_free(ctx);
}

/* Each case returns 0 if the allocator behaves, else the number of the expectation that failed. */
static void allocator(void)
{
#define ALLOC(name, n) "(local.set $" #name " (call $alloc (i64.const " #n ")))"
#define FREE(at) "(call $free " at ")"
#define EXPECT(n, condition) "(if (i32.eqz " condition ") (then (return (i32.const " #n "))))"
#define APART(a, m, b, n) "(call $apart (local.get $" #a ") (i64.const " #m ") (local.get $" #b ") (i64.const " #n "))"
    static const struct {
        const char *name, *body;
    } cases[] = {
        {"blocks are apart",
         ALLOC(a, 100) ALLOC(b, 100)
         EXPECT(1, "(i64.ne (local.get $a) (i64.const 0))")
         EXPECT(2, APART(a, 100, b, 100))},
        {"empty blocks are blocks",
         ALLOC(a, 0) ALLOC(b, 0) ALLOC(c, 8)
         EXPECT(1, "(i64.ne (local.get $a) (i64.const 0))")
         EXPECT(2, "(i64.ne (local.get $a) (local.get $b))")
         EXPECT(3, "(i64.ne (local.get $b) (local.get $c))")
         EXPECT(4, "(i64.eqz (call $length (local.get $a)))")
         EXPECT(5, "(i64.eq (call $length (local.get $c)) (i64.const 8))")},
        {"lengths",
         ALLOC(a, 1) ALLOC(b, 70000)
         EXPECT(1, "(i64.eqz (call $length (i64.const 0)))")
         EXPECT(2, "(i64.eq (call $length (local.get $a)) (i64.const 1))")
         EXPECT(3, "(i64.eq (call $length (local.get $b)) (i64.const 70000))")},
        {"freed neighbours make room once",
         ALLOC(a, 600) ALLOC(b, 600) FREE("(local.get $a)") FREE("(local.get $b)")
         ALLOC(a, 600) ALLOC(b, 1200)
         EXPECT(1, APART(a, 600, b, 1200))},
        {"freeing what is no block",
         FREE("(i64.const 0)") FREE("(i64.const 987654321)") FREE("(i64.const -1)")
         ALLOC(a, 8) FREE("(local.get $a)") FREE("(local.get $a)") ALLOC(b, 8) ALLOC(c, 8)
         EXPECT(1, APART(b, 8, c, 8))},
    };
    char module[6000];
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(module, sizeof module,
                 "(module %s (func $apart (param $a i64) (param $m i64) (param $b i64) (param $n i64) (result i32)"
                 "  (i32.or (i64.le_u (i64.add (local.get $a) (local.get $m)) (local.get $b))"
                 "          (i64.le_u (i64.add (local.get $b) (local.get $n)) (local.get $a))))"
                 "(func (export \"try\") (result i32) (local $a i64) (local $b i64) (local $c i64) %s (i32.const 0)))",
                 GUEST, cases[i].body);
        ExtismPlugin plugin = guest_new(ctx, module);
        CHECK_CASE(cases[i].name, plugin >= 0);
        for (int again = 0; again < 2; again++) {
            int32_t broken = guest_call(ctx, plugin, "try", "");
            CHECK_CASE(cases[i].name, broken == 0);
        }
    }
    extism_context_free(ctx);
}

/* Blocks, input and output of a call are gone when the next one begins, also after a trap. */
static void nothing_left_behind(void)
{
    static const char secret[] = "SECRETS!SECRETS!SECRETS!SECRETS!SECRETS!";
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(
        ctx, "(module " GUEST "(func (export \"keep\") (call $output (call $input)))"
             "(func (export \"keep_and_fail\") (call $output (call $input)) unreachable)"
             "(func (export \"keep_and_free\") (call $free (call $input)))"
             /* how often the secret stands in all memory up to a new block */
             "(func (export \"find\") (result i32) (local $i i64) (local $end i64) (local $n i32)"
             "  (local.set $end (i64.add (call $alloc (i64.const 4096)) (i64.const 4088)))"
             "  (block $done (loop $next"
             "    (br_if $done (i64.gt_u (local.get $i) (local.get $end)))"
             "    (local.set $n (i32.add (local.get $n)"
             "      (i64.eq (call $load_u64 (local.get $i)) (i64.const 0x2153544552434553))))"
             "    (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $next)))"
             "  (local.get $n)))");
    static const char *const functions[] = {"keep", "keep_and_fail", "keep_and_free"};

    for (size_t i = 0; i < COUNT(functions); i++) {
        guest_call(ctx, plugin, functions[i], secret);
        int32_t found = guest_call(ctx, plugin, "find", "");
        CHECK_CASE(functions[i], found == 0);
    }
    extism_context_free(ctx);
}

/* `memory.max` counts blocks, not the memory that the module declares. */
static void memory_max(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new_in(
        ctx, "{\"wasm\": [{\"data\": \"%s\"}], \"memory\": {\"max\": 5}}",
        "(module (import \"env\" \"extism_alloc\" (func $alloc (param i64) (result i64)))"
        "(memory (export \"memory\") 17)"
        "(func (export \"small\") (drop (call $alloc (i64.const 1000))))"
        "(func (export \"large\") (drop (call $alloc (i64.const 1000000)))))");
    CHECK(plugin == 0);
    int32_t rc = guest_call(ctx, plugin, "small", "");
    CHECK(rc == 0);
    rc = guest_call(ctx, plugin, "large", "");
    CHECK(rc == -1);
    CHECK(extism_error(ctx, plugin) != NULL);
    rc = guest_call(ctx, plugin, "small", "");
    CHECK(rc == 0);
    extism_context_free(ctx);
}

/* The limit is on the total with the new value in it. */
static void limit_of_variables(void)
{
    static const char module[] =
        "(module " GUEST "(data (i32.const 0) \"ab\")"
        "(func $set (param $key i32) (param $len i64)"
        "  (call $var_set (call $block (local.get $key) (i32.const 1)) (call $alloc (local.get $len))))"
        "(func (export \"a3000\") (call $set (i32.const 0) (i64.const 3000)))"
        "(func (export \"a3500\") (call $set (i32.const 0) (i64.const 3500)))"
        "(func (export \"b3000\") (call $set (i32.const 1) (i64.const 3000)))"
        "(func (export \"b101M\") (call $set (i32.const 1) (i64.const 105906176)))"
        "(func (export \"no_a\") (call $var_set (call $block (i32.const 0) (i32.const 1)) (i64.const 0))))";
    static const struct {
        const char *function;
        int32_t rc;
    } cases[] = {{"a3000", 0}, {"b3000", -1}, {"a3500", 0}, {"b3000", -1}, {"no_a", 0}, {"b3000", 0}, {"a3000", -1}};
    ExtismContext *ctx = extism_context_new();

    ExtismPlugin plugin =
        guest_new_in(ctx, "{\"wasm\": [{\"data\": \"%s\"}], \"memory\": {\"max_var_bytes\": 4096}}", module);
    CHECK(plugin == 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t rc = guest_call(ctx, plugin, cases[i].function, "");
        CHECK_CASE(cases[i].function, rc == cases[i].rc);
    }

    /* Without a setting there is a limit too, which the first value does not escape. */
    plugin = guest_new(ctx, module);
    int32_t rc = guest_call(ctx, plugin, "b101M", "");
    CHECK(rc == -1);
    CHECK(extism_error(ctx, plugin) != NULL);
    rc = guest_call(ctx, plugin, "b3000", "");
    CHECK(rc == 0);
    extism_context_free(ctx);
}

int main(void)
{
    out_of_range();
    no_input();
    allocator();
    nothing_left_behind();
    memory_max();
    limit_of_variables();
    return check_done();
}
