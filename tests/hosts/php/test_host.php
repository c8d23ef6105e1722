<?php
// The library inside PHP, by FFI, which parses the C header itself.

declare(strict_types=1);

[, $library, $guest, $wasm, $preprocessed, $header] = $argv;

const TRAPS = [
    "unreachable" => "unreachable",
    "outside" => "out of bounds",
    "divide" => "divide by zero",
    "recurse" => "call stack exhausted",
];

// A handler from before the library was loaded.
$seen = [];
pcntl_async_signals(true);
pcntl_signal(SIGUSR1, function () use (&$seen) { $seen[] = "USR1"; });

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

/** A plugin in a context of its own. */
class Plugin
{
    public FFI\CData $context;
    public int $id;

    public function __construct(public FFI $lib, string $manifest)
    {
        $this->context = $lib->extism_context_new();
        $this->id = $lib->extism_plugin_new($this->context, bytes($lib, $manifest), strlen($manifest), false);
        if ($this->id < 0) {
            throw new Exception($lib->extism_error($this->context, -1));
        }
    }

    public static function of(FFI $lib, string $path, array $keys = []): self
    {
        return new self($lib, json_encode(["wasm" => [["path" => $path]]] + $keys));
    }

    public function call(string $name, string $input = ""): int
    {
        $data = bytes($this->lib, $input);
        return $this->lib->extism_plugin_call($this->context, $this->id, $name, $data, strlen($input));
    }

    public function error(): string
    {
        return $this->lib->extism_error($this->context, $this->id) ?? "";
    }

    public function output(): string
    {
        $length = $this->lib->extism_plugin_output_length($this->context, $this->id);
        return FFI::string($this->lib->extism_plugin_output_data($this->context, $this->id), $length);
    }

    public function __destruct()
    {
        $this->lib->extism_context_free($this->context);
    }
}

function all_is_well(Plugin $plugin): void
{
    foreach (TRAPS as $name => $text) {
        check($plugin->call($name) === -1, "$name is no error");
        check(str_contains($plugin->error(), $text), $plugin->error());
        check($plugin->call("fine") === 7, "after $name: " . $plugin->error());
    }
}

function answers(FFI $lib, string $wasm): void
{
    check(str_starts_with($lib->extism_version(), "0.1."), $lib->extism_version());
    $plugin = Plugin::of($lib, $wasm);
    check($plugin->call("count_vowels", "hello world") === 0, $plugin->error());
    check(json_decode($plugin->output())->count === 3, $plugin->output());
}

// PHP looks for each function that a header declares: one that the library lacks is an exception here.
$lib = FFI::cdef(file_get_contents($header), $library);

$tests = [
    "the header as it is" => fn () => answers($lib, $wasm),
    "the header without lines for the preprocessor" => function () use ($header, $library, $wasm) {
        answers(FFI::cdef(preg_replace('/^#.*$/m', "", file_get_contents($header)), $library), $wasm);
    },
    "the preprocessed header" => fn () => answers(FFI::cdef(file_get_contents($preprocessed), $library), $wasm),
    "a manifest that is none" => function () use ($lib, $wasm) {
        try {
            new Plugin($lib, json_encode(["wasm" => [["pat" => $wasm]]]));
        } catch (Exception $error) {
            return check(str_contains($error->getMessage(), "`path`"), $error->getMessage());
        }
        throw new Exception("it is a plugin");
    },
    "traps" => fn () => all_is_well(Plugin::of($lib, $guest)),
    "timeout" => function () use ($lib, $guest) {
        $plugin = Plugin::of($lib, $guest, ["timeout_ms" => 50]);
        $start = hrtime(true);
        check($plugin->call("forever") === -1, "it has ended");
        check(str_contains($plugin->error(), "timeout"), $plugin->error());
        $took = (hrtime(true) - $start) / 1e9;
        check(0.05 <= $took && $took < 5, "it took $took s");
        check($plugin->call("fine") === 7, $plugin->error());
    },
    "cancel handles" => function () use ($lib, $guest) {
        $plugin = Plugin::of($lib, $guest);
        $handle = $lib->extism_plugin_cancel_handle($plugin->context, $plugin->id);
        check(!$lib->extism_plugin_cancel($handle), "nothing runs");
        $lib->extism_cancel_handle_free($handle);
    },
    "signals" => function () use ($lib, $guest, &$seen) {
        all_is_well(Plugin::of($lib, $guest));
        pcntl_signal(SIGUSR2, function () use (&$seen) { $seen[] = "USR2"; });
        posix_kill(posix_getpid(), SIGUSR1);
        posix_kill(posix_getpid(), SIGUSR2);
        check($seen === ["USR1", "USR2"], implode(" ", $seen));
    },
    "fork" => function () use ($lib, $guest) {
        $plugin = Plugin::of($lib, $guest);
        $timed = Plugin::of($lib, $guest, ["timeout_ms" => 50]);
        check($timed->call("forever") === -1, "it has ended");
        $child = pcntl_fork();
        if ($child === 0) {
            pcntl_alarm(20);
            try {
                all_is_well($plugin);
                check($timed->call("forever") === -1 && str_contains($timed->error(), "timeout"), $timed->error());
            } catch (Throwable $error) {
                fwrite(STDERR, "in the child: " . $error->getMessage() . "\n");
                exit(1);
            }
            exit(0);
        }
        pcntl_waitpid($child, $status);
        check($status === 0, "the child ended with status $status");
        all_is_well($plugin);
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
