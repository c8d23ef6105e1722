/* The log's harder cases: files that cannot be opened, setting it up again, handlers that use the library, and the
   bound of the buffer. Each is W24 on upstream's library. */
#include "acts.h"

#define LOGS                                                                                                           \
    "(module " ENV "\"log_info\" (func $info (param i64)))" GUEST                                                      \
    "(func (export \"info\") (call $info (call $input))) (func (export \"six\") (result i32) (i32.const 6))"           \
    "(func (export \"in_place\") (call $info (call $input_offset))))"

static const char *content(const char *name)
{
    static char text[65536];
    FILE *file = fopen(name, "rb");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;

    if (file)
        fclose(file);
    text[n] = 0;
    return text;
}

static size_t taken_bytes, taken_lines;
static char last_lines[1 << 16];
static ExtismPlugin *plugin;

static void takes(const char *data, ExtismSize size)
{
    size_t used = strlen(last_lines);

    taken_bytes += size;
    taken_lines++;
    if (size < 1000 && used + size < sizeof last_lines)
        memcpy(last_lines + used, data, size + 1);
}

static const char *drain(void)
{
    last_lines[0] = 0;
    taken_bytes = taken_lines = 0;
    extism_log_drain(takes);
    return last_lines;
}

static void unopenable(void)
{
    CHECK(!extism_log_file("./no/such/folder/x.log", "info"));
    CHECK(!extism_log_file(".", "info"));
    plugin = guest_new(LOGS);
    CHECK(guest_call(plugin, "info", "nowhere") == 0);
    extism_plugin_free(plugin);
}

static void file_again(void)
{
    plugin = guest_new(LOGS);
    CHECK(extism_log_file("./first.log", "info"));
    guest_call(plugin, "info", "to the first");
    CHECK(extism_log_file("./second.log", "info"));
    guest_call(plugin, "info", "to the other");
    CHECK_HAS(content("./first.log"), "to the first");
    CHECK(!text_has(content("./first.log"), "to the other"));
    CHECK_HAS(content("./second.log"), "to the other");
    CHECK(extism_log_file("./second.log", "error"));
    guest_call(plugin, "info", "too low");
    CHECK(!text_has(content("./second.log"), "too low"));
    unlink("./first.log");
    unlink("./second.log");
    extism_plugin_free(plugin);
}

static void buffer_again(void)
{
    plugin = guest_new(LOGS);
    CHECK(extism_log_custom("info"));
    guest_call(plugin, "info", "the first");
    CHECK(extism_log_custom("debug"));
    guest_call(plugin, "info", "the second");
    CHECK_HAS(drain(), "the second");
    extism_plugin_free(plugin);
}

static void buffer_after_file(void)
{
    plugin = guest_new(LOGS);
    CHECK(extism_log_file("./before.log", "info"));
    CHECK(extism_log_custom("info"));
    guest_call(plugin, "info", "to the buffer");
    CHECK_HAS(drain(), "to the buffer");
    CHECK(!text_has(content("./before.log"), "to the buffer"));
    unlink("./before.log");
    extism_plugin_free(plugin);
}

static void file_after_buffer(void)
{
    plugin = guest_new(LOGS);
    CHECK(extism_log_custom("info"));
    CHECK(extism_log_file("./after.log", "info"));
    guest_call(plugin, "info", "to the file");
    CHECK_HAS(content("./after.log"), "to the file");
    unlink("./after.log");
    extism_plugin_free(plugin);
}

static int depth;

static void drains_again(const char *data, ExtismSize size)
{
    takes(data, size);
    if (depth++ < 3)
        extism_log_drain(drains_again);
}

static void logs_again(const char *data, ExtismSize size)
{
    takes(data, size);
    if (depth++ < 3)
        guest_call(plugin, "info", "from the handler");
}

static void creates(const char *data, ExtismSize size)
{
    takes(data, size);
    ExtismPlugin *other = guest_new(LOGS);
    depth += guest_call(other, "six", "") == 6;
    extism_plugin_free(other);
}

static void sets_up(const char *data, ExtismSize size)
{
    takes(data, size);
    depth += extism_log_custom("debug");
}

static void check_handler(ExtismLogDrainFunctionType handler)
{
    plugin = guest_new(LOGS);
    CHECK(extism_log_custom("debug"));
    guest_call(plugin, "info", "one");
    guest_call(plugin, "info", "two");
    last_lines[0] = 0;
    taken_lines = 0;
    extism_log_drain(handler);
    CHECK(depth > 0 && taken_lines >= 2);
    CHECK_HAS(last_lines, "one");
    CHECK_HAS(last_lines, "two");
    guest_call(plugin, "info", "afterwards");
    CHECK_HAS(drain(), "afterwards");
    extism_plugin_free(plugin);
}

static void handler_drains(void) { check_handler(drains_again); }
static void handler_logs(void) { check_handler(logs_again); }
static void handler_creates(void) { check_handler(creates); }
static void handler_sets_up(void) { check_handler(sets_up); }

static void no_handler(void)
{
    plugin = guest_new(LOGS);
    CHECK(extism_log_custom("info"));
    guest_call(plugin, "info", "kept");
    extism_log_drain(NULL);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

/* A callback of a running call may drain, which includes its own plugin's lines. */
static void drains(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->ok = text_has(drain(), "before the callback");
}

static void in_callback(void)
{
    struct act act = act_of(drains);
    ExtismPlugin *own = act_plugin("(module " USER "\"act\" (func $act (param i64) (result i64)))" ENV
                                   "\"log_info\" (func $info (param i64)))" GUEST
                                   "(func (export \"go\") (call $info (call $input))"
                                   " (drop (call $act (i64.const 0)))))",
                                   &act);

    CHECK(extism_log_custom("info"));
    CHECK(guest_call(own, "go", "before the callback") == 0);
    CHECK(act.ok);
    extism_plugin_free(own);
}

/* 40 MB of lines without a drain: at most 16 MiB stay, the newest, and one line says how many went. */
static void bounded(void)
{
    static char big[40001];

    memset(big, 'x', sizeof big - 1);
    plugin = guest_new(LOGS);
    CHECK(extism_log_custom("info"));
    for (int i = 0; i < 1000; i++)
        CHECK(guest_call(plugin, "in_place", big) == 0);
    CHECK(guest_call(plugin, "info", "the newest line") == 0);
    const char *small = drain();
    CHECK(taken_bytes > 1 << 20 && taken_bytes <= (17 << 20));
    CHECK(taken_lines < 1001);
    CHECK_HAS(small, "the newest line");
    /* The line that counts and the newest are the only short ones. The count is what is missing of 1,001. */
    char gone[32];
    snprintf(gone, sizeof gone, "%d", 1001 - (int)(taken_lines - 1));
    CHECK_HAS(small, gone);
    guest_call(plugin, "info", "and on it goes");
    CHECK_HAS(drain(), "and on it goes");
    CHECK(taken_lines == 1);
    extism_plugin_free(plugin);
}

/* Lines of four threads, drained by a fifth: none is lost, none comes twice, none is torn. */
static void *logs_many(void *number)
{
    ExtismPlugin *own = extism_plugin_new((const uint8_t *)LOGS, strlen(LOGS), NULL, 0, false, NULL);

    for (int i = 0; i < 200; i++)
        guest_call(own, "info", (const char *)number);
    extism_plugin_free(own);
    return NULL;
}

static int whole[4];

static void counts(const char *data, ExtismSize size)
{
    static const char *const texts[] = {"line of one.", "line of two.", "line of three.", "line of four."};

    for (int i = 0; i < 4; i++)
        whole[i] += text_has(data, texts[i]) && data[size - 1] == '\n' && strlen(data) == size;
}

static void many_threads(void)
{
    static char texts[4][16] = {"line of one.", "line of two.", "line of three.", "line of four."};
    pthread_t threads[4];

    CHECK(extism_log_custom("info"));
    for (int i = 0; i < 4; i++)
        threads[i] = start(logs_many, texts[i]);
    for (int i = 0; i < 20; i++) {
        sleep_ms(2);
        extism_log_drain(counts);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    extism_log_drain(counts);
    for (int i = 0; i < 4; i++)
        CHECK(whole[i] == 200);
}

static const struct test tests[] = {
    {"W24", "files that cannot be opened", unopenable},
    {"W24", "a file and another", file_again},
    {"W24", "a buffer and another", buffer_again},
    {"W24", "a buffer after a file", buffer_after_file},
    {"W24", "a file after a buffer", file_after_buffer},
    {"W24", "a handler that drains", handler_drains},
    {"W24", "a handler that logs", handler_logs},
    {"W24", "a handler that creates", handler_creates},
    {"W24", "a handler that sets the log up", handler_sets_up},
    {"W24", "NULL handler", no_handler},
    {"W24", "bounded", bounded},
    {NULL, "a callback that drains", in_callback},
    {NULL, "lines of many threads", many_threads},
};

RUN_TESTS(tests)
