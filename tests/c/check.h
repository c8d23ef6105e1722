/*
 * The head of every test program: extism.h, included as both C11 and C++17 need it, and checks that are counted.
 *
 * A failed check prints its place and the values it saw, and the program continues. `main` ends with
 * `return check_done();`. Only the main thread makes checks: worker threads hand their findings back.
 */
#ifndef CHECK_H
#define CHECK_H

/* mkdtemp, mkfifo, setenv: without this, -std=c11 hides them. g++ defines _GNU_SOURCE itself. */
#if !defined(_GNU_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "extism.h"
#ifdef __cplusplus
}
#endif

static int check_count;
static int check_failures;

static inline bool check_that(bool ok, const char *file, int line, const char *what, const char *which)
{
    check_count++;
    if (!ok) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, which[0] ? ", case " : "", which);
    }
    return ok;
}

static inline void check_text(bool ok, const char *file, int line, const char *how, const char *got, const char *want,
                              const char *which)
{
    if (!check_that(ok, file, line, how, which))
        fprintf(stderr, "  expected: %s\n       got: %.2000s\n", want, got ? got : "(NULL)");
}

static inline bool text_starts(const char *text, const char *start)
{
    return text && strncmp(text, start, strlen(start)) == 0;
}

static inline bool text_has(const char *text, const char *part)
{
    return text && strstr(text, part);
}

/* `which` names the row of a table of cases, or is "" outside of tables. */
#define CHECK_CASE(which, cond) ((void)check_that((cond), __FILE__, __LINE__, #cond, (which)))
#define CHECK(cond) CHECK_CASE("", cond)

/* The same for texts. `got` may be NULL and is evaluated once. */
#define CHECK_TEXT(got, want) CHECK_TEXT_CASE("", got, want)
#define CHECK_STARTS(got, want) CHECK_STARTS_CASE("", got, want)
#define CHECK_HAS(got, want) CHECK_HAS_CASE("", got, want)
#define CHECK_TEXT_CASE(which, got, want)                                                                              \
    do {                                                                                                               \
        const char *got_ = (got);                                                                                      \
        check_text(got_ && strcmp(got_, (want)) == 0, __FILE__, __LINE__, "text is", got_, (want), (which));           \
    } while (0)
#define CHECK_STARTS_CASE(which, got, want)                                                                            \
    do {                                                                                                               \
        const char *got_ = (got);                                                                                      \
        check_text(text_starts(got_, (want)), __FILE__, __LINE__, "text starts with", got_, (want), (which));          \
    } while (0)
#define CHECK_HAS_CASE(which, got, want)                                                                               \
    do {                                                                                                               \
        const char *got_ = (got);                                                                                      \
        check_text(text_has(got_, (want)), __FILE__, __LINE__, "text contains", got_, (want), (which));                \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline int check_done(void)
{
    if (check_failures) {
        printf("%d of %d checks failed\n", check_failures, check_count);
        return 1;
    }
    printf("%d checks passed\n", check_count);
    return 0;
}

#endif
