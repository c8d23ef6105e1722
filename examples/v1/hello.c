#include <extism.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    const char *manifest = "{\"wasm\": [{\"path\": \"fixtures/wasm/count_vowels.v1.wasm\"}]}";
    const char *text = "this is a test";
    char *error = NULL;
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)manifest, strlen(manifest), NULL, 0, false, &error);
    int32_t rc = plugin ? extism_plugin_call(plugin, "count_vowels", (const uint8_t *)text, strlen(text)) : -1;

    if (rc == EXTISM_SUCCESS) {
        size_t length = extism_plugin_output_length(plugin);
        printf("%.*s\n", (int)length, (const char *)extism_plugin_output_data(plugin));
    } else {
        const char *why = plugin ? extism_plugin_error(plugin) : error;
        fprintf(stderr, "%s\n", why ? why : "the plugin failed and did not say why");
    }
    extism_plugin_new_error_free(error);
    extism_plugin_free(plugin);
    return rc != 0;
}
