//! The stack probe before libcalls of code that calls them by name, which LLVM makes: each such call leads to a thunk.

use std::sync::Arc;

use wasmer::sys::CompilerConfig;
use wasmer_compiler::types::function::{Compilation, RkyvCompilation};
use wasmer_compiler::types::module::CompileModuleInfo;
use wasmer_compiler::types::relocation::{Relocation, RelocationKind, RelocationTarget};
use wasmer_compiler::types::section::{CustomSection, CustomSectionProtection, SectionBody, SectionIndex};
use wasmer_compiler::{Compiler, FunctionBodyData, ModuleMiddleware, ModuleTranslationState};
use wasmer_types::entity::{EntityRef as _, PrimaryMap};
use wasmer_types::target::{Architecture, OperatingSystem, Target};
use wasmer_types::{CompilationProgressCallback, CompileError, Features, LibCall, LocalFunctionIndex};

use super::stack_probe;

/// A compiler whose code calls libcalls by name (LLVM), wrapped so that its calls in code for Linux on x86-64 lead
/// to thunks. A thunk runs the stack probe and jumps to the libcall.
///
/// The compiler must be configured before it is wrapped: of the methods by which Wasmer configures any compiler,
/// only those that this library uses are forwarded.
#[derive(Debug)]
pub(crate) struct WithStackProbe<T>(pub(crate) T);

impl<T: CompilerConfig + 'static> CompilerConfig for WithStackProbe<T> {
    fn compiler(self: Box<Self>) -> Box<dyn Compiler> {
        Box::new(WithStackProbe(Box::new(self.0).compiler()))
    }

    fn supported_features_for_target(&self, target: &Target) -> Features {
        self.0.supported_features_for_target(target)
    }

    fn push_middleware(&mut self, middleware: Arc<dyn ModuleMiddleware>) {
        self.0.push_middleware(middleware);
    }
}

impl Compiler for WithStackProbe<Box<dyn Compiler>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn deterministic_id(&self) -> String {
        self.0.deterministic_id()
    }

    fn get_middlewares(&self) -> &[Arc<dyn ModuleMiddleware>] {
        self.0.get_middlewares()
    }

    fn compile_module(
        &self,
        target: &Target,
        module: &CompileModuleInfo,
        description: &[u8],
        translation: &ModuleTranslationState,
        functions: PrimaryMap<LocalFunctionIndex, FunctionBodyData<'_>>,
        progress: Option<&CompilationProgressCallback>,
    ) -> Result<Compilation, CompileError> {
        let mut compiled = self.0.compile_module(target, module, description, translation, functions, progress)?;
        let triple = target.triple();
        if triple.architecture != Architecture::X86_64 || triple.operating_system != OperatingSystem::Linux {
            return Ok(compiled);
        }
        match &mut compiled {
            Compilation::Rkyv { compilation, .. } => {
                add_thunks(compilation);
                Ok(compiled)
            }
            Compilation::Elf { .. } => {
                Err(CompileError::Codegen("the code is of a kind that has no thunks".to_owned()))
            }
        }
    }
}

/// True for libcalls that need more than a word of stack. The others are float operations, too short for a probe.
fn needs_probe(call: LibCall) -> bool {
    use LibCall as Call;
    matches!(
        call,
        Call::RaiseTrap
            | Call::Memory32Size
            | Call::ImportedMemory32Size
            | Call::Memory32Copy
            | Call::Memory32Fill
            | Call::ImportedMemory32Fill
            | Call::Memory32Init
            | Call::DataDrop
            | Call::TableCopy
            | Call::TableInit
            | Call::TableFill
            | Call::TableSize
            | Call::ImportedTableSize
            | Call::TableGet
            | Call::ImportedTableGet
            | Call::TableSet
            | Call::ImportedTableSet
            | Call::TableGrow
            | Call::ImportedTableGrow
            | Call::FuncRef
            | Call::ElemDrop
    )
}

fn add_thunks(compilation: &mut RkyvCompilation) {
    let section = SectionIndex::new(compilation.custom_sections.len());
    let mut calls: Vec<LibCall> = Vec::new();
    let in_functions = compilation.functions.values_mut().flat_map(|function| &mut function.relocations);
    let in_sections = compilation.custom_sections.values_mut().flat_map(|section| &mut section.relocations);
    for relocation in in_functions.chain(in_sections) {
        let RelocationTarget::LibCall(call) = relocation.reloc_target else { continue };
        if !needs_probe(call) {
            continue;
        }
        let number = calls.iter().position(|other| *other == call).unwrap_or_else(|| {
            calls.push(call);
            calls.len() - 1
        });
        relocation.reloc_target = RelocationTarget::CustomSection(section);
        relocation.addend += i64::try_from(number * LENGTH).unwrap_or(0);
    }
    if calls.is_empty() {
        return;
    }
    let relocations = calls.iter().zip(1..).map(|(call, number)| Relocation {
        kind: RelocationKind::Abs8,
        reloc_target: RelocationTarget::LibCall(*call),
        offset: number * LENGTH as u32 - ADDRESS as u32,
        addend: 0,
    });
    compilation.custom_sections.push(CustomSection {
        protection: CustomSectionProtection::ReadExecute,
        alignment: Some(16),
        relocations: relocations.collect(),
        bytes: SectionBody::new_with_vec(thunk().repeat(calls.len())),
    });
}

const ADDRESS: usize = 8;
/// The length of a thunk, in bytes.
const LENGTH: usize = stack_probe::COUNT * 8 + 6 + ADDRESS;

/// Touches the same bytes as [`probe`](stack_probe::probe), then jumps to the address at its end. Keeps all registers.
fn thunk() -> Vec<u8> {
    let mut code = Vec::with_capacity(LENGTH);
    for place in (1..=stack_probe::COUNT).map(|number| number * stack_probe::STEP) {
        // test byte ptr [rsp - place], 0
        code.extend([0xf6, 0x84, 0x24]);
        code.extend(i32::try_from(place).unwrap_or(i32::MAX).wrapping_neg().to_le_bytes());
        code.push(0);
    }
    // jmp qword ptr [rip]
    code.extend([0xff, 0x25, 0, 0, 0, 0]);
    code.extend([0; ADDRESS]);
    code
}

#[cfg(test)]
mod tests {
    #[test]
    fn thunks_have_their_length() {
        assert_eq!(super::thunk().len(), super::LENGTH);
    }
}
