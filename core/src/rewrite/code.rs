//! Writes the code section: copies function bodies, and replaces the instructions that change.

use wasm_encoder::{CodeSection, Encode, Function, Instruction as I};
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use super::error::Error;
use super::indices::Indices;
use super::inline::{Inliner, SCRATCH};
use super::meter::Stretches;
use super::survey::Survey;
use super::yield_points::{self, YieldPoints};

/// The most calls that are inlined in one function, as each becomes several times as large and takes longer to compile.
/// Later calls stay calls.
pub(crate) const MAX_INLINED: u32 = 2000;

/// The most locals (parameters included) and bytes of a function in which calls are inlined. Engines agreed on the
/// limits (<https://webassembly.github.io/spec/js-api/#limits>); that of bytes is lower, for the additions.
const MAX_LOCALS: u32 = 50_000;
const MAX_BODY: usize = 7_000_000;

/// The most bytes that a function may have by the same agreement.
const MOST_BYTES: usize = 7_654_321;

/// The changes to make: new indices of functions and globals, inlined calls, yield points.
#[derive(Clone, Copy)]
pub(crate) struct CodeChanges<'a> {
    pub(crate) indices: Indices<'a>,
    pub(crate) inliner: Option<&'a Inliner>,
    pub(crate) yield_points: Option<YieldPoints>,
}

impl CodeChanges<'_> {
    /// All functions of the module, and the wrappers.
    pub(crate) fn section(self, survey: &Survey<'_>) -> Result<CodeSection, Error> {
        let mut code = CodeSection::new();
        let mut types = survey.functions.clone().into_iter().flatten();
        for (body, index) in survey.code.clone().into_iter().flatten().zip(survey.imported_functions.len() as u32..) {
            let body = body?;
            let ty = types.next().transpose()?.and_then(|ty| survey.types.get(ty as usize));
            let parameters = ty.map_or(0, |ty| u32::try_from(ty.params().len()).unwrap_or(u32::MAX));
            match self.spliced(&body, parameters)? {
                Some(changed) if self.counts() && changed.len() > MOST_BYTES => {
                    return Err(Error::TooLargeToCount { index, size: changed.len(), max: MOST_BYTES });
                }
                Some(changed) => code.raw(&changed),
                None => code.raw(body.as_bytes()),
            };
        }
        for (_, wrapper) in self.indices.wrappers.iter() {
            let scratch = if self.inlines(wrapper.import) { SCRATCH.as_slice() } else { &[] };
            let mut function = Function::new(scratch.iter().map(|ty| (1, *ty)));
            let mut bytes = Vec::new();
            (0..wrapper.parameters).for_each(|parameter| I::LocalGet(parameter).encode(&mut bytes));
            self.call(wrapper.import, wrapper.parameters, &mut bytes);
            I::End.encode(&mut bytes);
            function.raw(bytes);
            code.function(&function);
        }
        Ok(code)
    }

    /// The changed body of a function with so many parameters; `None` if nothing changes.
    fn spliced(self, body: &FunctionBody<'_>, parameters: u32) -> Result<Option<Vec<u8>>, Error> {
        let bytes = body.as_bytes();
        let offset = |position: u64| usize::try_from(position - body.range().start).unwrap_or(usize::MAX);
        let between = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        let mut operators = body.get_operators_reader()?;
        let start = offset(operators.original_position());
        let (mut changed, mut copied) = (Vec::new(), start);
        let first = parameters.saturating_add(locals(body)?);
        let has_room = first.saturating_add(SCRATCH.len() as u32) <= MAX_LOCALS && bytes.len() <= MAX_BODY;
        let mut left = if has_room { MAX_INLINED } else { 0 };
        let mut stretches = Stretches::default();
        while !operators.eof() {
            let from = offset(operators.original_position());
            let operator = operators.read()?;
            let meter = self.indices.meter.and_then(|meter| Some((meter, stretches.next(&operator)?)));
            let yield_point = self.yield_points.zip(yield_points::work(&operator));
            let instead = match operator {
                Operator::Call { function_index } if left > 0 && self.inlines(function_index) => {
                    left -= 1;
                    let mut inlined = Vec::new();
                    self.call(function_index, first, &mut inlined);
                    Some(inlined)
                }
                _ => self.redirected(&operator),
            };
            if meter.is_none() && yield_point.is_none() && instead.is_none() {
                continue;
            }
            changed.extend(between(copied, from));
            copied = offset(operators.original_position());
            if let Some((meter, (count, end))) = meter {
                meter.count(count, end, &mut changed);
            }
            let instruction = instead.as_deref().unwrap_or(between(from, copied));
            match yield_point {
                Some((yield_points, work)) => yield_points.count(work, instruction, &mut changed),
                None => changed.extend(instruction),
            }
        }
        if copied == start {
            return Ok(None);
        }
        let mut whole = Vec::with_capacity(bytes.len() + changed.len());
        let groups = body.get_locals_reader()?;
        let more = if has_room && left < MAX_INLINED { SCRATCH.as_slice() } else { &[] };
        groups.get_count().saturating_add(u32::try_from(more.len()).unwrap_or(0)).encode(&mut whole);
        whole.extend(between(offset(groups.original_position()), start));
        more.iter().for_each(|ty| {
            1_u32.encode(&mut whole);
            ty.encode(&mut whole);
        });
        whole.extend(changed);
        whole.extend(between(copied, bytes.len()));
        Ok(Some(whole))
    }

    /// The instruction with its new index; `None` if the index is the same as before.
    fn redirected(self, operator: &Operator<'_>) -> Option<Vec<u8>> {
        let (before, after, instruction) = match *operator {
            Operator::RefFunc { function_index } => {
                let function = self.indices.function(function_index);
                (function_index, function, I::RefFunc(function))
            }
            Operator::GlobalGet { global_index } => {
                let global = self.indices.global(global_index);
                (global_index, global, I::GlobalGet(global))
            }
            Operator::GlobalSet { global_index } => {
                let global = self.indices.global(global_index);
                (global_index, global, I::GlobalSet(global))
            }
            _ => return None,
        };
        (before != after).then(|| {
            let mut bytes = Vec::new();
            instruction.encode(&mut bytes);
            bytes
        })
    }

    fn counts(self) -> bool {
        self.indices.meter.is_some() || self.yield_points.is_some()
    }

    fn inlines(self, function: u32) -> bool {
        self.inliner.is_some_and(|inliner| inliner.inlines(function))
    }

    /// Writes the code for a call of an imported function. `scratch` is the index of the first of the scratch locals.
    fn call(self, function: u32, scratch: u32, sink: &mut Vec<u8>) {
        match self.inliner {
            Some(inliner) => inliner.emit(function, scratch, sink),
            None => I::Call(function).encode(sink),
        }
    }
}

fn locals(body: &FunctionBody<'_>) -> Result<u32, BinaryReaderError> {
    let mut count = 0_u32;
    for group in body.get_locals_reader()? {
        count = count.saturating_add(group?.0);
    }
    Ok(count)
}
