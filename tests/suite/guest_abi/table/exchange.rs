//! Rows about what a plugin and its host tell each other: output, error, configuration, variables, HTTP and the log.

/// The rows, as `table.rs` reads them.
pub(super) const TABLE: &str = r#"
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
