//! The code that is wanted for the modules of one manifest, and the error if it is nowhere.

use super::error::{Error, NoCode};
use super::modules::Modules;
use crate::cache::code::{CodeCache, WantedArtifact};
use crate::cache::directory::Unusable;
use crate::compiler::{Backend, Machine};
use crate::error::Excerpt;
use crate::module::digest::ModuleKey;
use crate::module::reserved::REWRITE_VERSION;
use crate::sandbox::Memories;

/// A request for code: that of all modules of a manifest, from one compiler, for one machine and one kind of memories.
pub(super) struct Request<'a> {
    pub(super) backend: &'static Backend,
    pub(super) memories: Memories,
    pub(super) modules: &'a Modules,
    pub(super) wanted: WantedArtifact,
    pub(super) cache: Option<&'a CodeCache>,
}

/// Why there is no code.
pub(super) enum Failure {
    /// The module of this index has no code in the cache, and there is no compiler.
    Missing(usize),
    Other(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(
        backend: &'static Backend,
        memories: Memories,
        modules: &'a Modules,
        cache: Option<&'a CodeCache>,
        machine: Machine,
    ) -> Self {
        let linked = modules.sources.len() > 1;
        let memories = if linked && backend.linked_memories_move { Memories::Moving } else { memories };
        let settings = backend.settings(linked, memories, modules.fuel, REWRITE_VERSION);
        let wanted = WantedArtifact { backend: backend.name(), settings, machine };
        Self { backend, memories, modules, wanted, cache }
    }

    /// The error for the module of this index, whose code is not in the cache and cannot be compiled.
    pub(super) fn no_code(
        &self,
        asked: Option<&Backend>,
        index: usize,
        key: &ModuleKey,
        cache: Result<&CodeCache, &Unusable>,
    ) -> Error {
        let (source, machine) = (&self.modules.sources[index], &self.wanted.machine);
        let sha256 = key.sha256.or_else(|| source.sha256().ok().flatten());
        let misfit = sha256.and_then(|sha256| cache.ok()?.misfit(sha256));
        let compiler = asked.map_or_else(String::new, |backend| format!("--compiler {} ", backend.name()));
        let fuel = if self.modules.fuel { "--fuel " } else { "" };
        let memories = if self.memories == Memories::Moving { "--moving-memories " } else { "" };
        let missing = NoCode {
            module: Excerpt::of(source.name()),
            cache: match cache {
                Ok(cache) => format!("`{}`", cache.path.display()),
                Err(nowhere @ Unusable::Nowhere) => format!("a cache, for {nowhere}"),
                Err(refused @ Unusable::Refused { .. }) => format!("a cache: {refused}"),
            },
            misfit: match (cache.ok().and_then(CodeCache::obstacle), misfit) {
                (Some(obstacle), _) => format!(": {obstacle}"),
                (None, Some(name)) => format!(", which has {name} for it"),
                (None, None) => String::new(),
            },
            sha256: sha256.map_or_else(String::new, |sha256| sha256.to_string()),
            backends: asked.map_or("any compiler", Backend::name).to_owned(),
            options: format!("{compiler}{fuel}{memories}--target {} ", machine.triple()),
            machine: machine.name(),
            input: if self.modules.sources.len() > 1 { "MANIFEST" } else { "MODULE" },
        };
        Error::NoCode(Box::new(missing))
    }
}
