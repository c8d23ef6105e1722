/* What a callback may do with its ExtismCurrentPlugin, and where and when it may not. */
#include "acts.h"

/* The guest gives its input, the host function's answer becomes the output. */
#define SWAP                                                                                                           \
    "(module " USER "\"act\" (func $act (param i64) (result i64)))" GUEST                                              \
    "(func (export \"go\") (call $output (call $act (call $input_offset))))"                                           \
    "(func (export \"copy\") (call $output (call $act (call $input))))"                                                \
    "(func (export \"read\") (result i32) (local $at i64) (local.set $at (call $act (i64.const 0)))"                   \
    "  (i32.add (i32.mul (call $load_u8 (local.get $at)) (i32.const 256))"                                             \
    "    (i32.wrap_i64 (call $length (local.get $at)))))"                                                              \
    "(func (export \"free\") (result i32) (local $at i64) (local.set $at (call $act (i64.const 0)))"                   \
    "  (call $free (local.get $at)) (call $free (local.get $at)) (i32.wrap_i64 (call $act (local.get $at))))"          \
    "(func (export \"fail\") (drop (call $act (i64.const 0))) unreachable))"

/* Upper case of the argument in a new block. */
static void shouts(struct act *act, ExtismCurrentPlugin *current)
{
    ExtismSize n = extism_current_plugin_memory_length(current, act->in);
    act->out = extism_current_plugin_memory_alloc(current, n);
    uint8_t *base = extism_current_plugin_memory(current);

    for (ExtismSize i = 0; i < n; i++)
        base[act->out + i] = (uint8_t)(base[act->in + i] & ~0x20);
}

static void strings_both_ways(void)
{
    struct act act = act_of(shouts);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    CHECK(guest_answers(plugin, "go", "input", "INPUT"));
    CHECK(guest_call(plugin, "copy", "a copy of it") == 0);
    CHECK(guest_output_is(plugin, "A\0COPY\0OF\0IT", 12));
    CHECK(guest_answers(plugin, "go", "", ""));
    extism_plugin_free(plugin);
}

static void allocates(struct act *act, ExtismCurrentPlugin *current)
{
    static const ExtismSize sizes[] = {1, 2, 7, 8, 9, 1000, 65536, 1000000};

    act->ok = true;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        ExtismMemoryHandle at = extism_current_plugin_memory_alloc(current, sizes[i]);
        const uint8_t *base = extism_current_plugin_memory(current);
        act->ok &= at > 0 && at < 0x80000000 && extism_current_plugin_memory_length(current, at) == sizes[i];
        for (ExtismSize b = 0; b < sizes[i]; b++)
            act->ok &= base[at + b] == 0;
        memset(extism_current_plugin_memory(current) + at, 0xff, sizes[i]);
    }
    act->ok &= extism_current_plugin_memory_alloc(current, 0) == 0;
}

/* New blocks are zeroed, also where earlier calls have written; their handles fit in an int of 32 bits. */
static void new_blocks(void)
{
    struct act act = act_of(allocates);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    for (int round = 0; round < 4; round++) {
        act.ok = false;
        CHECK(guest_call(plugin, "go", round % 2 ? "some input" : "") == 0);
        CHECK(act.ok);
    }
    extism_plugin_free(plugin);
}

static void asks_lengths(struct act *act, ExtismCurrentPlugin *current)
{
    ExtismMemoryHandle at = extism_current_plugin_memory_alloc(current, 100);
    const ExtismMemoryHandle wrong[] = {0, at + 1, at - 1, at + 99, at + 100, 1, 3, 1000000, UINT32_MAX, UINT64_MAX,
                                        (uint64_t)1 << 32, at + ((uint64_t)1 << 32), INT64_MAX};

    act->ok = extism_current_plugin_memory_length(current, at) == 100;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        act->ok &= extism_current_plugin_memory_length(current, wrong[i]) == 0;
        extism_current_plugin_memory_free(current, wrong[i]);
    }
    act->ok &= extism_current_plugin_memory_length(current, at) == 100;
    extism_current_plugin_memory_free(current, at);
    act->ok &= extism_current_plugin_memory_length(current, at) == 0;
    extism_current_plugin_memory_free(current, at);
    act->n = (int)extism_current_plugin_memory_length(current, act->in);
}

static void lengths_and_frees(void)
{
    struct act act = act_of(asks_lengths);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    CHECK(guest_call(plugin, "go", "twelve bytes") == 0);
    CHECK(act.ok && act.n == 12);
    extism_plugin_free(plugin);
}

static void makes_one(struct act *act, ExtismCurrentPlugin *current)
{
    if (act->in) {
        act->out = extism_current_plugin_memory_length(current, act->in);
        return;
    }
    act->out = extism_current_plugin_memory_alloc(current, 99);
    extism_current_plugin_memory(current)[act->out] = 7;
}

/* Blocks belong to both sides: the guest reads and frees the host's, the host frees the guest's. */
static void host_blocks_in_guest(void)
{
    struct act act = act_of(makes_one);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    CHECK(guest_call(plugin, "read", "") == 7 * 256 + 99);
    CHECK(guest_call(plugin, "free", "") == 0);
    CHECK(guest_call(plugin, "read", "") == 7 * 256 + 99);
    extism_plugin_free(plugin);
}

static void frees(struct act *act, ExtismCurrentPlugin *current)
{
    extism_current_plugin_memory_free(current, act->in);
    act->n = (int)extism_current_plugin_memory_length(current, act->in);
    extism_current_plugin_memory_free(current, act->in);
}

static void guest_blocks_in_host(void)
{
    struct act act = act_of(frees);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    act.n = 1;
    CHECK(guest_call(plugin, "copy", "input") == 0);
    CHECK(act.n == 0);
    CHECK(guest_call(plugin, "copy", "input") == 0);
    extism_plugin_free(plugin);
}

static void keeps_handle(struct act *act, ExtismCurrentPlugin *current)
{
    if (act->n == 0) {
        act->out = extism_current_plugin_memory_alloc(current, 12345);
        act->kept = act->out;
    } else {
        act->ok = extism_current_plugin_memory_length(current, act->kept) == 0;
    }
    act->n++;
}

static void gone_at_next_call(void)
{
    struct act act = act_of(keeps_handle);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(extism_plugin_output_length(plugin) == 12345);
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.n == 2 && act.ok);
    extism_plugin_free(plugin);
}

/* Sizes that cannot be had. */
static void asks_too_much(struct act *act, ExtismCurrentPlugin *current)
{
    act->out = extism_current_plugin_memory_alloc(current, act->kept);
}

static void check_too_much(uint64_t size)
{
    struct act act = act_of(asks_too_much);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    act.kept = size;
    act.out = 1;
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.out == 0);
    CHECK(guest_call(plugin, "go", "") == 0);
    extism_plugin_free(plugin);
}

static void alloc_of_all(void) { check_too_much(UINT64_MAX); }
static void alloc_of_half(void) { check_too_much((uint64_t)1 << 63); }
static void alloc_of_4_gib(void) { check_too_much((uint64_t)1 << 32); }
static void alloc_of_4_gib_more(void) { check_too_much(((uint64_t)1 << 32) + 1000); }

static void alloc_over_limit(void)
{
    struct act act = act_of(asks_too_much);
    ExtismPlugin *plugin = act_plugin(manifest_of(SWAP, ", \"memory\": {\"max_pages\": 20}"), &act);

    act.out = 1;
    act.kept = 100 * 65536;
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.out == 0);
    act.kept = 65536;
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(act.out != 0);
    extism_plugin_free(plugin);
}

/* Callers keep pointers into blocks across allocations: the memory grows in place. */
static void grows(struct act *act, ExtismCurrentPlugin *current)
{
    const uint8_t *base = extism_current_plugin_memory(current);

    act->ok = base && base[0] == 0 && memcmp(base + act->in, "input", 5) == 0;
    for (int i = 0; i < 64; i++) {
        ExtismMemoryHandle at = extism_current_plugin_memory_alloc(current, 1 << 20);
        act->ok &= at != 0 && extism_current_plugin_memory(current) == base;
        if (at)
            extism_current_plugin_memory(current)[at + (1 << 20) - 1] = 1;
        act->ok &= base[0] == 0 && memcmp(base + act->in, "input", 5) == 0;
    }
}

static void base_stays(void)
{
    struct act act = act_of(grows);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    for (int round = 0; round < 3; round++) {
        act.ok = false;
        CHECK(guest_call(plugin, "go", "input") == 0);
        CHECK(act.ok);
    }
    extism_plugin_free(plugin);
}

#ifndef INSTRUMENTED
static void fills(struct act *act, ExtismCurrentPlugin *current)
{
    const uint8_t *base = extism_current_plugin_memory(current);

    for (act->n = 0; act->n < 2000; act->n++) {
        ExtismMemoryHandle at = extism_current_plugin_memory_alloc(current, 1 << 20);
        if (!at)
            break;
        memset(extism_current_plugin_memory(current) + at, 1, 1 << 20);
    }
    act->ok = extism_current_plugin_memory(current) == base;
}

/* 512 MiB of address space beside what the process has: plugins with host functions work, and an alloc for which there
   is no room answers 0. */
static void little_address_space(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    rlim_t most = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + ((rlim_t)512 << 20);
    struct rlimit limit = {most, most};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    struct act act = act_of(fills);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);
    CHECK(guest_call(plugin, "go", "input") == 0);
    CHECK(act.ok && act.n >= 16 && act.n < 600);
    act.run = shouts;
    CHECK(guest_answers(plugin, "go", "input", "INPUT"));
    extism_plugin_free(plugin);
}
#endif

static void many(struct act *act, ExtismCurrentPlugin *current)
{
    static ExtismMemoryHandle at[2000];

    act->ok = true;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(at); i++) {
            at[i] = extism_current_plugin_memory_alloc(current, 1 + i % 97);
            memset(extism_current_plugin_memory(current) + at[i], (int)i, 1 + i % 97);
        }
        for (size_t i = 0; i < COUNT(at); i++) {
            act->ok &= extism_current_plugin_memory_length(current, at[i]) == 1 + i % 97;
            act->ok &= extism_current_plugin_memory(current)[at[i] + i % 97] == (uint8_t)i;
            if (i % 3)
                extism_current_plugin_memory_free(current, at[i]);
        }
    }
}

static void many_blocks(void)
{
    struct act act = act_of(many);
    ExtismPlugin *plugin = act_plugin(SWAP, &act);

    CHECK(guest_call(plugin, "go", "input") == 0 && act.ok);
    CHECK(guest_call(plugin, "go", "input") == 0 && act.ok);
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "strings both ways", strings_both_ways},
    {NULL, "new blocks", new_blocks},
    {NULL, "lengths and frees", lengths_and_frees},
    {NULL, "the host's blocks in the guest", host_blocks_in_guest},
    {NULL, "the guest's blocks in the host", guest_blocks_in_host},
    {NULL, "blocks are gone at the next call", gone_at_next_call},
    {"W19", "alloc of 2^64 - 1 bytes", alloc_of_all},
    {"W19", "alloc of 2^63 bytes", alloc_of_half},
    {NULL, "alloc of 2^32 bytes", alloc_of_4_gib},
    {NULL, "alloc of more than 2^32 bytes", alloc_of_4_gib_more},
    {NULL, "alloc over the limit", alloc_over_limit},
    {NULL, "the base address stays", base_stays},
    {NULL, "many blocks", many_blocks},
#ifndef INSTRUMENTED
    {"limits", "little address space", little_address_space},
#endif
};

RUN_TESTS(tests)
