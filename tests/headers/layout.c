/*
 * The types of the header have the sizes, places and values that Extism's interface gives them. Compiled only, as C and as
 * C++, with all warnings; the macros of the header for Extism 1.x are used as its examples use them.
 */
#include <stddef.h>

#include "extism.h"

/* Refused by the compiler if the condition is false; works before C11, too. */
#define HOLDS(name, condition) typedef char name[(condition) ? 1 : -1]

HOLDS(sizes, sizeof(ExtismSize) == 8 && sizeof(ExtismMemoryHandle) == 8);
HOLDS(types, sizeof(ExtismValType) == 4);
HOLDS(unions, sizeof(ExtismValUnion) == 8);
HOLDS(values, sizeof(ExtismVal) == 16 && offsetof(ExtismVal, t) == 0 && offsetof(ExtismVal, v) == 8);
HOLDS(numbers, ExtismValType_I32 == 0 && ExtismValType_I64 == 1 && ExtismValType_F32 == 2 && ExtismValType_F64 == 3);
HOLDS(others, ExtismValType_V128 == 4 && ExtismValType_FuncRef == 5 && ExtismValType_ExternRef == 6);
HOLDS(version, EXTISM_WASMER_VERSION_MAJOR + EXTISM_WASMER_VERSION_MINOR + EXTISM_WASMER_VERSION_PATCH > 0);

#ifdef __cplusplus
extern "C" {
#endif

void work(ExtismCurrentPlugin *, const ExtismVal *, ExtismSize, ExtismVal *, ExtismSize, void *);
ExtismFunction *make(void);

#ifdef EXTISM_FUNCTION
HOLDS(success, EXTISM_SUCCESS == 0);
HOLDS(pointers, EXTISM_PTR == ExtismValType_I64);

EXTISM_FUNCTION(work);
EXTISM_GO_FUNCTION(work_in_go);

/* Enumerators are names of their own, and the types need no `struct`. */
void call(ExtismPlugin *plugin, const ExtismCompiledPlugin *compiled, const ExtismCancelHandle *handle);
#endif

ExtismFunction *make(void)
{
    const ExtismValType types[] = {ExtismValType_I64};
    ExtismFunctionType callback = work;

    return extism_function_new("work", types, 1, types, 1, callback, NULL, NULL);
}

#ifdef __cplusplus
}
#endif
