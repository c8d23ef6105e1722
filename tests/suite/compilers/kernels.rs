//! Plugins that compute give the same results with every compiler as native code does.

use super::usable;
use crate::host::{self, Context, fixture, manifest};

/// The answer of the fixture's `matmul`: the sum of the elements of its last product.
fn matmul() -> u64 {
    let element = |value: usize| value as f64;
    let left = |i: usize, j: usize| if (i, j) == (0, 0) { 7.0 } else { element((i + 2 * j) % 7) };
    let right = |i: usize, j: usize| element((3 * i + j) % 5);
    let mut sum = 0.0;
    for i in 0..256 {
        for j in 0..256 {
            sum += (0..256).map(|k| left(i, k) * right(k, j)).sum::<f64>();
        }
    }
    sum as u64
}

fn sha256() -> String {
    let data: Vec<u8> = (0..=255).cycle().take(16 << 20).collect();
    host::sha256(data)
}

#[test]
fn kernels_agree_with_the_machine() {
    let (sha256, matmul) = (sha256(), matmul().to_string());
    for compiler in usable() {
        for kernels in ["kernels.v0", "kernels.v1"] {
            let context = Context::new();
            let plugin = context.plugin(manifest(fixture(kernels), &format!("\"compiler\": \"{}\"", compiler.name())));
            assert_eq!(plugin.answer("sha256", ""), sha256, "{compiler:?} {kernels}");
            assert_eq!(plugin.answer("matmul", ""), matmul, "{compiler:?} {kernels}");
        }
    }
}
