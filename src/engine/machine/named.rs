//! Machines as users name them: a target triple, and a CPU by its level or features.

use thiserror::Error;
use wasmer::sys::{CpuFeature, Target, Triple};

use super::Machine;

/// A machine that there is not.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("target `{0}`: not a target such as `x86_64-unknown-linux-gnu` or `aarch64-unknown-linux-gnu`")]
    Target(String),
    #[error("cpu `{0}`: neither `native`, nor a level such as `x86-64-v2`, nor a list of features such as `sse2,avx2`")]
    Cpu(String),
    #[error("cpu `native` is that of this machine, not of one with target `{0}`")]
    Native(String),
}

/// The levels of the x86-64 psABI: what each adds to the one before, as far as it matters for code.
const X86_64_LEVELS: [(&str, &[&str]); 4] = [
    ("x86-64", &["sse2"]),
    ("x86-64-v2", &["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"]),
    ("x86-64-v3", &["avx", "avx2", "bmi", "bmi2", "fma", "lzcnt"]),
    ("x86-64-v4", &["avx512f", "avx512dq", "avx512vl"]),
];

/// What portable code for x86-64 needs: every such server since 2009.
const X86_64_BASELINE: &str = "x86-64-v2";

/// What portable code for other architectures needs.
const OTHER_BASELINE: &str = "neon";

impl Machine {
    /// A machine with `target`, a triple, else that of this one; and with the features of `cpu`: `native`, a level of
    /// x86-64, or a list; else those of a baseline, so that code runs on any such machine.
    pub(crate) fn new(target: Option<&str>, cpu: Option<&str>) -> Result<Self, Error> {
        let host = Self::host();
        let triple = match target {
            Some(target) => target.parse().map_err(|_| Error::Target(target.to_owned()))?,
            None => Triple::host(),
        };
        let architecture = triple.architecture.to_string();
        // What there are compilers for here; others make them panic.
        if target.is_some() && !["x86_64", "aarch64"].contains(&architecture.as_str()) {
            return Err(Error::Target(triple.to_string()));
        }
        let is_x86_64 = architecture == "x86_64";
        let cpu = cpu.unwrap_or(if is_x86_64 { X86_64_BASELINE } else { OTHER_BASELINE });
        let level = X86_64_LEVELS.iter().position(|(name, _)| *name == cpu).filter(|_| is_x86_64);
        let names: Vec<&str> = match level {
            Some(level) => X86_64_LEVELS[..=level].iter().flat_map(|(_, names)| names.iter().copied()).collect(),
            None => cpu.split(',').collect(),
        };
        let machine = |features| Self(Target::new(triple.clone(), features));
        if cpu == "native" {
            let native = machine(*host.0.cpu_features());
            return if native.name() == host.name() { Ok(native) } else { Err(Error::Native(native.name())) };
        }
        let mut features = CpuFeature::set();
        for name in names {
            features.insert(name.parse().map_err(|_| Error::Cpu(cpu.to_owned()))?);
        }
        Ok(machine(features))
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
        assert_eq!(features(X86, Some("x86-64")).as_deref(), Ok("x86_64-linux: sse2"));
        assert_eq!(features(X86, Some("sse2,avx2")).as_deref(), Ok("x86_64-linux: avx2 sse2"));
        let arm = Some("aarch64-unknown-linux-gnu");
        assert_eq!(features(arm, None).as_deref(), Ok("aarch64-linux: neon"));
        for (target, cpu, cause) in [
            (Some("pdp11"), None, "target `pdp11`: not a target"),
            (X86, Some("x86-64-v9"), "cpu `x86-64-v9`: neither"),
            (X86, Some("sse2,"), "cpu `sse2,`: neither"),
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
