/* The log: its destinations, its contents, and setting it up again. */
#include "guest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Functions that are named after the levels, and log their input. */
#define LOGS                                                                                                           \
    "(module (import \"env\" \"extism_log_error\" (func $error (param i64)))"                                          \
    "(import \"env\" \"extism_log_warn\" (func $warn (param i64)))"                                                    \
    "(import \"env\" \"extism_log_info\" (func $info (param i64)))"                                                    \
    "(import \"env\" \"extism_log_debug\" (func $debug (param i64)))" GUEST                                            \
    "(func (export \"error\") (call $error (call $input))) (func (export \"warn\") (call $warn (call $input)))"        \
    "(func (export \"info\") (call $info (call $input))) (func (export \"debug\") (call $debug (call $input)))"        \
    "(func (export \"nothing\") (call $error (i64.const 0)))"                                                          \
    "(func (export \"nowhere\") (call $error (i64.const 123456789))))"

static const char *const levels[] = {"error", "warn", "info", "debug"};

static char folder[] = "/tmp/extism-log-XXXXXX";

/* A path in this program's own directory. Four of them are valid at a time. */
static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* The contents of a file, valid until the next call; empty if there is no such file. */
static const char *content(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "rb");
    size_t n = 0;

    if (file) {
        n = fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    text[n] = 0;
    return text;
}

static void levels_of_files(ExtismContext *ctx, ExtismPlugin plugin)
{
    static const struct {
        const char *level;
        size_t seen; /* how many of `levels` get through */
    } cases[] = {
        {"off", 0},   {"error", 1}, {"warn", 2}, {"info", 3}, {"debug", 4},
        {"trace", 4}, {NULL, 1},    {"INFO", 3}, {"Warn", 2},
    };
    char name[32], message[64];

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *which = cases[i].level ? cases[i].level : "NULL";
        snprintf(name, sizeof name, "level-%zu.log", i);
        const char *path = in_folder(name);
        bool ok = extism_log_file(path, cases[i].level);
        CHECK_CASE(which, ok);
        for (size_t l = 0; l < COUNT(levels); l++) {
            snprintf(message, sizeof message, "message %zu of level %s", i, levels[l]);
            int32_t rc = guest_call(ctx, plugin, levels[l], message);
            CHECK_CASE(which, rc == 0);
            CHECK_CASE(which, text_has(content(path), message) == (l < cases[i].seen));
        }
        unlink(path);
    }
}

static void lines(ExtismContext *ctx, ExtismPlugin plugin)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    char message[64];
    const char *path = in_folder("lines.log");
    bool ok = extism_log_file(path, "debug");
    CHECK(ok);

    for (size_t l = 0; l < COUNT(levels); l++) {
        snprintf(message, sizeof message, "line no. %zu", l);
        int32_t rc = guest_call(ctx, plugin, levels[l], message);
        CHECK(rc == 0);
        const char *text = content(path);
        const char *at = strstr(text, message);
        CHECK_HAS_CASE(names[l], text, message);
        if (!at)
            continue;
        CHECK_CASE(names[l], at[strlen(message)] == '\n');
        while (at > text && at[-1] != '\n')
            at--;
        CHECK_HAS_CASE(names[l], at, names[l]);
    }

    /* Not every message is text, and some are empty. */
    int32_t rc = extism_plugin_call(ctx, plugin, "error", (const uint8_t *)"\xff\xfe", 2);
    CHECK(rc == 0);
    rc = guest_call(ctx, plugin, "error", "");
    CHECK(rc == 0);
    rc = guest_call(ctx, plugin, "nothing", "");
    CHECK(rc == -1);
    rc = guest_call(ctx, plugin, "nowhere", "");
    CHECK(rc == -1);
    unlink(path);
}

static void files(ExtismContext *ctx, ExtismPlugin plugin)
{
    /* Missing directories of the path are made, and the file's contents stay. */
    const char *deep = in_folder("a/b/deep.log");
    bool ok = extism_log_file(deep, "info");
    CHECK(ok);
    int32_t rc = guest_call(ctx, plugin, "info", "first");
    CHECK(rc == 0);

    const char *second = in_folder("second.log");
    ok = extism_log_file(second, "info");
    CHECK(ok);
    rc = guest_call(ctx, plugin, "info", "second");
    CHECK(rc == 0);
    CHECK(!text_has(content(deep), "second"));
    CHECK_HAS(content(second), "second");

    ok = extism_log_file(deep, "info");
    CHECK(ok);
    rc = guest_call(ctx, plugin, "info", "third");
    CHECK(rc == 0);
    CHECK_HAS(content(deep), "first");
    CHECK_HAS(content(deep), "third");
    CHECK(!text_has(content(second), "third"));

    /* Environment variables in the path have the values of the library's first use. */
    setenv("EXTISM_TEST_FOLDER", "/not/there", 1);
    ok = extism_log_file("$ENV{EXTISM_TEST_FOLDER}/second.log", "info");
    CHECK(ok);
    rc = guest_call(ctx, plugin, "info", "fourth");
    CHECK(rc == 0);
    CHECK_HAS(content(second), "fourth");

    /* A variable that is not set is an error, and the log says so. */
    ok = extism_log_file("$ENV{EXTISM_TEST_NOT_SET}/log", "info");
    CHECK(!ok);
    CHECK_HAS(content(second), "the environment variable `EXTISM_TEST_NOT_SET` is not set");

    unlink(second);
    unlink(deep);
    rmdir(in_folder("a/b"));
    rmdir(in_folder("a"));
}

/* A setting that cannot be applied is refused, and the log stays as it was. */
static void refused(ExtismContext *ctx, ExtismPlugin plugin)
{
    static const char *const bad_levels[] = {"loud", "", "info ", "5", "\xff"};
    char message[64];
    const char *path = in_folder("goes-on.log");
    const char *other = in_folder("never.log");
    bool ok = extism_log_file(path, "info");
    CHECK(ok);

    for (size_t i = 0; i < COUNT(bad_levels); i++) {
        ok = extism_log_file(other, bad_levels[i]);
        CHECK_CASE(bad_levels[i], !ok);
        ok = extism_log_file(NULL, bad_levels[i]);
        CHECK_CASE(bad_levels[i], !ok);
    }
    ok = extism_log_file(in_folder("not-\xff-text.log"), "info");
    CHECK(!ok);
    ok = extism_log_file(folder, "info");
    CHECK(!ok);
    ok = extism_log_file(in_folder("goes-on.log/below-a-file.log"), "info");
    CHECK(!ok);

    snprintf(message, sizeof message, "still %d", 1);
    int32_t rc = guest_call(ctx, plugin, "info", message);
    CHECK(rc == 0);
    CHECK_HAS(content(path), message);
    unlink(path);
    unlink(other);
}

static void streams(ExtismContext *ctx, ExtismPlugin plugin)
{
    static const struct {
        const char *filename;
        int stream;
    } cases[] = {{"-", 1}, {"stdout", 1}, {"stderr", 2}, {NULL, 2}};
    char message[64];

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *path = in_folder("stream.log");
        snprintf(message, sizeof message, "to stream %d, %zu", cases[i].stream, i);

        fflush(stdout);
        fflush(stderr);
        int kept = dup(cases[i].stream);
        int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(file, cases[i].stream);
        close(file);
        bool ok = extism_log_file(cases[i].filename, "info");
        int32_t rc = guest_call(ctx, plugin, "info", message);
        fflush(stdout);
        dup2(kept, cases[i].stream);
        close(kept);

        CHECK(ok);
        CHECK(rc == 0);
        CHECK_HAS(content(path), message);
        unlink(path);
    }
    CHECK(access("-", F_OK) != 0 && access("stdout", F_OK) != 0 && access("stderr", F_OK) != 0);
}

int main(void)
{
    bool ok = mkdtemp(folder) != NULL;
    CHECK(ok);
    setenv("EXTISM_TEST_FOLDER", folder, 1);
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, LOGS);
    CHECK(plugin == 0);

    int32_t rc = guest_call(ctx, plugin, "error", "before any log is set up");
    CHECK(rc == 0);
    levels_of_files(ctx, plugin);
    lines(ctx, plugin);
    files(ctx, plugin);
    refused(ctx, plugin);
    streams(ctx, plugin);

    /* Ends this log, so that nothing keeps the directory in use. */
    ok = extism_log_file(NULL, "off");
    CHECK(ok);
    ok = rmdir(folder) == 0;
    CHECK(ok);
    extism_context_free(ctx);
    return check_done();
}
