//! The choice of a compiler for a plugin: by its manifest, else the program (`extism_compiler_set`), else
//! `EXTISM_COMPILER`, else the first built-in one of the list.

use std::ffi::CStr;

use super::backend::Backend;
use super::error::Error;
use super::list::{BACKENDS, find};
use crate::environment;
use crate::error::Excerpt;
use crate::sync::RwLock;

/// The program's choice, if it has made one.
static CHOSEN: RwLock<Option<&'static Backend>> = RwLock::new(None);

/// Makes the compiler called `name` the choice for plugins whose manifest names none. `None` takes the choice back.
/// Returns false if the compiler is not built in, or there is none of that name; the choice then stays as it was. A
/// library without compilers accepts all names of the list, as code of each may come from the cache.
#[must_use]
pub fn choose(name: Option<&str>) -> bool {
    let backend = name.and_then(find);
    let is_known = name.is_none() || backend.is_some();
    if is_known {
        *CHOSEN.write() = backend;
    }
    is_known
}

/// The name of the compiler for the next plugin whose manifest names none; `headless` if no compiler is built in and
/// none was chosen; `None` if the environment names one that is not there.
pub fn chosen() -> Option<&'static CStr> {
    select(None).ok().map(|backend| backend.map_or(c"headless", |backend| backend.name))
}

/// The compiler for a plugin whose manifest names `wanted`. `None` in a library without compilers, if none is named or
/// chosen; an error if the manifest or the environment names one that cannot be chosen.
pub(crate) fn select(wanted: Option<&str>) -> Result<Option<&'static Backend>, Error> {
    if let Some(name) = wanted {
        return named("the manifest's compiler", name).map(Some);
    }
    if let Some(chosen) = *CHOSEN.read() {
        return Ok(Some(chosen));
    }
    match environment::COMPILER.value() {
        Some(name) => named("EXTISM_COMPILER", name).map(Some),
        None => Ok(BACKENDS.iter().find(|backend| backend.is_built_in())),
    }
}

/// The compiler called `name`; `by` is the setting that names it, for the error.
pub(crate) fn named(by: &'static str, name: &str) -> Result<&'static Backend, Error> {
    find(name).ok_or_else(|| Error::UnknownBackend { by, name: Excerpt::of(name) })
}
