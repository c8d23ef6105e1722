/*
 * Which library this is, and which compilers it has; chooses one for later plugins: compilers [NAME]
 *
 * A manifest can choose one for its own plugin, with "compiler". Extism's own library has none of these functions but
 * extism_version.
 */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char *argv[])
{
    static const char *const all[] = {"cranelift", "llvm", "singlepass"};

    printf("the C interface of Extism %s, by libextism on Wasmer %s\n", extism_version(), extism_wasmer_version());
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        printf("%-10s %s\n", all[i], extism_compiler_available(all[i]) ? "built in" : "not built in");
    if (argc > 1 && !extism_compiler_set(argv[1])) {
        fprintf(stderr, "compilers: %s is not built in\n", argv[1]);
        return EXIT_FAILURE;
    }
    const char *name = extism_compiler();
    if (!name) {
        fprintf(stderr, "compilers: EXTISM_COMPILER names no compiler of this library, so no plugin can be made\n");
        return EXIT_FAILURE;
    }
    if (extism_compiler_available(name))
        printf("the next plugin is compiled by %s\n", name);
    else
        printf("no compiler is built in (%s): the code of the next plugin has to be in the cache\n", name);
    return EXIT_SUCCESS;
}
