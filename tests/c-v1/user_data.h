/* Host functions that do nothing, and whose user data notes when it is freed. */
#ifndef USER_DATA_H
#define USER_DATA_H

#include "guest.h"

/* What the free callback notes. The pointer that it is given is this. */
struct data {
    int frees;
    pthread_t thread;
};

static inline void notes_free(void *data)
{
    ((struct data *)data)->frees++;
    ((struct data *)data)->thread = pthread_self();
}

static inline void nothing(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out,
                           ExtismSize n_out, void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out, (void)data;
}

#define GUEST_OF_F "(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))"

static inline ExtismFunction *noted(struct data *data)
{
    return function_with("f", "", "", nothing, data, notes_free);
}

#endif
