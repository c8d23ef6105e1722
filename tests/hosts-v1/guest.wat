;; The guest of the hosts' tests: functions that call the host, trap, or never end.
(module
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/user" "host" (func $host (param i64) (result i64)))
  (memory 1)

  ;; The host's answer to the input.
  (func (export "run") (local $answer i64)
    (local.set $answer (call $host (call $input)))
    (call $output (local.get $answer) (call $length (local.get $answer))))
  ;; The host is called, and what follows never ends.
  (func (export "run_forever")
    (drop (call $host (call $input)))
    (loop (br 0)))
  ;; The host is called at each depth of the stack, until there is no more of it.
  (func $deeper (export "deeper")
    (drop (call $host (i64.const 0)))
    (call $deeper))

  (func (export "fine") (result i32) (i32.const 7))
  (func (export "unreachable") unreachable)
  (func (export "outside") (i32.store (i32.const -1) (i32.const 1)))
  (func (export "divide") (drop (i32.div_s (i32.const 1) (i32.load (i32.const 0)))))
  (func $recurse (export "recurse") (call $recurse)))
