//! Inlining host functions changes nothing: the same module has the same results, outputs and traps with the functions
//! inlined and with the functions called.

use arbitrary::Unstructured;
use extism_testkit::generated;

use crate::noise::noise;

/// The module that `seed` makes, if it makes one.
fn generate(seed: u64) -> Option<Vec<u8>> {
    let noise: Vec<u8> = noise(seed).flat_map(u64::to_le_bytes).take(3000).collect();
    generated::module(&mut Unstructured::new(&noise)).ok()
}

#[test]
fn generated_modules_behave_the_same() {
    let (mut run, mut good) = (0, 0);
    for seed in 0..400 {
        let Some(wasm) = generate(seed) else { continue };
        println!("seed {seed}");
        if let Ok(answers) = generated::compare(&wasm) {
            run += 1;
            // A third of the calls are of the added function, which cannot fail.
            let without_trap = answers.iter().filter(|answer| answer.code != -1).count();
            good += usize::from(without_trap > answers.len() / 3);
        }
    }
    assert!(run > 200 && good > 100, "{run} run, {good} of them without a trap");
}

/// Each compiler alone, with instructions counted and not.
#[test]
fn generated_modules_behave_the_same_on_all_compilers() {
    let good = (1000..1100).filter_map(generate).filter(|wasm| generated::compare_compilers(wasm).is_ok()).count();
    assert!(good > 50, "{good}");
}
