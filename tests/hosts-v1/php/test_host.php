<?php
// Host functions inside PHP, by FFI, which parses the preprocessed C header. PHP has no threads.

declare(strict_types=1);

[, $library, $guest, $wasm, $preprocessed] = $argv;

const TRAPS = [
    "unreachable" => "unreachable",
    "outside" => "out of bounds",
    "divide" => "divide by zero",
    "recurse" => "call stack exhausted",
];

/** Throws unless `$is_so` is true. */
function check(bool $is_so, string $text): void
{
    if (!$is_so) {
        throw new Exception($text);
    }
}

/** Bytes as C reads them. PHP passes strings as `char *`, but not as `uint8_t *`. */
function bytes(FFI $lib, string $text): ?FFI\CData
{
    if ($text === "") {
        return null;
    }
    $bytes = $lib->new("uint8_t[" . strlen($text) . "]");
    FFI::memcpy($bytes, $text, strlen($text));
    return $bytes;
}

/** What makes plugins, all with one host function, which calls the closure of its number. */
class Host
{
    /** @var array<int, Closure> What host functions do, by the number that is their user data. */
    public array $bodies = [];
    private int $made = 0;
    private FFI\CData $c;

    public function __construct(public FFI $lib)
    {
        // PHP keeps the code that it makes for a closure until the script ends: once for all functions.
        $this->c = $lib->new("struct { ExtismFunctionType called; void (*released)(void *); }");
        $this->c->called = $this->called(...);
        $this->c->released = function (FFI\CData $number): void { unset($this->bodies[$this->number($number)]); };
    }

    private function number(FFI\CData $pointer): int
    {
        return FFI::cast("intptr_t *", FFI::addr($pointer))[0];
    }

    /** Hands the argument's bytes to a closure, and its answer to the plugin. An exception becomes the call's error. */
    private function called($plugin, $inputs, int $n_inputs, $outputs, int $n_outputs, FFI\CData $number): void
    {
        $lib = $this->lib;
        try {
            $handle = $inputs[0]->v->i64;
            $length = $lib->extism_current_plugin_memory_length($plugin, $handle);
            $data = FFI::string($lib->extism_current_plugin_memory($plugin) + $handle, $length);
            $answer = $this->bodies[$this->number($number)]($data);
            $block = $lib->extism_current_plugin_memory_alloc($plugin, strlen($answer));
            check($block !== 0 || $answer === "", "no room for the answer");
            FFI::memcpy($lib->extism_current_plugin_memory($plugin) + $block, $answer, strlen($answer));
            $outputs[0]->v->i64 = $block;
        } catch (Throwable $error) { // for PHP, an exception that leaves a callback is the end of the script
            $lib->extism_current_plugin_error_set($plugin, $error::class . ": " . $error->getMessage());
        }
    }

    public function function(Closure $body): FFI\CData
    {
        $number = ++$this->made;
        $this->bodies[$number] = $body;
        $i64 = $this->lib->new("ExtismValType[1]");
        $i64[0] = $this->lib->ExtismValType_I64;
        $data = $this->lib->cast("void *", $number);
        return $this->lib->extism_function_new("host", $i64, 1, $i64, 1, $this->c->called, $data, $this->c->released);
    }

    /** What a function of the library makes, or an exception with its error. */
    public function made(Closure $make): FFI\CData
    {
        $error = $this->lib->new("char *[1]");
        $token = $make($this->lib->cast("char **", FFI::addr($error)));
        if ($token === null) {
            $text = FFI::string($error[0]);
            $this->lib->extism_plugin_new_error_free($error[0]);
            throw new Exception($text);
        }
        return $token;
    }

    /** A plugin or a compiled plugin, by the function `$create`. */
    private function load(string $create, Closure $body, string $path, array $keys): FFI\CData
    {
        $manifest = json_encode(["wasm" => [["path" => $path]]] + $keys);
        $functions = $this->lib->new("ExtismFunction *[1]");
        $functions[0] = $this->function($body);
        try {
            return $this->made(fn (FFI\CData $error) => $this->lib->$create(bytes($this->lib, $manifest),
                strlen($manifest), $this->lib->cast("ExtismFunction **", FFI::addr($functions)), 1, false, $error));
        } finally {
            $this->lib->extism_function_free($functions[0]);
        }
    }

    public function plugin(Closure $body, array $keys = [], ?string $path = null): Plugin
    {
        return new Plugin($this->lib, $this->load("extism_plugin_new", $body, $path ?? $GLOBALS["guest"], $keys));
    }

    public function compiled(Closure $body): FFI\CData
    {
        return $this->load("extism_compiled_plugin_new", $body, $GLOBALS["guest"], []);
    }

    public function instance(FFI\CData $compiled): Plugin
    {
        $make = fn (FFI\CData $error) => $this->lib->extism_plugin_new_from_compiled($compiled, $error);
        return new Plugin($this->lib, $this->made($make));
    }
}

/** A plugin, freed when PHP no longer needs it. */
class Plugin
{
    public function __construct(private FFI $lib, public FFI\CData $token)
    {
    }

    public function __destruct()
    {
        $this->lib->extism_plugin_free($this->token);
    }

    public function call(string $name, string $input = ""): int
    {
        return $this->lib->extism_plugin_call($this->token, $name, bytes($this->lib, $input), strlen($input));
    }

    public function error(): string
    {
        $error = $this->lib->extism_plugin_error($this->token);
        return $error === null ? "" : (is_string($error) ? $error : FFI::string($error));
    }

    public function output(): string
    {
        $length = $this->lib->extism_plugin_output_length($this->token);
        return FFI::string($this->lib->extism_plugin_output_data($this->token), $length);
    }

    public function answers(string $input = "hello"): void
    {
        check($this->call("run", $input) === 0, $this->error());
        check($this->output() === strtoupper($input), "another answer to $input");
    }

    public function fails(string $name, int $code, string $text): void
    {
        $got = $this->call($name);
        check($got === $code && str_contains($this->error(), $text), "$name: $got, {$this->error()}");
        check($this->call("fine") === 7 && $this->error() === "", "after $name: {$this->error()}");
    }
}

$lib = FFI::cdef(file_get_contents($preprocessed), $library);
$host = new Host($lib);
$upper = strtoupper(...);

$tests = [
    "answers" => function () use ($lib, $host, $upper, $wasm) {
        check(str_starts_with($lib->extism_version(), "1."), $lib->extism_version());
        $plugin = $host->plugin($upper);
        $plugin->answers();
        $plugin->answers(str_repeat("x", 300_000));
        $plugin = $host->plugin($upper, [], $wasm);
        check($plugin->call("count_vowels", "hello world") === 0, $plugin->error());
        check(json_decode($plugin->output())->count === 3, $plugin->output());
        try {
            $host->plugin($upper, [], "no.wasm");
        } catch (Exception $error) {
            return check(str_contains($error->getMessage(), "no.wasm"), $error->getMessage());
        }
        throw new Exception("it is a plugin");
    },
    "a callback that throws" => function () use ($host) {
        $problem = null;
        $body = function (string $data) use (&$problem) { return $problem ? throw $problem : strtoupper($data); };
        $plugin = $host->plugin($body);
        foreach ([new Exception("héllo"), new TypeError("of PHP's own")] as $problem) {
            $plugin->fails("run", -1, $problem->getMessage());
        }
        $problem = null;
        $plugin->answers();
        $host->plugin(fn (string $data) => intdiv(1, 0))->fails("run", -1, "DivisionByZeroError");
    },
    "a callback that calls the library" => function () use ($host, $upper) {
        $inner = $host->plugin($upper);
        $seen = [];
        $body = function (string $data) use ($host, $upper, $inner, &$outer, &$seen) {
            foreach (TRAPS as $name => $text) {
                $inner->fails($name, 134, $text);
            }
            $inner->answers($data);
            $host->plugin($upper)->answers($data);
            $seen = [$outer->call("run"), $outer->error()];
            return strtoupper($data);
        };
        $outer = $host->plugin($body);
        $outer->answers();
        check($seen[0] === -1 && str_contains($seen[1], "is running"), json_encode($seen));
        $nested = function (string $data) use ($host, &$nested) {
            if ($data === "") {
                return "!";
            }
            $plugin = $host->plugin($nested);
            check($plugin->call("run", substr($data, 1)) === 0, $plugin->error());
            return $plugin->output();
        };
        check($nested(str_repeat("x", 20)) === "!", "another answer");
    },
    "the host at the end of the stack" => function () use ($host) {
        $depth = 0;
        $body = function (string $data) use (&$depth) { $depth++; return $data; };
        $host->plugin($body)->fails("deeper", 134, "call stack exhausted");
        check($depth > 100, "$depth calls");
    },
    "the collector" => function () use ($lib, $host, $upper) {
        gc_collect_cycles();
        $before = count($host->bodies);
        $body = function (string $data) use ($host, $upper) {
            gc_collect_cycles();
            $host->plugin($upper);
            return strtoupper($data);
        };
        $compiled = $host->compiled($body);
        for ($i = 0; $i < 20; $i++) {
            $plugin = $host->instance($compiled);
            $plugin->answers();
            $other = $host->plugin($body);
            $other->answers();
        }
        check(count($host->bodies) === $before + 2, count($host->bodies) . " functions");
        $lib->extism_compiled_plugin_free($compiled);
        $plugin->answers();
        unset($plugin, $other);
        check(count($host->bodies) === $before, count($host->bodies) . " functions at the end");
    },
    "a timeout while the callback sleeps" => function () use ($host) {
        $body = function (string $data) { usleep(200_000); return $data; };
        $start = hrtime(true);
        $host->plugin($body, ["timeout_ms" => 50])->fails("run", 134, "timeout");
        $took = (hrtime(true) - $start) / 1e9;
        check(0.2 <= $took && $took < 10, "it took $took s");
    },
    "cancel in the callback" => function () use ($lib, $host) {
        $body = function (string $data) use ($lib, &$plugin) {
            check($lib->extism_plugin_cancel($lib->extism_plugin_cancel_handle($plugin->token)), "no handle");
            return $data;
        };
        $plugin = $host->plugin($body);
        $plugin->fails("run_forever", 134, "timeout: cancelled");
    },
];

$failed = 0;
foreach ($tests as $name => $test) {
    try {
        $test();
        echo "ok: $name\n";
    } catch (Throwable $error) {
        echo "FAILED: $name: {$error->getMessage()}\n";
        $failed++;
    }
}
exit($failed === 0 ? 0 : 1);
