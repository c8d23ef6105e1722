/* Compilers: which are built in, and the choice of one. */
#include "guest.h"

int main(void)
{
    static const char *const all[] = {"cranelift", "llvm", "singlepass"};
    ExtismContext *ctx = extism_context_new();
    const char *by_default = extism_compiler();
    size_t built_in = 0;

    for (size_t i = 0; i < COUNT(all); i++) {
        bool available = extism_compiler_available(all[i]);
        built_in += available;
        CHECK_CASE(all[i], extism_compiler_set(all[i]) == available);
        if (available) {
            CHECK_TEXT_CASE(all[i], extism_compiler(), all[i]);
            ExtismPlugin plugin = guest_new(ctx, "(module (func (export \"seven\") (result i32) (i32.const 7)))");
            int32_t rc = guest_call(ctx, plugin, "seven", "");
            CHECK_CASE(all[i], rc == 7);
        }
    }
    CHECK(built_in > 0 && by_default != NULL);

    /* A refused choice changes nothing; NULL takes the choice back. */
    const char *chosen = extism_compiler();
    CHECK(!extism_compiler_set("gcc"));
    CHECK(!extism_compiler_set(""));
    CHECK_TEXT(extism_compiler(), chosen);
    CHECK(!extism_compiler_available("gcc"));
    CHECK(!extism_compiler_available(NULL));
    CHECK(extism_compiler_set(NULL));
    CHECK_TEXT(extism_compiler(), by_default);
    extism_context_free(ctx);
    return check_done();
}
