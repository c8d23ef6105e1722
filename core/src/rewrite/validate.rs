//! Validates a module as it came, before anything is added to it: all that it refers to has to be its own.
//!
//! Wasmer's engine validates the rewritten module again, but would accept references to the additions. The proposals
//! allowed here are those of the engine. In the same pass, `effort/` estimates the cost of compiling.

use std::mem;

use wasmer::sys::Features;
use wasmparser::{
    BinaryReaderError, Encoding, FuncValidator, FuncValidatorAllocations, FunctionBody, OperatorsReader, Parser,
    Payload, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use super::effort::Effort;
use super::error::Error;
use super::options::EstimatedCompiler;
use crate::error::Message;

/// Checks that `wasm` is a valid module that uses only `features` and stays within the limits of `effort/`. If
/// `fuel`, the estimate includes the code that counts instructions.
pub(crate) fn validate(
    wasm: &[u8],
    features: &Features,
    fuel: bool,
    estimated: EstimatedCompiler,
) -> Result<(), Error> {
    let all = || Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).is_ok();
    validate_with(wasm, proposals(features), fuel, estimated).map_err(|error| match error {
        Error::Invalid(reason) if all() => Error::Unsupported(reason),
        Error::Malformed(reason) if all() => Error::Unsupported(Message::of(reason)),
        error => error,
    })
}

fn validate_with(wasm: &[u8], proposals: WasmFeatures, fuel: bool, estimated: EstimatedCompiler) -> Result<(), Error> {
    let mut validator = Validator::new_with_features(proposals);
    let mut parser = Parser::new(0);
    parser.set_features(proposals);
    let mut effort = Effort::new(wasm.len(), fuel, estimated);
    let mut allocations = FuncValidatorAllocations::default();
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        if let Payload::Version { encoding: Encoding::Component, .. } = payload {
            return Err(Error::Component);
        }
        let valid = validator.payload(&payload).map_err(invalid)?;
        effort.section(&payload)?;
        if let ValidPayload::Func(function, body) = valid {
            let mut function = function.into_validator(mem::take(&mut allocations));
            validate_function(&mut function, &body, &mut effort, proposals)?;
            allocations = function.into_allocations();
        }
    }
    effort.check()
}

fn validate_function(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    effort: &mut Effort,
    proposals: WasmFeatures,
) -> Result<(), Error> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader).map_err(invalid)?;
    reader.set_features(proposals);
    let mut operators = OperatorsReader::new(reader);
    let mut function = effort.function(validator.index(), validator.len_locals());
    while !operators.eof() {
        let position = operators.original_position();
        let operator = operators.read().map_err(invalid)?;
        function.before(&operator, validator)?;
        validator.op(position, &operator).map_err(invalid)?;
        function.after(&operator, validator)?;
    }
    operators.finish().map_err(invalid)?;
    let spent = function.finish(body.as_bytes().len());
    effort.add(validator.index(), spent)
}

/// Keeps a bounded part of the validator's message, which quotes names of the module.
fn invalid(error: BinaryReaderError) -> Error {
    Error::Invalid(Message::of(error))
}

/// The proposals that Wasmer's engine has its validator accept for these features.
fn proposals(features: &Features) -> WasmFeatures {
    let always = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::FLOATS
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::GC_TYPES;
    let optional = [
        (WasmFeatures::BULK_MEMORY, features.bulk_memory),
        (WasmFeatures::THREADS, features.threads),
        (WasmFeatures::REFERENCE_TYPES, features.reference_types),
        (WasmFeatures::MULTI_VALUE, features.multi_value),
        (WasmFeatures::SIMD, features.simd),
        (WasmFeatures::TAIL_CALL, features.tail_call),
        (WasmFeatures::MULTI_MEMORY, features.multi_memory),
        (WasmFeatures::MEMORY64, features.memory64),
        (WasmFeatures::EXCEPTIONS, features.exceptions),
        (WasmFeatures::EXTENDED_CONST, features.extended_const),
        (WasmFeatures::RELAXED_SIMD, features.relaxed_simd),
        (WasmFeatures::WIDE_ARITHMETIC, features.wide_arithmetic),
    ];
    optional.into_iter().filter(|(_, is_offered)| *is_offered).fold(always, |all, (proposal, _)| all | proposal)
}
