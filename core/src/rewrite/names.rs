//! The name section of the rewritten module: names that backtraces show.

use std::borrow::Cow;

use wasm_encoder::{NameMap, NameSection};
use wasmparser::Name;

use super::survey::Survey;
use super::wrappers::Wrappers;
use crate::module::demangle;

/// The module's name, and names of functions up to the first malformed one: a malformed name section is no error.
pub(super) fn names(module: &str, survey: &Survey<'_>, wrappers: &Wrappers) -> NameSection {
    let mut functions = NameMap::new();
    for subsection in survey.names.clone().into_iter().flatten() {
        if let Ok(Name::Function(names)) = subsection {
            let names = names.into_iter().map_while(Result::ok);
            for naming in names.filter(|naming| naming.index < survey.function_count()) {
                functions.append(naming.index, &shortened(naming.name));
            }
        }
    }
    for (index, wrapper) in wrappers.iter() {
        if let Some(function) = survey.imported_functions.get(wrapper.import as usize) {
            functions.append(index, &shortened(function.name));
        }
    }
    let mut section = NameSection::new();
    section.module(&shortened(module));
    section.functions(&functions);
    section
}

/// Cuts a name that is too long: a backtrace repeats names for every frame before it can be cut itself. A mangled name
/// would mean nothing when cut, so it is demangled instead.
fn shortened(name: &str) -> Cow<'_, str> {
    if name.len() <= demangle::MAX_NAME {
        return Cow::Borrowed(name);
    }
    let start = &name[..name.floor_char_boundary(demangle::MAX_NAME)];
    demangle::rust(name).map_or(Cow::Borrowed(start), Cow::Owned)
}
