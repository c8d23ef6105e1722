//! Module names by the rule of Extism 0.x. A module has the name of its entry, or one derived from its source. The main
//! module is the only one, or the one with the name `main`, or the one whose name sorts last.

use std::collections::BTreeSet;
use std::path::Path;

use super::checked::{MAIN, ModuleEntry, ModuleSource};
use super::error::Error;
use crate::error::Excerpt;

/// The name of a module whose entry has none.
pub(super) fn default_name(source: &ModuleSource<'_>) -> String {
    let name = match source {
        ModuleSource::Path(path) => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        ModuleSource::Data(_) => None,
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
pub(super) fn settle(modules: &mut [ModuleEntry<'_>]) -> Result<(), Error> {
    if let [only] = modules {
        only.name = MAIN.to_owned();
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for module in modules.iter() {
        if module.name.starts_with("extism:") && module.name != "extism:host/user" {
            return Err(Error::ReservedName(Excerpt::of(&module.name)));
        }
        if !seen.insert(module.name.as_str()) {
            return Err(Error::DuplicateName(Excerpt::of(&module.name)));
        }
    }
    if !seen.contains(MAIN)
        && let Some(last) = modules.iter_mut().max_by(|a, b| a.name.cmp(&b.name))
    {
        last.name = MAIN.to_owned();
    }
    Ok(())
}
