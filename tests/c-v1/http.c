/* HTTP of guests: hosts, response headers, limits, stops, and modules that are downloaded. */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define SIX "(module (func (export \"six\") (result i32) (i32.const 6)))"

/* "get" requests what its input says and answers the status; "headers" does the same and gives the headers. */
#define FETCHES                                                                                                        \
    "(module " ENV "\"http_request\" (func $request (param i64 i64) (result i64)))"                                    \
    ENV "\"http_status_code\" (func $status (result i32)))" ENV "\"http_headers\" (func $headers (result i64)))" GUEST \
    "(func (export \"get\") (result i32) (call $output (call $request (call $input) (i64.const 0))) (call $status))"   \
    "(func (export \"headers\") (result i32) (local $at i64) (drop (call $request (call $input) (i64.const 0)))"       \
    "  (local.set $at (call $headers)) (if (i64.eqz (local.get $at)) (then (return (i32.const 99))))"                  \
    "  (call $output (local.get $at)) (i32.const 0))"                                                                  \
    "(func (export \"six\") (result i32) (i32.const 6)))"

static int port;
static volatile int bodies, conditional;

static void answer(int client, const char *request)
{
    static char text[120000];
    const char *body = "hello", *more = "";
    char location[64] = "";

    if (text_starts(request, "GET /slow")) {
        char byte;
        while (recv(client, &byte, 1, 0) > 0)
            ;
        return;
    }
    if (text_starts(request, "GET /moved"))
        snprintf(location, sizeof location, "Location: http://localhost:%d/hello\r\n", port);
    static char big[100001];
    if (text_starts(request, "GET /big"))
        body = (const char *)memset(big, 'b', sizeof big - 1);
    if (text_starts(request, "GET /module")) {
        more = "ETag: \"one\"\r\n";
        body = SIX;
        if (strcasestr(request, "if-none-match: \"one\"")) {
            conditional++;
            snprintf(text, sizeof text, "HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\nConnection: close\r\n\r\n");
            (void)!write(client, text, strlen(text));
            return;
        }
        bodies++;
    }
    snprintf(text, sizeof text,
             "HTTP/1.1 %s\r\n%s%sX-Test: Value\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
             location[0] ? "302 Found" : "200 OK", location, more, strlen(body), body);
    for (size_t at = 0, size = strlen(text); at < size;) {
        ssize_t n = write(client, text + at, size - at);
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

static void *serves(void *arg)
{
    int server = *(int *)arg;

    for (;;) {
        char request[4096];
        size_t n = 0;
        int client = accept(server, NULL, NULL);
        request[0] = 0;
        while (client >= 0 && n + 1 < sizeof request && !strstr(request, "\r\n\r\n")) {
            ssize_t got = read(client, request + n, sizeof request - 1 - n);
            if (got <= 0)
                break;
            n += (size_t)got;
            request[n] = 0;
        }
        if (client < 0)
            continue;
        answer(client, request);
        close(client);
    }
    return NULL;
}

static void serve(void)
{
    static int server;
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    if (port)
        return;
    signal(SIGPIPE, SIG_IGN);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 16) ||
        getsockname(server, (struct sockaddr *)&address, &size)) {
        perror("server");
        exit(1);
    }
    port = ntohs(address.sin_port);
    pthread_detach(start(serves, &server));
}

static ExtismPlugin *fetcher(const char *more)
{
    serve();
    return guest_new(manifest_of(FETCHES, more));
}

#define LOCAL ", \"allowed_hosts\": [\"127.0.0.1\"]"

static const char *request(const char *page)
{
    static char text[128];

    snprintf(text, sizeof text, "{\"url\": \"http://127.0.0.1:%d/%s\"}", port, page);
    return text;
}

static void allowed(void)
{
    ExtismPlugin *plugin = fetcher(LOCAL);

    CHECK(guest_call(plugin, "get", request("hello")) == 200);
    CHECK(guest_output_is(plugin, "hello", 5));
    extism_plugin_free(plugin);
}

/* All hosts are refused unless the manifest names them. */
static void check_denied(const char *more, const char *part)
{
    ExtismPlugin *plugin = fetcher(more);

    CHECK(guest_call(plugin, "get", request("hello")) == -1);
    CHECK_HAS(extism_plugin_error(plugin), part);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

static void denied(void)
{
    check_denied("", "");
    check_denied(", \"allowed_hosts\": []", "");
    check_denied(", \"allowed_hosts\": null", "");
    check_denied(", \"allowed_hosts\": [\"example.com\"]", "");
}

static void denied_says_why(void) { check_denied("", "not allowed"); }

static void response_headers(void)
{
    ExtismPlugin *plugin = fetcher(LOCAL);

    CHECK(guest_call(plugin, "headers", request("hello")) == 99);
    extism_plugin_allow_http_response_headers(plugin);
    CHECK(guest_call(plugin, "headers", request("hello")) == 0);
    char *text = strndup((const char *)extism_plugin_output_data(plugin), extism_plugin_output_length(plugin));
    CHECK_STARTS(text, "{");
    CHECK_HAS(text, "\"x-test\"");
    CHECK_HAS(text, "\"Value\"");
    free(text);
    extism_plugin_free(plugin);
}

static void response_limit(void)
{
    ExtismPlugin *plugin = fetcher(LOCAL ", \"memory\": {\"max_http_response_bytes\": 50000}");

    CHECK(guest_call(plugin, "get", request("hello")) == 200);
    CHECK(guest_call(plugin, "get", request("big")) == -1);
    CHECK(extism_plugin_error(plugin) != NULL);
    extism_plugin_free(plugin);
    plugin = fetcher(LOCAL);
    CHECK(guest_call(plugin, "get", request("big")) == 200);
    CHECK(extism_plugin_output_length(plugin) == 100000);
    extism_plugin_free(plugin);
}

/* A redirect leads only to hosts that are allowed themselves. */
static void redirect(void)
{
    ExtismPlugin *plugin = fetcher(LOCAL);

    CHECK(guest_call(plugin, "get", request("moved")) == -1);
    CHECK(extism_plugin_error(plugin) != NULL);
    CHECK(guest_call(plugin, "get", request("hello")) == 200);
    extism_plugin_free(plugin);
}

static void redirect_allowed(void)
{
    ExtismPlugin *plugin = fetcher(", \"allowed_hosts\": [\"127.0.0.1\", \"localhost\"]");

    CHECK(guest_call(plugin, "get", request("moved")) == 200);
    CHECK(guest_output_is(plugin, "hello", 5));
    extism_plugin_free(plugin);
}

static void wait_with_timeout(void)
{
    ExtismPlugin *plugin = fetcher(LOCAL ", \"timeout_ms\": 500");

    CHECK(guest_call(plugin, "get", request("slow")) == 134);
    CHECK_HAS(extism_plugin_error(plugin), "timeout");
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

static void *cancels(void *handle)
{
    sleep_ms(500);
    extism_plugin_cancel((const ExtismCancelHandle *)handle);
    return NULL;
}

static void wait_with_cancel(void)
{
    ExtismPlugin *plugin = fetcher(LOCAL);
    pthread_t thread = start(cancels, (void *)(uintptr_t)extism_plugin_cancel_handle(plugin));
    int32_t rc = guest_call(plugin, "get", request("slow"));

    pthread_join(thread, NULL);
    CHECK(rc == 134);
    CHECK_HAS(extism_plugin_error(plugin), "timeout");
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

static ExtismPlugin *downloaded(void)
{
    char text[128];

    snprintf(text, sizeof text, "{\"wasm\": [{\"url\": \"http://127.0.0.1:%d/module.wasm\"}]}", port);
    return guest_new(text);
}

static void module_by_url(void)
{
    serve();
    ExtismPlugin *plugin = downloaded();
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

/* A module that is still the same is not sent again. The other half of W30, machine code that programs share through
   the user's directory, is a matter of files: the tests of the cache are in tests/suite. */
static void module_again(void)
{
    serve();
    for (int i = 0; i < 3; i++) {
        ExtismPlugin *plugin = downloaded();
        CHECK(guest_call(plugin, "six", "") == 6);
        extism_plugin_free(plugin);
    }
    CHECK(bodies == 1 && conditional <= 2);
}

static const struct test tests[] = {
    {NULL, "an allowed host", allowed},
    {NULL, "hosts that are not allowed", denied},
    {"W16", "hosts that are not allowed, and why", denied_says_why},
    {NULL, "response headers", response_headers},
    {NULL, "the limit of a response", response_limit},
    {"W27", "a redirect to a host that is not allowed", redirect},
    {NULL, "a redirect to a host that is allowed", redirect_allowed},
    {NULL, "a wait with a timeout", wait_with_timeout},
    {"W14", "a wait that is cancelled", wait_with_cancel},
    {NULL, "a module by url", module_by_url},
    {"W30", "a module by url, again", module_again},
};

RUN_TESTS(tests)
