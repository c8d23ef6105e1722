//! Limits the cost of compiling a module.
//!
//! For some shapes of code, compilers need more than linear time and memory: a few kilobytes of locals, nested loops or
//! jump tables can take minutes and gigabytes. Each module therefore gets an estimate of the time that Cranelift needs
//! for it on one core. A module is refused if its estimate exceeds [`PER_BYTE`] for each of its bytes, plus
//! [`FOR_ALL`]. The estimate must not be below the time of the worst code; for usual code it is two to five times the
//! actual time. It depends on the module alone, so the same module is accepted everywhere.
//! For LLVM, both the estimate and the limit are several times as high, and code that takes it longer than that has
//! prices of its own: `llvm.rs`.
//!
//! The prices were measured on x86-64, as the CPU time of modules that consist mostly of the item priced.

use std::mem;

use wasmparser::{BlockType, BrTable, FrameKind, FuncValidator, Operator, Payload, TypeRef, ValidatorResources};

use super::llvm;
use super::operators::{ends_basic_block, is_dear, over_call};
use super::price;
use crate::rewrite::code::MAX_INLINED;
use crate::rewrite::error::Error;
use crate::rewrite::options::EstimatedCompiler;

/// The most blocks nested in each other in a function. Go's compiler nests one for each place where a function can be
/// resumed: esbuild reaches 3,290.
const MAX_BLOCKS: u32 = 20_000;

/// The most targets of a jump table. esbuild has one with 5,491.
const MAX_TARGETS: u32 = 200_000;

/// The time that a module may take for each of its bytes, in nanoseconds: 5 s for a megabyte.
const PER_BYTE: u64 = 5_000;

/// The time that every module may take in addition, in nanoseconds.
const FOR_ALL: u64 = 250_000_000;

/// In a function of so many bytes, each part costs twice as much as in a small one.
const LARGE_BODY: u64 = 1 << 20;

/// The numbers of parameters and of results.
type Arity = (u64, u64);

/// The estimated cost of compiling a module.
pub(crate) struct Effort {
    /// The module's size in bytes.
    size: usize,
    fuel: bool,
    estimated: EstimatedCompiler,
    types: Vec<Arity>,
    /// The index of each function's type, imported functions first.
    functions: Vec<u32>,
    imported_functions: u32,
    spent: u64,
    /// The cost and the index of the most expensive function.
    most: (u64, u32),
}

impl Effort {
    pub(crate) fn new(size: usize, fuel: bool, estimated: EstimatedCompiler) -> Self {
        let (types, functions) = (Vec::new(), Vec::new());
        Self { size, fuel, estimated, types, functions, imported_functions: 0, spent: 0, most: (0, 0) }
    }

    /// Adds the cost of a section, which has to be valid.
    pub(crate) fn section(&mut self, payload: &Payload<'_>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(types) => {
                for ty in types.clone().into_iter_err_on_gc_types() {
                    let ty = ty?;
                    let arity = (ty.params().len() as u64, ty.results().len() as u64);
                    self.types.push(arity);
                    self.spend(price::TYPE + passing(arity), llvm::TYPE + llvm::results(arity.1));
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        self.declare(ty, passing);
                        self.imported_functions += 1;
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions.clone() {
                    self.declare(ty?, arguments);
                }
            }
            // Before any function is read.
            Payload::CodeSectionStart { .. } => self.check()?,
            _ => {}
        }
        Ok(())
    }

    /// Begins a function with so many locals, parameters included.
    pub(crate) fn function(&self, index: u32, locals: u32) -> FunctionEffort<'_> {
        FunctionEffort {
            module: self,
            index,
            left: self.max().saturating_sub(self.spent) / self.estimated.times(),
            spent: u64::from(locals).saturating_mul(price::LOCAL),
            locals: vec![Local { written_in: 0, is_kept: false, over_calls: 0 }; locals as usize],
            kept_locals: 0,
            basic_block: 0,
            over_calls: 0,
            loops: 0,
            loop_depth: 0,
            calls_of_imports: 0,
            llvm: (self.estimated == EstimatedCompiler::Llvm).then(llvm::Function::default),
        }
    }

    pub(crate) fn add(&mut self, index: u32, spent: u64) -> Result<(), Error> {
        self.most = self.most.max((spent, index));
        self.spent = self.spent.saturating_add(spent);
        self.check()
    }

    /// Fails if the cost exceeds the limit.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.spent <= self.max() { Ok(()) } else { Err(self.too_much(self.spent, self.most)) }
    }

    fn max(&self) -> u64 {
        (self.size as u64).saturating_mul(PER_BYTE).saturating_add(FOR_ALL).saturating_mul(self.estimated.times_limit())
    }

    /// The error for a module that costs `spent` so far, of which the function `most.1` takes `most.0`.
    fn too_much(&self, spent: u64, most: (u64, u32)) -> Error {
        let (share, function) = most;
        Error::TooMuchWork {
            estimate: spent / 1_000_000,
            max: self.max() / 1_000_000,
            size: self.size,
            function,
            share: share.saturating_mul(100) / spent.max(1),
            advice: self.estimated.advice(),
        }
    }

    /// Adds a function of this type. `signature` is the price of its parameters and results.
    fn declare(&mut self, ty: u32, signature: fn(Arity) -> u64) {
        self.functions.push(ty);
        let arity = self.arity(ty);
        self.spend(price::FUNCTION + signature(arity), llvm::FUNCTION + llvm::results(arity.1));
    }

    /// Adds a price for Cranelift and, if the estimate is for LLVM, what that takes in addition.
    fn spend(&mut self, price: u64, more: u64) {
        let more = if self.estimated == EstimatedCompiler::Llvm { more } else { 0 };
        self.spent = self.spent.saturating_add(price.saturating_mul(self.estimated.times())).saturating_add(more);
    }

    fn arity(&self, ty: u32) -> Arity {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }

    /// The number of parameters and results of a call. Other instructions have none.
    fn called(&self, operator: &Operator<'_>) -> Arity {
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.functions.get(*function_index as usize).map_or_else(Arity::default, |ty| self.arity(*ty))
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                self.arity(*type_index)
            }
            _ => Arity::default(),
        }
    }

    /// The number of parameters and results that a block of this type has.
    fn block_arity(&self, ty: BlockType) -> Arity {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(ty) => self.arity(ty),
        }
    }
}

/// The estimated cost of compiling one function.
pub(crate) struct FunctionEffort<'a> {
    module: &'a Effort,
    index: u32,
    /// The most that the function may cost, in nanoseconds of Cranelift, as is `spent`.
    left: u64,
    spent: u64,
    locals: Vec<Local>,
    /// The number of kept locals (see [`price::KEPT_LOCAL`]).
    kept_locals: u64,
    /// The number of the current basic block, from 0.
    basic_block: u32,
    /// The cost of keeping one value over all calls so far, in nanoseconds.
    over_calls: u64,
    loops: u64,
    loop_depth: u32,
    /// The number of calls of imported functions so far.
    calls_of_imports: u32,
    /// The time that LLVM takes in addition, if the estimate is for it.
    llvm: Option<llvm::Function>,
}

#[derive(Clone, Copy)]
struct Local {
    /// The basic block that has written it last. Block 0 counts as having written all.
    written_in: u32,
    is_kept: bool,
    /// [`FunctionEffort::over_calls`] when the local was last read or written.
    over_calls: u64,
}

impl FunctionEffort<'_> {
    /// Adds the cost of an instruction, before `validator` has checked it.
    pub(crate) fn before(
        &mut self,
        operator: &Operator<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> Result<(), Error> {
        match operator {
            Operator::LocalGet { local_index } => self.read(*local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => self.write(*local_index),
            Operator::Call { function_index } if *function_index < self.module.imported_functions => {
                self.calls_of_imports += 1;
            }
            Operator::BrTable { targets } => self.spend(self.jump_table(targets, validator)?),
            Operator::End if validator.get_control_frame(0).is_some_and(|frame| frame.kind == FrameKind::Loop) => {
                self.loop_depth = self.loop_depth.saturating_sub(1);
            }
            _ => {}
        }
        self.spend(self.price(operator, validator));
        if let Some(function) = &mut self.llvm {
            let (parameters, results) = self.module.called(operator);
            function.add(operator, self.loop_depth, parameters + results);
        }
        self.check()
    }

    /// Follows the instruction's nesting and basic blocks, after `validator` has checked it.
    pub(crate) fn after(
        &mut self,
        operator: &Operator<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> Result<(), Error> {
        let over_call = over_call(operator);
        if over_call > 0 {
            self.over_calls += over_call;
            self.spend(u64::from(validator.operand_stack_height()).saturating_mul(over_call));
        }
        if matches!(operator, Operator::Loop { .. }) {
            self.loops += 1;
            self.loop_depth += 1;
        }
        let (index, estimated) = (self.index, self.module.estimated);
        if validator.control_stack_height().saturating_sub(1) > MAX_BLOCKS {
            return Err(Error::TooDeep { index, what: "blocks", max: MAX_BLOCKS, advice: "" });
        }
        if self.loop_depth > estimated.max_loops() {
            return Err(Error::TooDeep {
                index,
                what: "loops",
                max: estimated.max_loops(),
                advice: estimated.advice(),
            });
        }
        if ends_basic_block(operator) {
            self.basic_block += 1;
            let counted = if self.module.fuel { price::COUNTED } else { 0 };
            self.spend(u64::from(validator.operand_stack_height()).saturating_mul(price::KEPT_VALUE) + counted);
        }
        Ok(())
    }

    /// The price of the whole function, whose body has `size` bytes.
    pub(crate) fn finish(self, size: usize) -> u64 {
        let kept = self.kept_locals;
        let in_blocks = u64::from(self.basic_block).saturating_mul(kept).saturating_mul(price::KEPT_LOCAL);
        let in_loop = kept.saturating_mul(price::KEPT_LOCAL_IN_LOOP + kept / price::PAIRS_IN_LOOP);
        let in_loops = self.loops.saturating_mul(in_loop);
        let over_calls = kept.saturating_mul(self.over_calls);
        let sum = self.spent.saturating_add(in_blocks).saturating_add(in_loops).saturating_add(over_calls);
        // In a large function, each part costs more.
        let sum = sum.saturating_add(sum.saturating_mul(size as u64) / LARGE_BODY);
        let more = self.llvm.map_or(0, llvm::Function::finish);
        sum.saturating_mul(self.module.estimated.times()).saturating_add(more)
    }

    /// Fails as soon as the function costs too much: validating the rest could take long, too.
    fn check(&self) -> Result<(), Error> {
        if self.spent <= self.left {
            return Ok(());
        }
        let spent = self.spent.saturating_mul(self.module.estimated.times());
        Err(self.module.too_much(self.module.spent.saturating_add(spent), (spent, self.index)))
    }

    fn price(&self, operator: &Operator<'_>, validator: &FuncValidator<ValidatorResources>) -> u64 {
        let module = self.module;
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                let is_import = *function_index < module.imported_functions && self.calls_of_imports <= MAX_INLINED;
                passing(module.called(operator)) + if is_import { price::CALL_OF_IMPORT } else { price::CALL }
            }
            Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
                passing(module.called(operator)) + price::INDIRECT_CALL
            }
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                let (parameters, results) = module.block_arity(*blockty);
                price::INSTRUCTION + (parameters + results) * price::VALUE
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                price::INSTRUCTION + self.passed_to(*relative_depth, validator) * price::VALUE
            }
            Operator::Return | Operator::End => {
                let outermost = validator.control_stack_height().saturating_sub(1);
                let is_function = matches!(operator, Operator::Return) || outermost == 0;
                let values = if is_function { self.passed_to(outermost, validator) } else { 0 };
                price::INSTRUCTION + values * price::VALUE
            }
            operator if is_dear(operator) => price::DEAR_INSTRUCTION,
            _ => price::INSTRUCTION,
        }
    }

    /// The price of a jump table's targets, and of the values passed on to each of them.
    fn jump_table(&self, targets: &BrTable<'_>, validator: &FuncValidator<ValidatorResources>) -> Result<u64, Error> {
        let count = targets.len().saturating_add(1);
        if count > MAX_TARGETS {
            return Err(Error::JumpTable { index: self.index, count, max: MAX_TARGETS });
        }
        // In valid code, all targets are passed the same number of values.
        let passed = self.passed_to(targets.default(), validator);
        Ok(u64::from(count) * (price::TARGET + passed * price::VALUE))
    }

    /// The number of values that a branch to this label passes on.
    fn passed_to(&self, label: u32, validator: &FuncValidator<ValidatorResources>) -> u64 {
        let Some(frame) = validator.get_control_frame(label as usize) else { return 0 };
        let (parameters, results) = self.module.block_arity(frame.block_type);
        if frame.kind == FrameKind::Loop { parameters } else { results }
    }

    fn read(&mut self, local: u32) {
        let Some(local) = self.locals.get_mut(local as usize) else { return };
        if local.is_kept {
            return;
        }
        if local.written_in == self.basic_block {
            let price = self.over_calls - mem::replace(&mut local.over_calls, self.over_calls);
            self.spend(price);
        } else {
            local.is_kept = true;
            self.kept_locals += 1;
        }
    }

    fn write(&mut self, local: u32) {
        if let Some(local) = self.locals.get_mut(local as usize) {
            local.written_in = self.basic_block;
            local.over_calls = self.over_calls;
        }
    }

    fn spend(&mut self, price: u64) {
        self.spent = self.spent.saturating_add(price);
    }
}

/// The price of a function's parameters and results.
fn arguments((parameters, results): Arity) -> u64 {
    (parameters + results).saturating_sub(price::IN_REGISTERS) * price::ARGUMENT
}

/// The price of passing parameters and results on, in a call or a trampoline.
fn passing((parameters, results): Arity) -> u64 {
    arguments((parameters, results)) + (parameters * parameters + results * results) * price::PAIR_OF_ARGUMENTS
}
