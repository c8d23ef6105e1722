/*
 * Host functions: functions of this program that plugins call.
 *
 * The plugin here asks for a telephone number. `lookup` finds it in a list of this program, and hands it over as a
 * block in the plugin's memory. An unknown name ends the plugin's call with an error.
 */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls lookup with the input, and makes its answer the output. Plugins in Rust, Go or C import it with their PDK. */
static const char plugin_wat[] =
    "(module"
    "  (import \"extism:host/env\" \"input_offset\" (func $input (result i64)))"
    "  (import \"extism:host/env\" \"length\" (func $length (param i64) (result i64)))"
    "  (import \"extism:host/env\" \"output_set\" (func $output (param i64 i64)))"
    "  (import \"extism:host/user\" \"lookup\" (func $lookup (param i64) (result i64)))"
    "  (func (export \"number_of\") (local $number i64)"
    "    (local.set $number (call $lookup (call $input)))"
    "    (call $output (local.get $number) (call $length (local.get $number)))))";

/* The user data of `lookup`: what it has in each call. One thread calls the plugin here, so there is no lock. */
struct book {
    int lookups;
    struct {
        const char *name, *number;
    } entries[2];
};

static void book_free(void *data)
{
    struct book *book = data;

    printf("the book is freed after %d lookups\n", book->lookups);
    free(book);
}

static const char *book_find(const struct book *book, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof book->entries / sizeof *book->entries; i++)
        if (strlen(book->entries[i].name) == length && memcmp(book->entries[i].name, name, length) == 0)
            return book->entries[i].number;
    return NULL;
}

/* Arguments and results have the types that extism_function_new was given: the library checks the plugin's import. */
static void lookup(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize n_inputs, ExtismVal *outputs,
                   ExtismSize n_outputs, void *data)
{
    struct book *book = data;
    const char *user = extism_current_plugin_host_context(plugin);
    /* The plugin chose this number. If it is no block's handle, the length is 0: nothing may be read there. */
    ExtismMemoryHandle name = (ExtismMemoryHandle)inputs[0].v.i64;
    size_t length = extism_current_plugin_memory_length(plugin, name);

    (void)n_inputs, (void)n_outputs;
    book->lookups++;
    printf("%s asks for %zu bytes of name\n", user ? user : "nobody", length);
    const char *number = NULL;
    if (length > 0)
        number = book_find(book, (const char *)extism_current_plugin_memory(plugin) + name, length);
    if (!number) {
        extism_current_plugin_error_set(plugin, "this name is not in the book");
        return;
    }
    ExtismMemoryHandle block = extism_current_plugin_memory_alloc(plugin, strlen(number));
    if (block == 0) {
        extism_current_plugin_error_set(plugin, "no room for the number");
        return;
    }
    memcpy(extism_current_plugin_memory(plugin) + block, number, strlen(number));
    outputs[0].v.i64 = (int64_t)block;
}

static int32_t ask(ExtismPlugin *plugin, const char *name)
{
    char user[] = "the operator";
    int32_t rc =
        extism_plugin_call_with_host_context(plugin, "number_of", (const uint8_t *)name, strlen(name), user);
    const char *error = extism_plugin_error(plugin);

    if (error)
        printf("%s: returned %d: %s\n", name, (int)rc, error);
    else
        printf("%s: %.*s\n", name, (int)extism_plugin_output_length(plugin),
               (const char *)extism_plugin_output_data(plugin));
    return rc;
}

int main(void)
{
    const ExtismValType handle[] = {EXTISM_PTR};
    char *error = NULL;
    struct book *book = malloc(sizeof *book);

    if (!book)
        return EXIT_FAILURE;
    *book = (struct book){0, {{"Ada", "555-1815"}, {"Grace", "555-1906"}}};
    ExtismFunction *function = extism_function_new("lookup", handle, 1, handle, 1, lookup, book, book_free);
    if (!function) {
        book_free(book); /* it is still ours */
        return EXIT_FAILURE;
    }
    const ExtismFunction *functions[] = {function};
    ExtismPlugin *plugin =
        extism_plugin_new((const uint8_t *)plugin_wat, strlen(plugin_wat), functions, 1, false, &error);
    /* The plugin keeps what it needs of the function. Without a plugin, this frees the book. */
    extism_function_free(function);
    if (!plugin) {
        fprintf(stderr, "host_function: %s\n", error ? error : "no reason given");
        extism_plugin_new_error_free(error);
        return EXIT_FAILURE;
    }
    int32_t known = ask(plugin, "Grace");
    int32_t unknown = ask(plugin, "Nobody");
    extism_plugin_free(plugin); /* calls book_free before it returns */
    return known == EXTISM_SUCCESS && unknown == -1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
