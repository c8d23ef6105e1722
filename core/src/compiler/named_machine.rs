//! Machines by the names that users give: a target triple, and a CPU by level or features.

use thiserror::Error;
use wasmer::sys::{CpuFeature, Target, Triple};

use super::machine::Machine;

/// A target or CPU that does not exist or is not supported.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("target `{0}`: not a target such as `x86_64-unknown-linux-gnu` or `aarch64-unknown-linux-gnu`")]
    Target(String),
    #[error("cpu `{0}`: neither `native`, nor a level such as `x86-64-v2`, nor a list of features such as `avx2,bmi2`")]
    Cpu(String),
    #[error("cpu `native` is that of this machine, not of one with target `{0}`")]
    Native(String),
}

/// A named CPU level, and the features that it adds to the level before it.
type Level = (&'static str, &'static [&'static str]);

/// The levels of the x86-64 psABI, with those of their features that matter to compilers.
const X86_64: [Level; 3] = [
    ("x86-64-v2", &["sse2", "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"]),
    ("x86-64-v3", &["avx", "avx2", "bmi", "bmi2", "fma", "lzcnt"]),
    ("x86-64-v4", &["avx512f", "avx512dq", "avx512vl"]),
];

const AARCH64: [Level; 1] = [("armv8", &["neon"])];

impl Machine {
    /// The machine with the triple `target`, by default this machine's, and the CPU `cpu`: `native`, a level, or a list
    /// of features beyond the lowest level. The default is the lowest level of the architecture. On x86-64, every
    /// server since 2009 has it, and compilers fail with less.
    pub(crate) fn new(target: Option<&str>, cpu: Option<&str>) -> Result<Self, Error> {
        let triple = match target {
            Some(target) => target.parse().map_err(|_| Error::Target(target.to_owned()))?,
            None => Triple::host(),
        };
        // Only architectures with levels above are supported: a compiler of Wasmer's may panic on others.
        let levels: &[Level] = match triple.architecture.to_string().as_str() {
            "x86_64" => &X86_64,
            "aarch64" => &AARCH64,
            _ => return Err(Error::Target(triple.to_string())),
        };
        if cpu == Some("native") {
            let host = Self::host();
            let native = Self(Target::new(triple, *host.0.cpu_features()));
            return if native.name() == host.name() { Ok(native) } else { Err(Error::Native(native.name())) };
        }
        let (lowest, baseline) = levels[0];
        let cpu = cpu.unwrap_or(lowest);
        let names: Vec<&str> = match levels.iter().position(|(name, _)| *name == cpu) {
            Some(level) => levels[..=level].iter().flat_map(|(_, names)| names.iter().copied()).collect(),
            None => baseline.iter().copied().chain(cpu.split(',')).collect(),
        };
        let mut features = CpuFeature::set();
        for name in names {
            let known = levels.iter().any(|(_, names)| names.contains(&name));
            let feature = name.parse().ok().filter(|_| known);
            features.insert(feature.ok_or_else(|| Error::Cpu(cpu.to_owned()))?);
        }
        Ok(Self(Target::new(triple, features)))
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    fn features(target: Option<&str>, cpu: Option<&str>) -> Result<String, String> {
        let machine = Machine::new(target, cpu).map_err(|error| error.to_string())?;
        Ok(format!("{}: {}", machine.name(), machine.features().into_iter().collect::<Vec<_>>().join(" ")))
    }

    #[test]
    fn machines() {
        const X86: Option<&str> = Some("x86_64-unknown-linux-gnu");
        let v2 = "x86_64-linux: popcnt sse2 sse3 sse4.1 sse4.2 ssse3";
        assert_eq!(features(X86, None).as_deref(), Ok(v2));
        assert_eq!(features(X86, Some("x86-64-v2")).as_deref(), Ok(v2));
        let with_avx2 = "x86_64-linux: avx2 popcnt sse2 sse3 sse4.1 sse4.2 ssse3";
        assert_eq!(features(X86, Some("avx2")).as_deref(), Ok(with_avx2));
        let arm = Some("aarch64-unknown-linux-gnu");
        assert_eq!(features(arm, None).as_deref(), Ok("aarch64-linux: neon"));
        for (target, cpu, cause) in [
            (Some("pdp11"), None, "target `pdp11`: not a target"),
            (X86, Some("x86-64-v9"), "cpu `x86-64-v9`: neither"),
            (X86, Some("avx2,"), "cpu `avx2,`: neither"),
            (X86, Some("neon"), "cpu `neon`: neither"),
            (X86, Some("x86-64"), "cpu `x86-64`: neither"),
            (arm, Some("x86-64-v2"), "cpu `x86-64-v2`: neither"),
            (arm, Some("native"), "cpu `native` is that of this machine"),
        ] {
            let error = features(target, cpu).expect_err("no machine");
            if !(cfg!(target_arch = "aarch64") && cpu == Some("native")) {
                assert!(error.starts_with(cause), "{error}");
            }
        }
    }

    #[test]
    fn this_machine() {
        let native = Machine::new(None, Some("native")).expect("this one");
        assert_eq!((native.name(), native.features()), (Machine::host().name(), Machine::host().features()));
    }
}
