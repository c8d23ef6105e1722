/*
 * The head of every test program of the 1.x library: its header, counted checks, and a table of tests that run one
 * by one, each in a process of its own.
 *
 * A test is a row `{differs, name, function}`. `differs` is NULL where upstream's library, version 1.41.0, does the
 * same, and otherwise says why it does not: "W6" is a defect of the specification's list, a word such as "texts" a
 * cell in which this library promises more. run.sh --peer runs the same programs on that library: the rows without
 * a reason must pass there, the others must fail. So each promise was seen to break at least once. A reason that ends
 * in a question mark is a fault that shows now and then, such as the use of freed memory or a race.
 *
 * The parent never calls the library. A crash or a hang is then the failure of one test, and each test begins with a
 * library that no one has used. Only a test's main thread makes checks.
 */
#ifndef HARNESS_H
#define HARNESS_H

/* Before all headers: -std=c11 hides what POSIX and Linux add. g++ defines it itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

/* First and without `extern "C"`: the header brings its own. */
#include <extism.h>

#include "../c/check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Upstream's library lacks the additions. A weak reference links all the same, and its call crashes the test. */
#ifdef PEER
#pragma weak extism_current_plugin_error_set
#pragma weak extism_plugin_fuel_consumed
#endif

/* Valgrind (run.sh says so) and sanitizers need address space and memory of their own: tests of limits are left out. */
#if defined(__SANITIZE_ADDRESS__) && !defined(INSTRUMENTED)
#define INSTRUMENTED
#endif

/* Seconds that a test may run before it counts as hanging. Valgrind slows it down by a factor of twenty or more. */
#ifndef TEST_SECONDS
#define TEST_SECONDS 120
#endif

/* Where the fixtures are: run.sh gives the folder of compiled plugins. */
#ifndef FIXTURES
#define FIXTURES "fixtures/wasm"
#endif

struct test {
    const char *differs;
    const char *name;
    void (*run)(void);
};

/* The name of the running test. Tests that share a function find their row of its table with it. */
static const char *test_name = "";

/* The row that is named after the running test. The first member of a row is its name. */
#define TEST_ROW(type, rows) ((const struct type *)test_row(rows, COUNT(rows), sizeof (rows)[0]))

static inline const void *test_row(const void *rows, size_t n, size_t size)
{
    const char *row = (const char *)rows;

    for (; n; n--, row += size)
        if (strcmp(*(const char *const *)row, test_name) == 0)
            return row;
    fprintf(stderr, "no row for the test %s\n", test_name);
    exit(1);
}

static inline double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static inline pthread_t start(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, arg) != 0) {
        perror("pthread_create");
        exit(1);
    }
    return thread;
}

/* Runs a test in a child whose output goes to `said`, and returns what waitpid says about it. */
static inline int run_in_child(const struct test *test, unsigned seconds, FILE *said)
{
    int status = 0;

    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(fileno(said), 1);
        dup2(fileno(said), 2);
        alarm(seconds);
        test_name = test->name;
        test->run();
        if (!check_count)
            fprintf(stderr, "the test has made no check\n");
        exit(check_failures || !check_count ? 1 : 0);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    return status;
}

/* How a child ended, for people. */
static inline const char *how(int status, FILE *said)
{
    static char text[256];
    size_t n;

    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) == SIGALRM)
            return "hangs";
        snprintf(text, sizeof text, "crashes: %s", strsignal(WTERMSIG(status)));
        return text;
    }
    rewind(said);
    n = (size_t)snprintf(text, sizeof text, "exit %d: ", WEXITSTATUS(status));
    if (!fgets(text + n, (int)(sizeof text - n), said))
        text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    return text;
}

static inline void print_begin(FILE *said)
{
    char line[512];

    rewind(said);
    for (int n = 0; n < 20 && fgets(line, sizeof line, said); n++)
        fprintf(stderr, "    %s", line);
}

/* Runs the tests of a table. Arguments: words that select tests whose name or reason contains one; none runs all. */
static inline int run_tests(const struct test *tests, size_t n, int argc, char **argv)
{
#ifdef PEER
    const bool peer = true;
#else
    const bool peer = false;
#endif
    int passed = 0, failed = 0, expected = 0;

    for (size_t i = 0; i < n; i++) {
        bool chosen = argc < 2;
        for (int a = 1; a < argc; a++)
            chosen |= text_has(tests[i].name, argv[a]) || text_has(tests[i].differs, argv[a]);
        if (!chosen)
            continue;
        FILE *said = tmpfile();
        if (!said) {
            perror("tmpfile");
            return 2;
        }
        int status = run_in_child(&tests[i], TEST_SECONDS, said);
        bool should_fail = peer && tests[i].differs;
        bool by_chance = should_fail && text_has(tests[i].differs, "?");
        if ((status == 0) != should_fail || by_chance) {
            passed += status == 0;
            expected += status != 0;
            if (should_fail)
                fprintf(stderr, "  as expected, %s on the peer: %s: %s (%s)\n", status ? "fails" : "now and then fails",
                        tests[i].differs, tests[i].name, how(status, said));
        } else {
            failed++;
            fprintf(stderr, "  %s: %s%s%s (%s)\n", should_fail ? "PASSES on the peer" : "FAILED", tests[i].name,
                    tests[i].differs ? ", " : "", tests[i].differs ? tests[i].differs : "", how(status, said));
            print_begin(said);
        }
        fclose(said);
    }
    printf("%d passed, %d failed", passed, failed);
    if (peer)
        printf(", %d fail on the peer as expected", expected);
    printf("\n");
    return failed != 0;
}

#define RUN_TESTS(table)                                                                                               \
    int main(int argc, char **argv) { return run_tests(table, COUNT(table), argc, argv); }

#endif
