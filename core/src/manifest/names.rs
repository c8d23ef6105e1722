//! Module names. A module has the name of its entry; without one, Extism 0.x derives it from the source, and 1.x calls
//! the module `main`. The main module is the only one, or the one with the name `main`, or the last: in 0.x the one
//! whose name sorts last, in 1.x the last entry.

use std::collections::BTreeSet;
use std::path::Path;

use super::checked::{MAIN, ModuleEntry, ModuleSource};
use super::error::Error;
use crate::abi::Abi;
use crate::error::Excerpt;

/// The name that a module has by its source, which is `main` if the source has no name.
pub(super) fn of_source(source: &ModuleSource<'_>) -> String {
    let name = match source {
        ModuleSource::Path(path) => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        ModuleSource::Data(_) | ModuleSource::Memory(_) => None,
        ModuleSource::Url(remote) => remote.url.rsplit('/').next().and_then(url_stem),
    };
    name.unwrap_or_else(|| MAIN.to_owned())
}

fn url_stem(segment: &str) -> Option<String> {
    let stem = segment.strip_suffix(".wasm").or_else(|| segment.strip_suffix(".wast"))?;
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// True if `path` ends in a file name, unlike `/` or `..`.
pub(super) fn has_file_name(path: &str) -> bool {
    Path::new(path).file_name().is_some()
}

/// Checks the names, and renames the main module to [`MAIN`].
pub(super) fn settle(modules: &mut [ModuleEntry<'_>], abi: Abi) -> Result<(), Error> {
    if let [only] = modules {
        only.name = MAIN.to_owned();
        return Ok(());
    }
    let has_main = modules.iter().any(|module| module.name == MAIN);
    match abi {
        Abi::V0 => {
            check(modules)?;
            if !has_main && let Some(last) = modules.iter_mut().max_by(|a, b| a.name.cmp(&b.name)) {
                last.name = MAIN.to_owned();
            }
            Ok(())
        }
        // The name that the last module has lost may be another's.
        Abi::V1 => {
            if !has_main && let Some(last) = modules.last_mut() {
                last.name = MAIN.to_owned();
            }
            check(modules)
        }
    }
}

/// Checks that the names are unique and not the host's.
fn check(modules: &[ModuleEntry<'_>]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for module in modules {
        if module.name.starts_with("extism:") && module.name != "extism:host/user" {
            return Err(Error::ReservedName(Excerpt::of(&module.name)));
        }
        if !seen.insert(module.name.as_str()) {
            return Err(Error::DuplicateName(Excerpt::of(&module.name)));
        }
    }
    Ok(())
}
