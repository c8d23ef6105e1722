//! Makes the results of a generated module depend on the host functions. By itself it calls them with offsets at which
//! there is nothing, and drops their results. Here most offsets become small, and all results are mixed into a number
//! that the added function [`SEEN`] returns.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, Instruction as I, Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, ExportSectionReader, FuncType, FunctionBody, FunctionSectionReader, GlobalSectionReader,
    ImportSectionReader, Operator, Parser, TypeRef, TypeSectionReader,
};

/// The name of the function that is added.
pub(crate) const SEEN: &str = "seen";

/// Changes `wasm`, a module that imports only functions, and has globals and exports.
pub(crate) fn made(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::new();
    Visible::default().parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

type Result<T> = std::result::Result<T, reencode::Error<Infallible>>;

#[derive(Default)]
struct Visible {
    types: Vec<FuncType>,
    /// The imported functions' names and types.
    imports: Vec<(String, u32)>,
    /// The types of the module's own functions.
    functions: Vec<u32>,
    /// The number of bodies that were read, and of calls of the host.
    bodies: usize,
    calls: usize,
    /// The index of the added global, which holds the number.
    number: u32,
}

/// The locals that are added to each function, behind its own.
const LOCALS: [ValType; 2] = [ValType::I64, ValType::I32];

impl Reencode for Visible {
    type Error = Infallible;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Result<()> {
        self.types = section.clone().into_iter_err_on_gc_types().collect::<std::result::Result<_, _>>()?;
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], [ValType::I32]);
        Ok(())
    }

    fn parse_import_section(&mut self, imports: &mut ImportSection, section: ImportSectionReader<'_>) -> Result<()> {
        for import in section.clone().into_imports() {
            let import = import?;
            let (TypeRef::Func(ty) | TypeRef::FuncExact(ty)) = import.ty else { continue };
            self.imports.push((import.name.to_owned(), ty));
        }
        utils::parse_import_section(self, imports, section)
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<()> {
        self.functions = section.clone().into_iter().collect::<std::result::Result<_, _>>()?;
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.types.len() as u32);
        Ok(())
    }

    fn parse_global_section(&mut self, globals: &mut GlobalSection, section: GlobalSectionReader<'_>) -> Result<()> {
        self.number = section.count();
        utils::parse_global_section(self, globals, section)?;
        globals.global(GlobalType { val_type: ValType::I64, mutable: true, shared: false }, &ConstExpr::i64_const(0));
        Ok(())
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: ExportSectionReader<'_>) -> Result<()> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(SEEN, ExportKind::Func, (self.imports.len() + self.functions.len()) as u32);
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<()> {
        utils::parse_code_section(self, code, section)?;
        let mut seen = Function::new([]);
        for instruction in [
            I::GlobalGet(self.number),
            I::GlobalGet(self.number),
            I::I64Const(32),
            I::I64ShrU,
            I::I64Xor,
            I::I32WrapI64,
            I::End,
        ] {
            seen.instruction(&instruction);
        }
        code.function(&seen);
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<()> {
        let ty = &self.types[self.functions[self.bodies] as usize];
        self.bodies += 1;
        let (mut locals, mut count) = (Vec::new(), ty.params().len() as u32);
        for group in body.get_locals_reader()? {
            let (many, ty) = group?;
            count += many;
            locals.push((many, self.val_type(ty)?));
        }
        locals.extend(LOCALS.map(|ty| (1, ty)));
        let mut function = Function::new(locals);
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            let import = match operator {
                Operator::Call { function_index } => self.imports.get(function_index as usize).cloned(),
                _ => None,
            };
            let instruction = self.instruction(operator)?;
            match import {
                Some((name, ty)) => self.call(&name, ty, &instruction, count, &mut function),
                None => drop(function.instruction(&instruction)),
            }
        }
        code.function(&function);
        Ok(())
    }
}

impl Visible {
    /// The `call` of an import of this name and type; the added locals begin at index `locals`.
    fn call(&mut self, name: &str, ty: u32, call: &I<'_>, locals: u32, function: &mut Function) {
        use wasmparser::ValType::{I32, I64};
        // Some offsets stay as they are; others lie in a small input, or in a larger one.
        let bits = [64, 4, 7, 12, 13][self.calls % 5];
        self.calls += 1;
        let below = |bits: u32| [I::I64Const((u64::MAX >> (64 - bits)).cast_signed()), I::I64And];
        let (wide, narrow) = (locals, locals + 1);
        let ty = &self.types[ty as usize];
        let mut code = Vec::new();
        match ty.params() {
            [I64] => code.extend(below(bits)),
            [I64, value] => {
                let local = if *value == I32 { narrow } else { wide };
                code.push(I::LocalSet(local));
                code.extend(below(bits));
                code.push(I::LocalGet(local));
                if name.ends_with("_set") {
                    code.extend(below(bits / 2));
                }
            }
            _ => {}
        }
        code.push(call.clone());
        if let [result] = ty.results() {
            let local = if *result == I32 { narrow } else { wide };
            code.push(I::LocalTee(local));
            if *result == I32 {
                code.push(I::I64ExtendI32U);
            }
            code.extend([I::GlobalGet(self.number), I::I64Add]);
            code.extend([I::I64Const(0x9e37_79b9_7f4a_7c15_u64.cast_signed()), I::I64Mul, I::GlobalSet(self.number)]);
            code.push(I::LocalGet(local));
        }
        for instruction in &code {
            function.instruction(instruction);
        }
    }
}
