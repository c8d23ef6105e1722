//! The table of calls: the results of every function of both ABIs, up to its edges and over them.

use super::Abi;
use crate::host::Answer;

/// A row is a line: calls as in `calls.rs`, their result in 0.x, and their result in 1.x.
///
/// - a number: the last value; no error
/// - `ok`: no error and no output
/// - `output: TEXT`, `error: TEXT`: output or error that the plugin's caller sees after a result of 0
/// - `! TEXT`: the call fails with an error that contains this text
/// - `-`: the ABI has no such function
///
/// The input is 16 bytes: the memory's size, then `abcdefgh`.
const TABLE: &str = r#"
    # The input
    input_length()                                            | 16 | 16
    eq(load_u64(input_offset()), end)                         | 1 | 1
    length(input)                                             | 16 | 16
    input_load_u8(8)                                          | 0x61 | 0x61
    input_load_u8(15)                                         | 0x68 | 0x68
    input_load_u8(16)                                         | ! out of bounds memory access | 0
    input_load_u8(-1)                                         | ! out of bounds memory access | 0
    input_load_u8(min)                                        | ! out of bounds memory access | 0
    input_load_u8(max)                                        | ! out of bounds memory access | 0
    input_load_u8(0x100000000)                                | ! out of bounds memory access | 0
    input_load_u8(0x100000008)                                | ! out of bounds memory access | 0
    input_load_u8(sub(block, input))                          | ! out of bounds memory access | 0
    input_load_u8(sub(end, input)-1)                          | ! out of bounds memory access | 0
    input_load_u8(sub(0, input))                              | ! out of bounds memory access | 0
    input_load_u64(8)                                         | 0x6867666564636261 | 0x6867666564636261
    eq(input_load_u64(0), end)                                | 1 | 1
    and(input_load_u64(7), 0xff00)                            | 0x6100 | 0x6100
    input_load_u64(9)                                         | ! out of bounds memory access | 0
    input_load_u64(15)                                        | ! out of bounds memory access | 0
    input_load_u64(16)                                        | ! out of bounds memory access | 0
    input_load_u64(-1)                                        | ! out of bounds memory access | 0
    input_load_u64(-7)                                        | ! out of bounds memory access | 0
    input_load_u64(-8)                                        | ! out of bounds memory access | 0
    input_load_u64(min)                                       | ! out of bounds memory access | 0
    input_load_u64(max)                                       | ! out of bounds memory access | 0
    input_load_u64(max-7)                                     | ! out of bounds memory access | 0
    input_load_u64(0x100000000)                               | ! out of bounds memory access | 0
    input_load_u64(0x100000008)                               | ! out of bounds memory access | 0
    input_load_u64(sub(block, input))                         | ! out of bounds memory access | 0
    input_load_u64(sub(0, input))                             | ! out of bounds memory access | 0
    input_set(block, 4); input_length()                       | - | 4
    input_set(block+8, 4); input_load_u8(0)                   | - | 0x49
    input_set(block+8, 4); eq(input_offset(), block+8)        | - | 1
    input_set(block, 4); input_load_u8(3)                     | - | 0x44
    input_set(block, 4); input_load_u8(4)                     | - | 0
    input_set(block, 8); input_load_u64(0)                    | - | 0x4847464544434241
    input_set(block, 7); input_load_u64(0)                    | - | 0
    input_set(end-1, 1); input_length()                       | - | 1
    input_set(0, 0); input_length()                           | - | 0
    input_set(end, 1); input_length()                         | - | 16
    input_set(end-1, 2); input_length()                       | - | 16
    input_set(block, -1); input_length()                      | - | 16
    input_set(-1, 1); input_length()                          | - | 16
    input_set(-1, 2); input_length()                          | - | 16
    input_set(min, min); input_length()                       | - | 16
    input_set(max, max); input_length()                       | - | 16
    input_set(block, 0x100000000); input_length()             | - | 16
    input_set(0x100000000, 4); input_length()                 | - | 16

    # Blocks
    length(alloc(1))                                          | 1 | 1
    length(alloc(7))                                          | 7 | 7
    length(alloc(8))                                          | 8 | 8
    length(alloc(9))                                          | 9 | 9
    and(alloc(3), 7)                                          | 0 | 0
    and(alloc(24), 7)                                         | 0 | 0
    ne(alloc(8), alloc(8))                                    | 1 | 1
    load_u64(alloc(8))                                        | 0 | 0
    eq(alloc(0), 0)                                           | 0 | 1
    ne(alloc(0), alloc(0))                                    | 1 | 0
    length(alloc(0))                                          | 0 | 0
    lt(alloc(0), end)                                         | 1 | 1
    alloc(-1)                                                 | ! failed to grow memory by 18446744073709551615 | 0
    alloc(-7)                                                 | ! failed to grow memory by 18446744073709551609 | 0
    alloc(-8)                                                 | ! failed to grow memory by 18446744073709551608 | 0
    alloc(min)                                                | ! failed to grow memory by 9223372036854775808 | 0
    alloc(max)                                                | ! failed to grow memory by 9223372036854775807 | 0
    alloc(0x100000000)                                        | ! failed to grow memory by 4294967296 | 0
    alloc(0x100000001)                                        | ! failed to grow memory by 4294967297 | 0
    alloc(0xffffffff)                                         | ! failed to grow memory by 4294967295 | 0
    alloc(-1); length(alloc(5))                               | ! failed to grow memory by | 5
    length(0)                                                 | 0 | 0
    length(block)                                             | 16 | 16
    length(block+1)                                           | ! Unable to find length for offset | 0
    length(block+8)                                           | ! Unable to find length for offset | 0
    length(block-1)                                           | ! Unable to find length for offset | 0
    length(block+0x100000000)                                 | ! Unable to find length for offset | 0
    length(freed)                                             | ! Unable to find length for offset | 0
    length(1)                                                 | ! Unable to find length for offset 1 | 0
    length(end-8)                                             | ! Unable to find length for offset | 0
    length(end)                                               | ! Unable to find length for offset | 0
    length(-1)                                                | ! Unable to find length for offset | 0
    length(min)                                               | ! Unable to find length for offset | 0
    length(max)                                               | ! Unable to find length for offset 9223372036854775807 | 0
    length_unsafe(0)                                          | - | 0
    length_unsafe(block)                                      | - | 16
    length_unsafe(block+8)                                    | - | 0
    length_unsafe(freed)                                      | - | 0
    length_unsafe(end)                                        | - | 0
    length_unsafe(-1)                                         | - | 0
    length_unsafe(min)                                        | - | 0
    length_unsafe(max)                                        | - | 0
    free(block); length(block)                                | ! Unable to find length for offset | 0
    free(block); free(block)                                  | ok | ok
    free(block); load_u8(block)                               | 0x41 | 0x41
    free(block); store_u8(block, 7); load_u8(block)           | 7 | 7
    free(freed); length(block)                                | 16 | 16
    free(0); length(block)                                    | 16 | 16
    free(1); length(block)                                    | 16 | 16
    free(block+8); length(block)                              | 16 | 16
    free(block-1); length(block)                              | 16 | 16
    free(block+0x100000000); length(block)                    | 16 | 16
    free(end-8); free(end); free(end+8); length(block)        | 16 | 16
    free(-1); free(min); free(max); length(block)             | 16 | 16
    free(input); input_length()                               | 0 | 0
    free(input+8); input_length()                             | 16 | 16

    # Bytes
    load_u8(0)                                                | 0 | 0
    load_u8(block)                                            | 0x41 | 0x41
    load_u8(block+15)                                         | 0x50 | 0x50
    load_u8(freed)                                            | 0 | 0
    load_u8(end-1)                                            | 0 | 0
    load_u8(end)                                              | ! out of bounds memory access | 0
    load_u8(end+1)                                            | ! out of bounds memory access | 0
    load_u8(-1)                                               | ! out of bounds memory access | 0
    load_u8(min)                                              | ! out of bounds memory access | 0
    load_u8(max)                                              | ! out of bounds memory access | 0
    load_u8(0x100000000)                                      | ! out of bounds memory access | 0
    load_u8(block+0x100000000)                                | ! out of bounds memory access | 0
    load_u8(block-0x100000000)                                | ! out of bounds memory access | 0
    load_u64(0)                                               | 0 | 0
    load_u64(block)                                           | 0x4847464544434241 | 0x4847464544434241
    load_u64(block+1)                                         | 0x4948474645444342 | 0x4948474645444342
    load_u64(block+8)                                         | 0x504f4e4d4c4b4a49 | 0x504f4e4d4c4b4a49
    load_u64(end-8)                                           | 0 | 0
    load_u64(end-7)                                           | ! out of bounds memory access | 0
    load_u64(end-1)                                           | ! out of bounds memory access | 0
    load_u64(end)                                             | ! out of bounds memory access | 0
    load_u64(-1)                                              | ! out of bounds memory access | 0
    load_u64(-7)                                              | ! out of bounds memory access | 0
    load_u64(-8)                                              | ! out of bounds memory access | 0
    load_u64(min)                                             | ! out of bounds memory access | 0
    load_u64(max)                                             | ! out of bounds memory access | 0
    load_u64(max-7)                                           | ! out of bounds memory access | 0
    load_u64(0xfffffff8)                                      | ! out of bounds memory access | 0
    load_u64(0x100000000)                                     | ! out of bounds memory access | 0
    load_u64(block+0x100000000)                               | ! out of bounds memory access | 0
    store_u8(block, 7); load_u8(block)                        | 7 | 7
    store_u8(block, 7); load_u8(block+1)                      | 0x42 | 0x42
    store_u8(block+1, 7); load_u8(block)                      | 0x41 | 0x41
    store_u8(block, 0x1ff); load_u64(block)                   | 0x48474645444342ff | 0x48474645444342ff
    store_u8(block, -2); load_u8(block)                       | 0xfe | 0xfe
    store_u8(0, 9); load_u8(0)                                | 9 | 9
    store_u8(end-1, 9); load_u8(end-1)                        | 9 | 9
    store_u8(end, 9); load_u8(end)                            | ! out of bounds memory access | 0
    store_u8(-1, 9); load_u8(-1)                              | ! out of bounds memory access | 0
    store_u8(min, 9)                                          | ! out of bounds memory access | ok
    store_u8(max, 9)                                          | ! out of bounds memory access | ok
    store_u8(0x100000000, 9); load_u8(0)                      | ! out of bounds memory access | 0
    store_u8(block+0x100000000, 9); load_u8(block)            | ! out of bounds memory access | 0x41
    store_u64(block, -2); load_u64(block)                     | -2 | -2
    store_u64(block+4, -1); load_u64(block)                   | 0xffffffff44434241 | 0xffffffff44434241
    store_u64(block+4, -1); load_u64(block+8)                 | 0x504f4e4dffffffff | 0x504f4e4dffffffff
    store_u64(0, 9); load_u8(0)                               | 9 | 9
    store_u64(end-8, -1); load_u8(end-1)                      | 0xff | 0xff
    store_u64(end-7, -1); load_u64(end-8)                     | ! out of bounds memory access | 0
    store_u64(end-1, -1); load_u8(end-1)                      | ! out of bounds memory access | 0
    store_u64(end, -1)                                        | ! out of bounds memory access | ok
    store_u64(-1, -1)                                         | ! out of bounds memory access | ok
    store_u64(-8, -1)                                         | ! out of bounds memory access | ok
    store_u64(-7, -1); load_u64(0)                            | ! out of bounds memory access | 0
    store_u64(min, -1)                                        | ! out of bounds memory access | ok
    store_u64(max, -1)                                        | ! out of bounds memory access | ok
    store_u64(max-7, -1)                                      | ! out of bounds memory access | ok
    store_u64(0x100000000, -1); load_u64(0)                   | ! out of bounds memory access | 0
    store_u64(block+0x100000000, -1); load_u8(block)          | ! out of bounds memory access | 0x41

    # The output
    output_set(block, 16)                                     | output: ABCDEFGHIJKLMNOP | output: ABCDEFGHIJKLMNOP
    output_set(block+4, 4)                                    | output: EFGH | output: EFGH
    output_set(block, 16); output_set(block+15, 1)            | output: P | output: P
    output_set(input+8, 8)                                    | output: abcdefgh | output: abcdefgh
    output_set(block, 16); output_set(block, 0)               | ok | ok
    output_set(0, 0)                                          | ok | ok
    output_set(end, 0)                                        | ok | ok
    store_u8(end-1, 0x5a); output_set(end-1, 1)               | output: Z | output: Z
    output_set(block, 2); output_set(end, 1)                  | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(end-1, 2)                | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(end+1, 0)                | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(block, end)              | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(block, -1)               | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(block, min)              | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(block, max)              | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(block, 0x100000000)      | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(0x100000000, 1)          | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(-1, 0)                   | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(-1, 1)                   | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(-1, 2)                   | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(min, min)                | ! out of bounds memory access | output: AB
    output_set(block, 2); output_set(max, max)                | ! out of bounds memory access | output: AB
    output_set(block, 16); free(block)                        | output: ABCDEFGHIJKLMNOP | output: ABCDEFGHIJKLMNOP
    output_set(block+4, 4); free(block)                       | output: EFGH | output: EFGH
    output_set(block, 4); free(block); store_u64(alloc(64)+24, 0) | output: ABCD | output: ABCD
    output_set(block+4, 4); free(block); free(block); store_u64(alloc(64)+24, 0) | output: EFGH | output: EFGH
    output_length()                                           | - | 0
    output_set(block, 4); output_length()                     | - | 4
    output_set(block, 4); output_set(end, 1); output_length() | - | 4
    output_offset()                                           | - | 0
    output_set(block+4, 4); eq(output_offset(), block+4)      | - | 1

    # The error
    error_set("oops")                                         | error: oops | error: oops
    error_set("a \22 \5c"); error_set("a \5c n")              | error: a \ n | error: a \ n
    error_set("caf\c3\a9")                                    | error: café | error: café
    error_set("nul\00here")                                   | error: nul\0here | error: nul\0here
    error_set("oops"); error_set(0)                           | ok | ok
    error_set(0)                                              | ok | ok
    error_set(block); free(block); store_u64(alloc(16), -1)   | error: ABCDEFGHIJKLMNOP | error: ABCDEFGHIJKLMNOP
    error_set("a\ffb")                                        | ! invalid utf-8 sequence | error: a�b
    error_set(block+1)                                        | ! Invalid memory offset | ok
    error_set(freed)                                          | ! Invalid memory offset | ok
    error_set(1)                                              | ! Invalid memory offset: 1 | ok
    error_set(end)                                            | ! Invalid memory offset | ok
    error_set(-1)                                             | ! Invalid memory offset | ok
    error_set(min)                                            | ! Invalid memory offset: 9223372036854775808 | ok
    error_set(max)                                            | ! Invalid memory offset: 9223372036854775807 | ok
    error_set(block+0x100000000)                              | ! Invalid memory offset | ok
    error_set("oops"); error_set(end)                         | ! Invalid memory offset | error: oops
    error_get()                                               | - | 0
    error_set(block); eq(error_get(), block); error_set(0)    | - | 1
    error_set("oops"); load_u8(error_get()); error_set(0)     | - | 0x6f
    error_set(block); error_set(0); error_get()               | - | 0

    # Everything anew
    reset(); input_length()                                   | - | 0
    reset(); input_offset()                                   | - | 0
    reset(); input_load_u8(0)                                 | - | 0
    reset(); length(block)                                    | - | 0
    reset(); load_u64(block)                                  | - | 0
    reset(); length(alloc(5))                                 | - | 5
    reset(); eq(memory_bytes(), end)                          | - | 1
    store_u8(end-1, 7); reset(); load_u8(end-1)               | - | 0
    output_set(block, 4); reset()                             | - | ok
    output_set(block, 4); reset(); output_length()            | - | 0
    error_set("oops"); reset()                                | - | ok
    error_set("oops"); reset(); error_get()                   | - | 0
    eq(memory_bytes(), end)                                   | - | 1
    and(memory_bytes(), 0xffff)                               | - | 0

    # Configuration
    output_set(config_get("key"), 5)                          | output: value | output: value
    length(config_get("key"))                                 | 5 | 5
    ne(config_get("key"), config_get("key"))                  | 1 | 1
    config_get("KEY")                                         | 0 | 0
    config_get("ke")                                          | 0 | 0
    config_get("key\00")                                      | 0 | 0
    length(config_get("empty"))                               | 0 | 0
    eq(config_get("empty"), 0)                                | 0 | 0
    output_set(config_get(0), 7)                              | ! Invalid memory offset: 0 | output: nothing
    config_get(block)                                         | 0 | 0
    config_get(block+1)                                       | ! Invalid memory offset | ! invalid handle offset for config key
    config_get(freed)                                         | ! Invalid memory offset | ! invalid handle offset for config key
    config_get(end)                                           | ! Invalid memory offset | ! invalid handle offset for config key
    config_get(-1)                                            | ! Invalid memory offset | ! invalid handle offset for config key
    config_get(min)                                           | ! Invalid memory offset | ! invalid handle offset for config key
    config_get("\ff")                                         | ! invalid utf-8 sequence | ! invalid utf-8 sequence
    config_get(block); length(block)                          | 16 | 0
    config_get(block); free(block); free(block)               | 0 | 0

    # Variables
    var_set("a", "value"); output_set(var_get("a"), 5)        | output: value | output: value
    var_set("b", "\00\ff"); load_u8(var_get("b")+1)           | 0xff | 0xff
    var_set("c", "1"); var_set("c", "22"); length(var_get("c")) | 2 | 2
    var_set("d", "1"); var_set("d", 0); var_get("d")          | 0 | 0
    var_set("none", 0); var_get("none")                       | 0 | 0
    var_get("none")                                           | 0 | 0
    var_set("e", "1"); ne(var_get("e"), var_get("e"))         | 1 | 1
    var_set("f", "1"); store_u8(var_get("f"), 0); load_u8(var_get("f")) | 0x31 | 0x31
    var_set("g", "1"); var_set("g", alloc(0)); length(var_get("g")) | 0 | 0
    var_set("h", "1"); var_set("h", alloc(0)); eq(var_get("h"), 0) | 0 | 1
    var_get(0)                                                | ! Invalid memory offset: 0 | 0
    var_set(0, "1"); length(var_get(0))                       | ! Invalid memory offset: 0 | 1
    var_get(block+1)                                          | ! Invalid memory offset | ! invalid handle offset for var key
    var_get(freed)                                            | ! Invalid memory offset | ! invalid handle offset for var key
    var_get(end)                                              | ! Invalid memory offset | ! invalid handle offset for var key
    var_get(-1)                                               | ! Invalid memory offset | ! invalid handle offset for var key
    var_get("\ff")                                            | ! invalid utf-8 sequence | ! invalid utf-8 sequence
    var_set(block+1, 0)                                       | ! Invalid memory offset | ! invalid handle offset for var key
    var_set(freed, "1")                                       | ! Invalid memory offset | ! invalid handle offset for var key
    var_set(min, "1")                                         | ! Invalid memory offset | ! invalid handle offset for var key
    var_set("\ff", "1")                                       | ! invalid utf-8 sequence | ! invalid utf-8 sequence
    var_set("i", block+1)                                     | ! Invalid memory offset | ! invalid handle offset for var value
    var_set("i", freed)                                       | ! Invalid memory offset | ! invalid handle offset for var value
    var_set("i", end)                                         | ! Invalid memory offset | ! invalid handle offset for var value
    var_set("i", -1)                                          | ! Invalid memory offset | ! invalid handle offset for var value
    var_set("j", block); length(block)                        | 16 | 0
    var_set("j", block); free(block); free(block)             | ok | ok
    var_set(block, "1"); length(block)                        | 16 | 0
    var_set(block, 0); length(block)                          | 16 | 0
    var_set(block, block); length(block)                      | 16 | 0
    var_get(block); length(block)                             | 16 | 0
    var_set("k", input); input_length()                       | 16 | 16

    # HTTP: only what is found out before any connection
    http_request(0, 0)                                        | ! Invalid memory offset: 0 | !
    http_request(block+1, 0)                                  | ! Invalid memory offset | ! invalid handle offset for http request
    http_request(freed, 0)                                    | ! Invalid memory offset | ! invalid handle offset for http request
    http_request(end, 0)                                      | ! Invalid memory offset | ! invalid handle offset for http request
    http_request(-1, 0)                                       | ! Invalid memory offset | ! invalid handle offset for http request
    http_request("{}", block+1)                               | ! Invalid memory offset | ! invalid handle offset for http body
    http_request("{}", freed)                                 | ! Invalid memory offset | ! invalid handle offset for http body
    http_request("{}", -1)                                    | ! Invalid memory offset | ! invalid handle offset for http body
    http_status_code()                                        | 0 | 0
    http_headers()                                            | - | 0

    # The log
    log_error("text")                                         | ok | ok
    log_warn("text")                                          | ok | ok
    log_info("text")                                          | ok | ok
    log_debug("text")                                         | ok | ok
    log_trace("text")                                         | - | ok
    log_error("\ff"); log_warn("\ff"); log_info("\ff"); log_debug("\ff") | ok | ok
    log_trace("\ff")                                          | - | ok
    log_error(0)                                              | ! Invalid memory offset: 0 | ok
    log_warn(0)                                               | ! Invalid memory offset: 0 | ok
    log_info(0)                                               | ! Invalid memory offset: 0 | ok
    log_debug(0)                                              | ! Invalid memory offset: 0 | ok
    log_trace(0)                                              | - | ok
    log_error(block+1)                                        | ! Invalid memory offset | ! invalid handle offset for log message
    log_warn(freed)                                           | ! Invalid memory offset | ! invalid handle offset for log message
    log_info(end)                                             | ! Invalid memory offset | ! invalid handle offset for log message
    log_debug(-1)                                             | ! Invalid memory offset | ! invalid handle offset for log message
    log_trace(min)                                            | - | ! invalid handle offset for log message
    log_error(block); length(block)                           | 16 | 0
    log_warn(block); length(block)                            | 16 | 0
    log_info(block); length(block)                            | 16 | 0
    log_debug(block); length(block)                           | 16 | 0
    log_trace(block); length(block)                           | - | 0
    log_info(block); free(block); free(block)                 | ok | ok
    log_info(input); input_load_u8(8)                         | 0x61 | 0x61
    output_set(block, 16); log_info(block); store_u64(alloc(16), 0) | output: ABCDEFGHIJKLMNOP | output: ABCDEFGHIJKLMNOP
    lt(get_log_level(), 0x80000000)                           | - | 1
"#;

/// The table's rows for `abi`: calls and their expected results.
pub(super) fn rows(abi: Abi) -> Vec<(&'static str, Expected<'static>)> {
    let lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.filter_map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [calls, v0, v1] = columns[..] else { panic!("a row has three columns: {line}") };
        Expected::parse(if abi == Abi::V0 { v0 } else { v1 }).map(|expected| (calls, expected))
    });
    rows.collect()
}

/// The expected result of a row's calls in one ABI.
#[derive(Debug)]
pub(super) enum Expected<'a> {
    Value(i64),
    Nothing,
    Output(&'a str),
    Error(&'a str),
    Failure(&'a str),
}

impl<'a> Expected<'a> {
    /// `None` if the ABI has no such function.
    fn parse(text: &'a str) -> Option<Self> {
        Some(match text {
            "-" => return None,
            "ok" => Self::Nothing,
            _ => match text.split_once(' ').unwrap_or((text, "")) {
                ("output:", output) => Self::Output(output),
                ("error:", error) => Self::Error(error),
                ("!", reason) => Self::Failure(reason),
                _ => Self::Value(number(text)),
            },
        })
    }

    pub(super) fn fits(&self, answer: &Answer) -> bool {
        let seen = (answer.code, answer.error.as_deref(), answer.output.as_slice());
        match *self {
            Self::Value(value) => seen == (0, None, &value.to_le_bytes()),
            Self::Nothing => seen == (0, None, b""),
            Self::Output(output) => seen == (0, None, output.as_bytes()),
            Self::Error(error) => seen == (0, Some(error), b""),
            Self::Failure(reason) => {
                answer.code == -1 && answer.error().contains("Call failed") && answer.error().contains(reason)
            }
        }
    }
}

fn number(text: &str) -> i64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map(u64::cast_signed),
        None => text.parse(),
    };
    number.unwrap_or_else(|error| panic!("`{text}`: {error}"))
}
