//! The prices of what a module consists of, in nanoseconds of one core.

/// A type, which gets a trampoline for calling functions of it.
pub(super) const TYPE: u64 = 40_000;
/// A function, imported or not. An imported one gets a trampoline that calls the host.
pub(super) const FUNCTION: u64 = 25_000;
/// A parameter or result beyond the first [`IN_REGISTERS`], for a function and again for each call of it.
pub(super) const ARGUMENT: u64 = 4_000;
/// Each pair of parameters, and each pair of results, in a call, or in the trampoline of a type or an imported
/// function.
pub(super) const PAIR_OF_ARGUMENTS: u64 = 12;
/// The number of parameters and results that are passed in registers, and cost next to nothing.
pub(super) const IN_REGISTERS: u64 = 6;
/// A parameter or result of a block, or a value that a branch passes on.
pub(super) const VALUE: u64 = 600;
pub(super) const LOCAL: u64 = 200;
pub(super) const INSTRUCTION: u64 = 3_000;
/// An instruction that can trap or makes a libcall.
pub(super) const DEAR_INSTRUCTION: u64 = 14_000;
pub(super) const CALL: u64 = 6_000;
pub(super) const INDIRECT_CALL: u64 = 35_000;
/// A call of an imported function that may be inlined (`inline.rs`): the first
/// [`MAX_INLINED`](crate::rewrite::code::MAX_INLINED) of its function.
pub(super) const CALL_OF_IMPORT: u64 = 40_000;
/// A target of a jump table. This price is for its memory, some hundred bytes: its time is a hundredth of it.
pub(super) const TARGET: u64 = 10_000;
/// The code that is added at the end of a basic block if instructions are counted.
pub(super) const COUNTED: u64 = 6_000;
/// A value that stays on the operand stack from one basic block to the next.
pub(super) const KEPT_VALUE: u64 = 90;
/// A value that stays on the operand stack, or in a local that is read later, over a call. The register allocator
/// compares it with the results of all calls that it stays over.
pub(super) const OVER_CALL: u64 = 60;
/// The same for calls that first look up an address: libcalls and indirect calls.
pub(super) const OVER_LIBCALL: u64 = 280;
/// A kept local: one that a basic block reads but does not write before. The price is for each basic block of the
/// function, as the compiler may look for the local in all of them.
pub(super) const KEPT_LOCAL: u64 = 100;
/// A kept local, for each loop of the function.
pub(super) const KEPT_LOCAL_IN_LOOP: u64 = 3_000;
/// Each loop costs the square of the number of kept locals, divided by this: they leave a list one by one.
pub(super) const PAIRS_IN_LOOP: u64 = 2;
