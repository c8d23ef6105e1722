/*
 * Calls count_vowels of a plugin on a server: manifest URL SHA256 [TEXT]
 *
 * SHA256 is the hash of the module, 64 hex digits. A module with another hash is not run. The right one is kept on
 * disk: the second time, no server is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#include <extism.h>
#ifdef __cplusplus
}
#endif

/* Copies the URL into JSON as it is. So quotes, backslashes and line ends are refused; no URL has any. */
static bool write_manifest(char *manifest, size_t size, const char *url, const char *sha256)
{
    int length;

    if (strpbrk(url, "\"\\\n") || strpbrk(sha256, "\"\\\n"))
        return false;
    length = snprintf(manifest, size,
                      "{\"wasm\": [{\"url\": \"%s\", \"hash\": \"%s\"}],"
                      " \"timeout_ms\": 10000}",
                      url, sha256);
    return length > 0 && (size_t)length < size;
}

int main(int argc, char *argv[])
{
    const char *text = argc > 3 ? argv[3] : "this is a test";
    char manifest[4096];

    if (argc < 3 || !write_manifest(manifest, sizeof manifest, argv[1], argv[2])) {
        fprintf(stderr, "usage: manifest URL SHA256 [TEXT]\n");
        return EXIT_FAILURE;
    }

    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)manifest, strlen(manifest), false);
    int32_t rc = -1;
    if (plugin >= 0)
        rc = extism_plugin_call(ctx, plugin, "count_vowels", (const uint8_t *)text, strlen(text));

    if (rc == 0) {
        size_t length = extism_plugin_output_length(ctx, plugin);
        fwrite(extism_plugin_output_data(ctx, plugin), 1, length, stdout);
        putchar('\n');
    } else {
        const char *error = extism_error(ctx, plugin);
        fprintf(stderr, "manifest: %s\n", error ? error : "the plugin failed and did not say why");
    }
    extism_context_free(ctx);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
