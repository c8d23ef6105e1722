/*
 * Host functions that the tests write as `act`s: what to do in the callback, and what it found. Callbacks make no
 * checks themselves, because some run on other threads.
 */
#ifndef ACTS_H
#define ACTS_H

#include "guest.h"

struct act {
    void (*run)(struct act *act, ExtismCurrentPlugin *current);
    ExtismMemoryHandle in, out; /* the argument, and the result that starts as 0 */
    ExtismPlugin *plugin;
    int n;
    bool ok;
    uint64_t kept;
    const void *pointer;
    ExtismPlugin *other;
    pthread_t thread;
};

static inline void act_now(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out,
                           ExtismSize n_out, void *data)
{
    struct act *act = (struct act *)data;

    act->in = n_in ? (ExtismMemoryHandle)in[0].v.i64 : 0;
    act->out = 0;
    act->run(act, plugin);
    if (n_out)
        out[0].v.i64 = (int64_t)act->out;
}

/* A plugin whose import "act" of one I64 argument and result runs `act`. */
static inline ExtismPlugin *act_plugin(const char *wat, struct act *act)
{
    act->plugin = guest_hosted(wat, "act", "I", "I", act_now, act);
    return act->plugin;
}

/* An act that is called once in each call of "go", whose argument is the input. */
#define ACT_GUEST                                                                                                      \
    "(module " USER "\"act\" (func $act (param i64) (result i64)))" GUEST                                              \
    "(func (export \"go\") (drop (call $act (call $input_offset))) (call $output (call $input)))"                      \
    "(func (export \"fail\") (drop (call $act (i64.const 0))) unreachable)"                                            \
    "(func (export \"forever\") (drop (call $act (i64.const 0))) (loop (br 0)))"                                       \
    "(func (export \"six\") (result i32) (i32.const 6)))"

static inline struct act act_of(void (*run)(struct act *, ExtismCurrentPlugin *))
{
    struct act act;

    memset(&act, 0, sizeof act);
    act.run = run;
    return act;
}

#endif
