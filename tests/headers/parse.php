<?php
// Has PHP read a C header that a preprocessor has gone over, and find each of its functions in the library.

declare(strict_types=1);

[, $preprocessed, $library] = $argv;

$text = file_get_contents($preprocessed);
$lib = FFI::cdef($text, $library);
preg_match_all('/\b(extism_\w+)\(/', $text, $found);
$functions = array_unique($found[1]);
if (count($functions) <= 30) {
    throw new Exception("only " . count($functions) . " functions");
}
foreach ($functions as $name) {
    FFI::typeof($lib->$name);
}
if (FFI::sizeof($lib->type("ExtismVal")) !== 16 || $lib->extism_wasmer_version() === "") {
    throw new Exception("a type or a function is wrong");
}
echo "PHP reads ", count($functions), " functions\n";
