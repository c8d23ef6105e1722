//! The rewrite, step by step.

use wasm_encoder::{CustomSection, Module, SectionId};

use super::error::Error;
use super::names::names;
use super::options::RewriteOptions;
use super::sections::Sections;
use super::survey::Survey;
use super::validate::validate;
use super::wrappers::Wrappers;
use crate::compiler::Prepared;
use crate::module::reserved::{DATA_SECTION, IO_MEMORY_MAX_PAGES};

/// The order of sections in a module. The start section is dropped, custom sections come last.
const ORDER: [SectionId; 12] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// Validates `wasm`, rewrites it and names it `name`.
///
/// If calls are inlined, the module gets the I/O memory as its own, and globals. If libcalls are
/// [`Unseen`](super::options::Libcalls::Unseen), instructions that make them are followed by a yield point now and
/// then.
///
/// # Errors
/// The module is invalid, uses a proposal that is not among the features, or exceeds a limit.
pub(crate) fn rewrite(name: &str, wasm: &[u8], options: RewriteOptions<'_>) -> Result<Prepared, Error> {
    validate(wasm, options.features, options.fuel, options.estimated)?;
    let survey = Survey::of(wasm)?;
    let wrappers = Wrappers::of(&survey);
    let sections = Sections::new(&survey, &wrappers, options);
    let mut module = Module::new();
    for id in ORDER {
        sections.write(id, &mut module)?;
    }
    if let Some(data) = survey.data()? {
        let data = data.map(u64::to_le_bytes).concat();
        module.section(&CustomSection { name: DATA_SECTION.into(), data: data.into() });
    }
    if let Some(data) = survey.producers {
        module.section(&CustomSection { name: "producers".into(), data: data.into() });
    }
    module.section(&names(name, &survey, &wrappers));
    let moving = sections.has_io_memory().then_some(IO_MEMORY_MAX_PAGES);
    Ok(Prepared { wasm: module.finish(), moving })
}
