;; The guest of the hosts' tests: functions that trap, overflow the stack, never end, and one that answers.
(module
  (memory 1)
  (func (export "fine") (result i32) (i32.const 7))
  (func (export "unreachable") unreachable)
  (func (export "outside") (i32.store (i32.const -1) (i32.const 1)))
  (func (export "divide") (drop (i32.div_s (i32.const 1) (i32.load (i32.const 0)))))
  (func $recurse (export "recurse") (call $recurse))
  (func (export "forever") (loop (br 0))))
