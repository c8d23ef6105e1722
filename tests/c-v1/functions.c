/* Host functions: types, values, linking and precedence. */
#include "guest.h"

/* What a callback saw, and what it shall answer. */
struct probe {
    int calls;
    ExtismVal in[16], out[16];
    ExtismSize n_in, n_out;
    const void *in_array, *out_array;
    ExtismVal answer[16];
    bool answers, tags;
};

static struct probe probe_new(void)
{
    struct probe probe;

    memset(&probe, 0, sizeof probe);
    return probe;
}

static void probes(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                   void *data)
{
    struct probe *probe = (struct probe *)data;

    (void)plugin;
    probe->calls++;
    probe->n_in = n_in;
    probe->n_out = n_out;
    probe->in_array = in;
    probe->out_array = out;
    for (ExtismSize i = 0; i < n_in && i < 16; i++)
        probe->in[i] = in[i];
    for (ExtismSize i = 0; i < n_out && i < 16; i++) {
        probe->out[i] = out[i];
        if (probe->answers)
            out[i].v = probe->answer[i].v;
        if (probe->tags)
            out[i].t = probe->answer[i].t;
    }
}

static uint64_t bits(const ExtismVal *value)
{
    uint64_t all = 0;
    bool narrow = value->t == ExtismValType_I32 || value->t == ExtismValType_F32;

    memcpy(&all, &value->v, narrow ? 4 : 8);
    return all;
}

#define EDGE(n, i32, i64, f32, f64)                                                                                    \
    "(func (export \"" n "\") (call $store (call $mix (i32.const " i32 ") (i64.const " i64 ") (f32.const " f32 ")"    \
    " (f64.const " f64 "))))"

#define MIX                                                                                                            \
    "(module " USER "\"mix\" (func $mix (param i32 i64 f32 f64) (result f64 f32 i64 i32)))"                            \
    ENV "\"alloc\" (func $alloc (param i64) (result i64)))" ENV "\"store_u64\" (func $store_u64 (param i64 i64)))"     \
    ENV "\"output_set\" (func $output_set (param i64 i64)))"                                                           \
    "(func $store (param f64 f32 i64 i32) (local $at i64) (local.set $at (call $alloc (i64.const 32)))"                \
    " (call $store_u64 (local.get $at) (i64.reinterpret_f64 (local.get 0)))"                                           \
    " (call $store_u64 (i64.add (local.get $at) (i64.const 8))"                                                    \
    "  (i64.extend_i32_u (i32.reinterpret_f32 (local.get 1))))"                                                        \
    " (call $store_u64 (i64.add (local.get $at) (i64.const 16)) (local.get 2))"                                        \
    " (call $store_u64 (i64.add (local.get $at) (i64.const 24)) (i64.extend_i32_u (local.get 3)))"                     \
    " (call $output_set (local.get $at) (i64.const 32)))"                                                              \
    EDGE("0", "0", "0", "0", "0") EDGE("1", "-1", "-1", "-0", "-0")                                                    \
    EDGE("2", "0x80000000", "0x8000000000000000", "nan:0x200001", "nan:0x4000000000001")                               \
    EDGE("3", "0x7fffffff", "0x7fffffffffffffff", "-nan:0x7fffff", "-nan:0xfffffffffffff")                             \
    EDGE("4", "7", "5000000000", "0x1p-149", "0x1p-1074") EDGE("5", "8", "9", "-inf", "inf") ")"

static const uint64_t edges[][4] = {
    {0, 0, 0, 0},
    {0xffffffff, UINT64_MAX, 0x80000000, 0x8000000000000000},
    {0x80000000, 0x8000000000000000, 0x7fa00001, 0x7ff4000000000001},
    {0x7fffffff, 0x7fffffffffffffff, 0xffffffff, 0xffffffffffffffff},
    {7, 5000000000, 1, 1},
    {8, 9, 0xff800000, 0x7ff0000000000000},
};

/* All types, many values at once, bit for bit in both directions. */
static void values(void)
{
    static const ExtismValType types[] = {ExtismValType_I32, ExtismValType_I64, ExtismValType_F32, ExtismValType_F64};
    struct probe probe = probe_new();
    ExtismPlugin *plugin = guest_hosted(MIX, "mix", "iIfF", "FfIi", probes, &probe);
    char name[2] = "0";

    probe.answers = true;
    for (size_t row = 0; row < COUNT(edges); row++) {
        for (int i = 0; i < 4; i++)
            memcpy(&probe.answer[i].v, &edges[row][3 - i], 8);
        name[0] = (char)('0' + row);
        CHECK_CASE(name, guest_call(plugin, name, "") == 0);
        CHECK_CASE(name, probe.n_in == 4 && probe.n_out == 4);
        uint64_t out[4] = {0};
        CHECK_CASE(name, extism_plugin_output_length(plugin) == 32);
        memcpy(out, extism_plugin_output_data(plugin), 32);
        for (int i = 0; i < 4; i++) {
            CHECK_CASE(name, probe.in[i].t == types[i] && bits(&probe.in[i]) == edges[row][i]);
            CHECK_CASE(name, probe.out[i].t == types[3 - i] && bits(&probe.out[i]) == 0);
            CHECK_CASE(name, out[i] == edges[row][3 - i]);
        }
    }
    extism_plugin_free(plugin);
}

static void unset_results_are_zero(void)
{
    struct probe probe = probe_new();
    ExtismPlugin *plugin = guest_hosted(MIX, "mix", "iIfF", "FfIi", probes, &probe);
    static const uint64_t zeros[4] = {0, 0, 0, 0};

    CHECK(guest_call(plugin, "3", "") == 0);
    CHECK(guest_output_is(plugin, zeros, 32));
    extism_plugin_free(plugin);
}

static void no_values(void)
{
    struct probe probe = probe_new();
    ExtismPlugin *plugin = guest_hosted("(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))", "f", "",
                                        "", probes, &probe);

    probe.in_array = probe.out_array = &probe;
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(probe.calls == 1 && probe.n_in == 0 && probe.n_out == 0);
    CHECK(probe.in_array == NULL && probe.out_array == NULL);
    extism_plugin_free(plugin);
}

static void sixteen_values(void)
{
    struct probe probe = probe_new();
    ExtismPlugin *plugin = guest_hosted(
        "(module " USER "\"f\" (func $f (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i32)"
        " (result i32))) (func (export \"go\") (result i32) (call $f (i64.const 0) (i64.const 1) (i64.const 2)"
        " (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9)"
        " (i64.const 10) (i64.const 11) (i64.const 12) (i64.const 13) (i64.const 14) (i32.const 15))))",
        "f", "IIIIIIIIIIIIIIIi", "i", probes, &probe);

    probe.answers = true;
    probe.answer[0].v.i32 = 77;
    CHECK(guest_call(plugin, "go", "") == 77);
    CHECK(probe.n_in == 16 && probe.n_out == 1);
    for (int i = 0; i < 15; i++)
        CHECK(probe.in[i].v.i64 == i);
    CHECK(probe.in[15].v.i32 == 15);
    extism_plugin_free(plugin);
}

static const void *seen_data;

static void sees(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                 void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out;
    seen_data = data;
}

/* User data is a number to the library, which need not be an address. */
static void user_data_as_given(void)
{
    static const uintptr_t numbers[] = {0, 1, 0xdeadbeef, UINTPTR_MAX};

    for (size_t i = 0; i < COUNT(numbers); i++) {
        seen_data = &seen_data;
        ExtismPlugin *plugin = guest_hosted("(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))", "f",
                                            "", "", sees, (void *)numbers[i]);
        CHECK(guest_call(plugin, "go", "") == 0);
        CHECK((uintptr_t)seen_data == numbers[i]);
        extism_plugin_free(plugin);
    }
}

#define ONE                                                                                                            \
    "(module " USER "\"f\" (func $f (param i64) (result i64)))"                                                        \
    "(func (export \"go\") (result i32) (i32.wrap_i64 (call $f (i64.const 5)))))"

/* Only the value of the declared type counts, whatever the callback writes into the tag. */
static void check_tag(uint32_t tag)
{
    struct probe probe = probe_new();
    ExtismPlugin *plugin = guest_hosted(ONE, "f", "I", "I", probes, &probe);

    probe.answers = probe.tags = true;
    probe.answer[0].v.i64 = 66;
    memcpy(&probe.answer[0].t, &tag, 4);
    CHECK(guest_call(plugin, "go", "") == 66);
    extism_plugin_free(plugin);
}

static void tag_of_scalar(void) { check_tag(ExtismValType_F64); }
static void tag_of_vector(void) { check_tag(ExtismValType_V128); }
static void tag_of_reference(void) { check_tag(ExtismValType_ExternRef); }
static void tag_of_nothing(void) { check_tag(0x12345678); }

/* Types that have no room in an ExtismVal are refused when a plugin is made. The message names function and type. */
static void check_refused(const char *letter, const char *type, const char *value)
{
    char wat[512];
    struct probe probe = probe_new();
    ExtismFunction *one = function("vectors", letter, "", probes, &probe);

    snprintf(wat, sizeof wat, "(module " USER "\"vectors\" (func $f (param %s))) (func (export \"go\") (call $f %s)))",
             type, value);
    ExtismPlugin *plugin = guest_with(wat, &one, 1, false);
    extism_function_free(one);
    CHECK(plugin == NULL);
    CHECK_HAS(creation_error, "vectors");
    CHECK(creation_error && strcasestr(creation_error, type));
    if (plugin)
        guest_call(plugin, "go", "");
}

static void vectors(void) { check_refused("v", "v128", "(v128.const i64x2 1 2)"); }
static void function_references(void) { check_refused("r", "funcref", "(ref.null func)"); }
static void external_references(void) { check_refused("e", "externref", "(ref.null extern)"); }

static void no_such_type(void)
{
    uint32_t numbers[1] = {7};
    ExtismValType types[1];
    struct probe probe = probe_new();

    for (int i = 0; i < 3; i++) {
        numbers[0] = i == 0 ? 7 : i == 1 ? 1000 : UINT32_MAX;
        memcpy(types, numbers, 4);
        ExtismFunction *one = extism_function_new("f", types, 1, NULL, 0, probes, &probe, NULL);
        ExtismPlugin *plugin = guest_with("(module " USER "\"f\" (func $f (param i32))))", &one, 1, false);
        CHECK(plugin == NULL);
        CHECK(creation_error && creation_error[0]);
        extism_function_free(one);
    }
}

static void no_callback(void)
{
    ExtismFunction *one = extism_function_new("nothing", NULL, 0, NULL, 0, NULL, NULL, NULL);
    ExtismPlugin *plugin =
        guest_with("(module " USER "\"nothing\" (func $f)) (func (export \"go\") (call $f)))", &one, 1, false);

    CHECK(plugin == NULL);
    CHECK(creation_error && creation_error[0]);
    if (plugin)
        guest_call(plugin, "go", "");
    extism_function_free(one);
}

/* The types must be those of the import. */
static void check_mismatch(const char *part)
{
    static const char *const types[][2] = {{"", ""}, {"I", ""}, {"i", "I"}, {"II", "I"}, {"I", "II"}, {"F", "I"}};
    struct probe probe = probe_new();

    for (size_t i = 0; i < COUNT(types); i++) {
        ExtismFunction *one = function("f", types[i][0], types[i][1], probes, &probe);
        ExtismPlugin *plugin = guest_with(ONE, &one, 1, false);
        CHECK_CASE(types[i][0], plugin == NULL);
        CHECK_STARTS_CASE(types[i][0], creation_error, "Unable to compile Extism plugin: ");
        CHECK_HAS_CASE(types[i][0], creation_error, part);
        extism_function_free(one);
    }
}

static void mismatch(void) { check_mismatch(""); }
static void mismatch_names_import(void) { check_mismatch("extism:host/user"); }

static void arrays_are_copied(void)
{
    ExtismValType types[2] = {ExtismValType_I64, ExtismValType_I64};
    struct probe probe = probe_new();
    char name[2] = "f";

    ExtismFunction *one = extism_function_new(name, types, 1, types + 1, 1, probes, &probe, NULL);
    types[0] = types[1] = ExtismValType_F32;
    name[0] = 'x';
    ExtismPlugin *plugin = guest_with(ONE, &one, 1, false);
    CHECK(plugin != NULL && guest_call(plugin, "go", "") == 0 && probe.calls == 1);
    extism_function_free(one);
    extism_plugin_free(plugin);
}

/* No array means no values, whatever the number; and a name is UTF-8. */
static void null_arrays(void)
{
    struct probe probe = probe_new();
    ExtismFunction *one = extism_function_new("f", NULL, 3, NULL, 2, probes, &probe, NULL);
    ExtismPlugin *plugin =
        guest_with("(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))", &one, 1, false);

    CHECK(plugin != NULL && guest_call(plugin, "go", "") == 0 && probe.calls == 1);
    extism_function_free(one);
    extism_plugin_free(plugin);
    CHECK(extism_function_new("\xff\xfe", NULL, 0, NULL, 0, probes, &probe, NULL) == NULL);
}

static const struct test tests[] = {
    {NULL, "values of all types", values},
    {NULL, "results that are not set", unset_results_are_zero},
    {NULL, "no values", no_values},
    {NULL, "sixteen values", sixteen_values},
    {NULL, "user data as given", user_data_as_given},
    {"W9", "a tag changed to another scalar", tag_of_scalar},
    {"W9", "a tag changed to a vector", tag_of_vector},
    {"W9", "a tag changed to a reference", tag_of_reference},
    {"W9", "a tag changed to no type", tag_of_nothing},
    {"W9", "V128", vectors},
    {"W9", "FuncRef", function_references},
    {"W9", "ExternRef", external_references},
    {"W9", "no such type", no_such_type},
    {"W10", "NULL callback", no_callback},
    {NULL, "types that differ", mismatch},
    {"W16", "types that differ, with the import's name", mismatch_names_import},
    {NULL, "arrays are copied", arrays_are_copied},
    {NULL, "NULL arrays", null_arrays},
};

RUN_TESTS(tests)
