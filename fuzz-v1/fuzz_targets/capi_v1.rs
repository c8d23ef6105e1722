//! The functions of the C interface of Extism 1.x in any order, on plugins, compiled plugins, functions, handles and texts
//! that exist, were freed, are of another kind, or never existed, leave the process alive. Each answer is the documented
//! one, and user data is freed once, when the last that has its function goes.
//!
//! Host functions, what frees user data, and what gets log lines take steps themselves: they make, call and free plugins,
//! also the one that calls them. Of this package's library, `world.rs` has what the caller knows, and `steps.rs` the steps.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use extism_fuzz_v1::environment;
use extism_fuzz_v1::steps::{Step, show_panics, take_all};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: { environment::isolate(&[]); show_panics() }, |steps: Steps| {
    let mut number = steps.order;
    take_all(steps.steps, || {
        number = number.wrapping_mul(5).wrapping_add(3);
        number
    });
});

#[derive(Debug)]
struct Steps {
    /// In which order all is freed at the end.
    order: u8,
    steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Steps {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let order = noise.arbitrary()?;
        let mut steps = Vec::new();
        while steps.len() < 80 && !noise.is_empty() {
            steps.push(Step::arbitrary(noise)?);
        }
        Ok(Self { order, steps })
    }
}
