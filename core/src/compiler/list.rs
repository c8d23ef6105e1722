//! The list of compilers.

use super::backend::Backend;
use super::{cranelift, llvm, singlepass};

/// All compilers. The first that is built in is the default.
pub(super) static BACKENDS: [Backend; 3] = [cranelift::BACKEND, llvm::BACKEND, singlepass::BACKEND];

#[cfg(feature = "compiler")]
pub(crate) fn backends() -> impl Iterator<Item = &'static Backend> {
    BACKENDS.iter()
}

/// The compiler called `name`, if users can choose it: only built-in ones can be chosen. In a library without compilers
/// all can, as their code may come from the cache.
pub(super) fn find(name: &str) -> Option<&'static Backend> {
    let headless = !BACKENDS.iter().any(Backend::is_built_in);
    BACKENDS.iter().find(|backend| backend.name() == name && (headless || backend.is_built_in()))
}

/// Whether the compiler called `name` is built in.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    find(name).is_some_and(Backend::is_built_in)
}

/// All compilers, those with the fastest code first.
pub(crate) fn by_speed() -> Vec<&'static Backend> {
    let [cranelift, llvm, singlepass] = &BACKENDS;
    vec![llvm, cranelift, singlepass]
}

/// The compilers that can be chosen, as text for errors.
pub(crate) fn choices() -> String {
    let names = |of: &mut dyn Iterator<Item = &Backend>| of.map(Backend::name).collect::<Vec<_>>().join(", ");
    match names(&mut BACKENDS.iter().filter(|backend| backend.is_built_in())).as_str() {
        "" => format!("no compiler is built in; code can come from {}", names(&mut BACKENDS.iter())),
        built_in => format!("built in: {built_in}"),
    }
}
