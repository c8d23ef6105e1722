#include <extism.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    const char *manifest = "{\"wasm\": [{\"path\": \"fixtures/wasm/count_vowels.v0.wasm\"}]}";
    const char *text = "this is a test";
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)manifest, strlen(manifest), false);
    int32_t rc = plugin < 0 ? -1 : extism_plugin_call(ctx, plugin, "count_vowels", (const uint8_t *)text, strlen(text));

    if (rc == 0) {
        size_t length = extism_plugin_output_length(ctx, plugin);
        printf("%.*s\n", (int)length, (const char *)extism_plugin_output_data(ctx, plugin));
    } else {
        const char *error = extism_error(ctx, plugin);
        fprintf(stderr, "%s\n", error ? error : "the plugin failed and did not say why");
    }
    extism_context_free(ctx);
    return rc != 0;
}
