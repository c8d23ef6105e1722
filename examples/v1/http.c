/*
 * HTTP requests of a plugin, with the headers of the answer: http URL HOST
 *
 * The plugin may send requests to HOST only, such as example.com, or 127.0.0.1:8000.
 */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sends the request that its input describes, and makes the headers of the answer its output. Returns the status. */
static const char plugin_wat[] =
    "(module"
    "  (import \"extism:host/env\" \"input_offset\" (func $input (result i64)))"
    "  (import \"extism:host/env\" \"length\" (func $length (param i64) (result i64)))"
    "  (import \"extism:host/env\" \"http_request\" (func $request (param i64 i64) (result i64)))"
    "  (import \"extism:host/env\" \"http_status_code\" (func $status (result i32)))"
    "  (import \"extism:host/env\" \"http_headers\" (func $headers (result i64)))"
    "  (import \"extism:host/env\" \"output_set\" (func $output (param i64 i64)))"
    "  (func (export \"fetch\") (result i32)"
    "    (drop (call $request (call $input) (i64.const 0)))"
    "    (call $output (call $headers) (call $length (call $headers)))"
    "    (call $status)))";

/* Texts are copied into JSON as they are. So quotes, backslashes and line ends are refused; no URL has any. */
static bool is_plain(const char *text) { return !strpbrk(text, "\"\\\n"); }

/* Returns the status of the answer, or -1. */
static int32_t fetch(ExtismPlugin *plugin, const char *url)
{
    char request[2048];
    int length = snprintf(request, sizeof request, "{\"url\": \"%s\", \"method\": \"GET\", \"headers\": {}}", url);

    if (length < 0 || (size_t)length >= sizeof request)
        return -1;
    int32_t status = extism_plugin_call(plugin, "fetch", (const uint8_t *)request, (ExtismSize)length);
    const char *error = extism_plugin_error(plugin);
    if (error) {
        fprintf(stderr, "http: %s\n", error);
        return -1;
    }
    printf("status %d, headers: %.*s\n", (int)status, (int)extism_plugin_output_length(plugin),
           (const char *)extism_plugin_output_data(plugin));
    return status;
}

int main(int argc, char *argv[])
{
    char manifest[4096];
    char *error = NULL;

    if (argc < 3 || !is_plain(argv[1]) || !is_plain(argv[2])) {
        fprintf(stderr, "usage: http URL HOST\n");
        return EXIT_FAILURE;
    }
    int length = snprintf(manifest, sizeof manifest,
                          "{\"wasm\": [{\"data\": {\"ptr\": %llu, \"len\": %zu}}],"
                          " \"allowed_hosts\": [\"%s\"], \"timeout_ms\": 10000}",
                          (unsigned long long)(uintptr_t)plugin_wat, strlen(plugin_wat), argv[2]);
    if (length < 0 || (size_t)length >= sizeof manifest)
        return EXIT_FAILURE;
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)manifest, (ExtismSize)length, NULL, 0, false, &error);
    if (!plugin) {
        fprintf(stderr, "http: %s\n", error ? error : "no reason given");
        extism_plugin_new_error_free(error);
        return EXIT_FAILURE;
    }
    /* Plugins get the body and the status of an answer. The headers are given only to those that are allowed them. */
    extism_plugin_allow_http_response_headers(plugin);
    int32_t status = fetch(plugin, argv[1]);
    extism_plugin_free(plugin);
    return status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}
