//! `extism-wasmer inspect`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use extism_core::code::precompile::{self, Order};
use extism_core::error::{Described, Excerpt, Message, one_line};
use extism_core::input::Input;
use wasmparser::{ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef};

use crate::{Outcome, exit, text};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Modules (.wasm, .wat)
    #[arg(required = true, value_name = "MODULE")]
    modules: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut report = String::new();
    let mut status = 0;
    for path in &arguments.modules {
        match Input::read(path).and_then(|input| inspect(&input, &mut report).map_err(|error| input.wrong(error))) {
            Ok(true) => {}
            Ok(false) => status = status.max(exit::FAILED),
            // The others are shown all the same.
            Err(error) => {
                text::complain(&error.to_string());
                status = status.max(exit::CANNOT);
            }
        }
    }
    text::print(report.as_bytes(), status)
}

/// Adds what there is to say of a module to `report`. False if no compiler that is built in can compile it.
fn inspect(input: &Input, report: &mut String) -> Result<bool, Described> {
    let facts = Facts::of(&input.module()?).map_err(|error| input.wrong(Message::of(error)))?;
    let (compilers, can_be_compiled) = compilers(input);
    // Writing to a String cannot fail.
    let _ = writeln!(report, "{}: {}", text::path(input.path()), text::bytes(input.size() as u64));
    report.extend([facts.show(), compilers]);
    Ok(can_be_compiled)
}

/// The contents of a module.
#[derive(Default)]
struct Facts {
    types: Vec<FuncType>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imports: Vec<(String, String, String)>,
    exports: Vec<(String, String)>,
    memories: Vec<MemoryType>,
    custom: Vec<(String, usize)>,
}

impl Facts {
    fn of(wasm: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut facts = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(types) => {
                    for ty in types.into_iter_err_on_gc_types() {
                        facts.types.push(ty?);
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        let kind = facts.import(import.ty);
                        facts.imports.push((import.module.to_owned(), import.name.to_owned(), kind));
                    }
                }
                Payload::FunctionSection(functions) => {
                    for ty in functions {
                        facts.functions.push(ty?);
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        facts.memories.push(memory?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let kind = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => facts.function(export.index),
                            ExternalKind::Memory => "memory".to_owned(),
                            ExternalKind::Table => "table".to_owned(),
                            ExternalKind::Global => "global".to_owned(),
                            ExternalKind::Tag => "tag".to_owned(),
                        };
                        facts.exports.push((export.name.to_owned(), kind));
                    }
                }
                Payload::CustomSection(section) => {
                    facts.custom.push((section.name().to_owned(), section.data().len()));
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    fn import(&mut self, ty: TypeRef) -> String {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.ty(ty)
            }
            TypeRef::Memory(memory) => {
                self.memories.push(memory);
                "memory".to_owned()
            }
            TypeRef::Table(_) => "table".to_owned(),
            TypeRef::Global(_) => "global".to_owned(),
            TypeRef::Tag(_) => "tag".to_owned(),
        }
    }

    fn function(&self, index: u32) -> String {
        self.functions.get(index as usize).map_or_else(|| "?".to_owned(), |ty| self.ty(*ty))
    }

    fn ty(&self, index: u32) -> String {
        let list = |types: &[wasmparser::ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        match self.types.get(index as usize) {
            Some(ty) => format!("({}) -> ({})", list(ty.params()), list(ty.results())),
            None => "?".to_owned(),
        }
    }

    fn show(&self) -> String {
        let mut lines = format!("  guest ABI   {}\n", self.abi());
        for (place, memory) in self.memories.iter().enumerate() {
            let max = memory.maximum.map_or_else(|| "no maximum".to_owned(), |max| format!("at most {max}"));
            lines += &format!("  memory {place}    {} pages of 64 KiB, {max}\n", memory.initial);
        }
        for (module, name, kind) in &self.imports {
            let [module, name] = [module, name].map(one_line);
            lines += &format!("  import      {module}::{name} {kind}\n");
        }
        for (name, kind) in &self.exports {
            lines += &format!("  export      {} {kind}\n", one_line(name));
        }
        for (name, size) in &self.custom {
            lines += &format!("  custom      {}, {}\n", one_line(name), text::bytes(*size as u64));
        }
        lines
    }

    /// The Extism interfaces that the module imports, and WASI if it needs it.
    fn abi(&self) -> String {
        let has =
            |wanted: &dyn Fn(&str, &str) -> bool| self.imports.iter().any(|(module, name, _)| wanted(module, name));
        let interfaces = [
            (has(&|module, name| module == "env" && name.starts_with("extism_")), "Extism 0.x"),
            (has(&|module, _| module == "extism:host/env"), "Extism 1.x"),
            (has(&|module, _| module.starts_with("wasi_")), "WASI"),
        ];
        let found: Vec<_> = interfaces.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    }
}

/// Whether each compiler can compile the module, tried out; and whether one can.
fn compilers(input: &Input) -> (String, bool) {
    let (mut lines, mut one_can) = (String::new(), false);
    for (name, built_in) in precompile::compilers() {
        let result = if built_in { compile(name, input) } else { Err("not built in".to_owned()) };
        one_can |= result.is_ok();
        lines += &format!("  {name:<11} {}\n", result.unwrap_or_else(|reason| reason));
    }
    (lines, one_can)
}

fn compile(name: &str, input: &Input) -> Result<String, String> {
    let compiled = Order::new(&[name.to_owned()], None, None).and_then(|order| order.compile(input, None));
    match compiled.as_deref() {
        Ok([compiled, ..]) => {
            let took = compiled.took.map(text::duration).unwrap_or_default();
            Ok(format!("yes, {} in {took}", text::bytes(compiled.size as u64)))
        }
        Ok([]) => Err("no".to_owned()),
        Err(error) => Err(format!("no: {}", Excerpt::of(input.reason(error).replace('\n', " ")))),
    }
}
