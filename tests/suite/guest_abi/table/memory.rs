//! Rows about the memory that a plugin and its host share: the input, blocks, and bytes.

/// The rows, as `table.rs` reads them.
pub(super) const TABLE: &str = r#"
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
"#;
