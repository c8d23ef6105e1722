/* The log: destinations, levels, lines, and the buffer that a program drains. */
#include "acts.h"

#include <fcntl.h>

/* Functions that are named after the levels and log their input. */
#define LOGS                                                                                                           \
    "(module " ENV "\"log_error\" (func $error (param i64)))" ENV "\"log_warn\" (func $warn (param i64)))"             \
    ENV "\"log_info\" (func $info (param i64)))" ENV "\"log_debug\" (func $debug (param i64)))"                        \
    ENV "\"log_trace\" (func $trace (param i64)))" ENV "\"get_log_level\" (func $level (result i32)))" GUEST           \
    "(func (export \"error\") (call $error (call $input))) (func (export \"warn\") (call $warn (call $input)))"        \
    "(func (export \"info\") (call $info (call $input))) (func (export \"debug\") (call $debug (call $input)))"        \
    "(func (export \"trace\") (call $trace (call $input))) (func (export \"level\") (result i32) (call $level))"       \
    "(func (export \"fail\") unreachable))"

static const char *const levels[] = {"error", "warn", "info", "debug", "trace"};

/* Lines that a drain has given, and whether each of them ended as it must. */
static char drained[1 << 22];
static size_t drained_size, drained_lines;
static bool drained_well = true;

static void takes(const char *data, ExtismSize size)
{
    drained_well &= size > 0 && data[size] == 0 && data[size - 1] == '\n';
    if (drained_size + size < sizeof drained) {
        memcpy(drained + drained_size, data, size);
        drained_size += size;
        drained[drained_size] = 0;
    }
    drained_lines++;
}

static const char *drain(void)
{
    drained_size = drained_lines = 0;
    drained[0] = 0;
    extism_log_drain(takes);
    return drained;
}

/* A path in the folder of the run, which run.sh removes. */
static const char *path(const char *name)
{
    static char text[2][256];
    static int next;
    char *out = text[next++ % 2];

    snprintf(out, sizeof text[0], "./%d-%s", (int)getpid(), name);
    return out;
}

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

static const struct level {
    const char *name, *level;
    size_t seen; /* how many of `levels` get through */
    int32_t guest;           /* what get_log_level answers; -1: not looked at */
} level_rows[] = {
    {"level NULL", NULL, 1, 4},     {"level error", "error", 1, 4}, {"level WARN", "WARN", 2, 3},
    {"level Info", "Info", 3, 2},   {"level debug", "debug", 4, 1}, {"level Trace", "Trace", 5, 0},
    {"level off", "off", 0, INT32_MAX},
    {"filter", "extism=debug,cranelift=error", 4, 1},
    {"nonsense", "nonsense", 0, -1},
};

/* Logs a message of each level and looks for them in what `text` gives. */
static void check_levels(const struct level *row, const char *(*text)(const char *), const char *name)
{
    ExtismPlugin *plugin = guest_new(LOGS);
    char messages[5][64];

    CHECK(plugin != NULL);
    for (size_t l = 0; l < COUNT(levels); l++) {
        snprintf(messages[l], sizeof messages[l], "a message of level %s", levels[l]);
        CHECK(guest_call(plugin, levels[l], messages[l]) == 0);
    }
    const char *log = text(name);
    for (size_t l = 0; l < COUNT(levels); l++)
        CHECK_CASE(levels[l], text_has(log, messages[l]) == (l < row->seen));
    int32_t level = guest_call(plugin, "level", "");
    CHECK(level == row->guest || row->guest == -1);
    extism_plugin_free(plugin);
}

static void levels_of_file(void)
{
    const struct level *row = TEST_ROW(level, level_rows);
    const char *name = path("level.log");

    bool ok = extism_log_file(name, row->level);
    CHECK(ok || row->guest == -1);
    check_levels(row, content, name);
    unlink(name);
}

static const char *drain_for(const char *name) { return (void)name, drain(); }

static void levels_of_buffer(void)
{
    for (size_t i = 0; i < COUNT(level_rows); i++)
        if (strcmp(level_rows[i].name + strlen("level "), test_name + strlen("buffer, level ")) == 0) {
            CHECK(extism_log_custom(level_rows[i].level));
            check_levels(&level_rows[i], drain_for, NULL);
        }
}

/* 2026-11-29T20:57:52.296845Z  INFO extism::pdk: TEXT plugin="UUID" */
static void line(void)
{
    ExtismPlugin *plugin = guest_new(LOGS);
    char want[64] = "plugin=\"", *at = want + strlen(want);
    const uint8_t *id = extism_plugin_id(plugin);
    int year, month, day, hour, minute, second;

    for (int i = 0; i < 16; i++)
        at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    strcpy(at, "\"\n");
    CHECK(extism_log_custom("info"));
    CHECK(guest_call(plugin, "info", "the text") == 0);
    const char *got = drain();
    CHECK(drained_lines == 1 && drained_well);
    CHECK(sscanf(got, "%d-%d-%dT%d:%d:%d.", &year, &month, &day, &hour, &minute, &second) == 6);
    CHECK(year > 2000 && month <= 12 && day <= 31 && hour < 24 && minute < 60 && second < 61);
    CHECK_HAS(got, "Z ");
    CHECK_HAS(got, " INFO ");
    CHECK_HAS(got, "the text");
    CHECK_HAS(got, want);
    extism_plugin_free(plugin);
}

static void once_oldest_first(void)
{
    ExtismPlugin *plugin = guest_new(LOGS);
    char message[32];
    const char *at;

    drain();
    CHECK(drained_lines == 0);
    guest_call(plugin, "error", "before the buffer");
    CHECK(extism_log_custom("info"));
    drain();
    CHECK(drained_lines == 0);
    for (int i = 0; i < 50; i++) {
        snprintf(message, sizeof message, "message %d.", i);
        guest_call(plugin, "info", message);
    }
    at = drain();
    CHECK(drained_lines == 50 && drained_well);
    for (int i = 0; i < 50 && at; i++) {
        snprintf(message, sizeof message, "message %d.", i);
        at = strstr(at, message);
        CHECK(at != NULL);
    }
    drain();
    CHECK(drained_lines == 0);
    guest_call(plugin, "info", "one more");
    CHECK_HAS(drain(), "one more");
    CHECK(drained_lines == 1);
    extism_plugin_free(plugin);
}

/* Suites look for a line of level error after a failing call, and for something at trace. */
static void failing_call(void)
{
    ExtismPlugin *plugin = guest_new(LOGS);

    CHECK(extism_log_custom("error"));
    CHECK(guest_call(plugin, "fail", "") == 134);
    CHECK_HAS(drain(), "ERROR");
    extism_plugin_free(plugin);
}

static void something_at_trace(void)
{
    CHECK(extism_log_custom("trace"));
    ExtismPlugin *plugin = guest_new(LOGS);
    guest_call(plugin, "level", "");
    CHECK_HAS(drain(), "TRACE");
    extism_plugin_free(plugin);
}

static void something_at_debug(void)
{
    CHECK(extism_log_custom("debug"));
    ExtismPlugin *plugin = guest_new(LOGS);
    CHECK_HAS(drain(), "DEBUG");
    extism_plugin_free(plugin);
}

/* A file is made if it is not there, and appended to if it is. */
static void files(void)
{
    const char *name = path("file.log");
    FILE *file = fopen(name, "w");
    ExtismPlugin *plugin = guest_new(LOGS);

    fputs("an earlier line\n", file);
    fclose(file);
    CHECK(extism_log_file(name, "info"));
    guest_call(plugin, "info", "a later line");
    CHECK_STARTS(content(name), "an earlier line\n");
    CHECK_HAS(content(name), "a later line");
    CHECK(!text_has(content(name), "\x1b"));
    unlink(name);
    extism_plugin_free(plugin);
}

/* The names of the standard streams. `fd` is replaced by a file meanwhile. */
static void check_stream(const char *stream, int fd)
{
    const char *name = path("stream.log");
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600), saved = dup(fd);
    ExtismPlugin *plugin = guest_new(LOGS);

    dup2(file, fd);
    bool ok = extism_log_file(stream, "info");
    guest_call(plugin, "info", "to a stream");
    dup2(saved, fd);
    CHECK(ok);
    CHECK_HAS(content(name), "to a stream");
    unlink(name);
    extism_plugin_free(plugin);
}

static void dash(void) { check_stream("-", 2); }
static void stderr_(void) { check_stream("stderr", 2); }
static void null_name(void) { check_stream(NULL, 2); }
static void stdout_(void) { check_stream("stdout", 1); }

static void check_escaped(const char *input, size_t size, const char *part, const char *part2)
{
    ExtismPlugin *plugin = guest_new(LOGS);

    CHECK(extism_log_custom("info"));
    CHECK(extism_plugin_call(plugin, "info", (const uint8_t *)input, size) == 0);
    const char *got = drain();
    CHECK_HAS(got, part);
    CHECK_HAS(got, part2);
    for (const unsigned char *c = (const unsigned char *)got; *c; c++)
        CHECK((*c >= 0x20 && *c != 0x7f) || *c == '\n');
    extism_plugin_free(plugin);
}

static void escape(void) { check_escaped("red \x1b[31m text", 14, "red \\x1b[31m text", "INFO"); }
static void control(void) { check_escaped("a\x01\x02 b\r\x7f c", 10, "a", " b"); }
static void nul(void) { check_escaped("before\0after", 12, "before", "after"); }
static void not_utf8(void) { check_escaped("before \xff\xfe after", 15, "INFO", " after"); }

static const struct test tests[] = {
    {NULL, "level NULL", levels_of_file},
    {NULL, "level error", levels_of_file},
    {NULL, "level WARN", levels_of_file},
    {NULL, "level Info", levels_of_file},
    {NULL, "level debug", levels_of_file},
    {NULL, "level Trace", levels_of_file},
    {NULL, "level off", levels_of_file},
    {NULL, "filter", levels_of_file},
    {NULL, "nonsense", levels_of_file},
    {NULL, "buffer, level NULL", levels_of_buffer},
    {NULL, "buffer, level WARN", levels_of_buffer},
    {NULL, "buffer, level Trace", levels_of_buffer},
    {NULL, "buffer, level off", levels_of_buffer},
    {NULL, "the line", line},
    {NULL, "each line once, oldest first", once_oldest_first},
    {NULL, "a failing call at error", failing_call},
    {NULL, "something at trace", something_at_trace},
    {NULL, "something at debug", something_at_debug},
    {NULL, "files", files},
    {NULL, "stream -", dash},
    {NULL, "stream stderr", stderr_},
    {NULL, "stream NULL", null_name},
    {NULL, "stream stdout", stdout_},
    {NULL, "escape characters", escape},
    {"logs", "control characters", control},
    {"logs", "NUL", nul},
    {"logs", "not UTF-8", not_utf8},
};

RUN_TESTS(tests)
