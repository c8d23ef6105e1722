//! Finds the global that points into a module's own stack: the part of memory 0 where compilers keep variables whose
//! address is taken. A trap leaves it at any value, so a host that keeps using the instance has to restore it.
//!
//! It is recognised by its name, `__stack_pointer`, in the name section or as an export; otherwise by its use, as the
//! only mutable i32 global that functions lower at their beginning and set again later.

use std::collections::BTreeSet;

use wasmparser::{ExternalKind, FunctionBody, GlobalType, Name, Operator, TypeRef, ValType};

use super::survey::Survey;

/// The name that linkers give it.
const NAME: &str = "__stack_pointer";

/// The number of instructions of a function that count as its beginning. Code that is not optimised takes ten.
const PROLOGUE: usize = 16;

/// The index of the stack pointer, if it can be found.
pub(crate) fn find(survey: &Survey<'_>) -> Option<u32> {
    let candidates = candidates(survey);
    if candidates.is_empty() {
        return None;
    }
    let is_candidate = |global: &u32| candidates.contains(global);
    named(survey)
        .filter(is_candidate)
        .or_else(|| exported(survey).filter(is_candidate))
        .or_else(|| lowered(survey, &candidates))
}

/// The mutable globals of type i32.
fn candidates(survey: &Survey<'_>) -> BTreeSet<u32> {
    let imports = survey.imports.clone().into_iter().flat_map(|section| section.into_imports());
    let imported = imports.map_while(Result::ok).filter_map(|import| match import.ty {
        TypeRef::Global(ty) => Some(ty),
        _ => None,
    });
    let own = survey.globals.clone().into_iter().flatten().map_while(Result::ok).map(|global| global.ty);
    let can_be = |ty: &GlobalType| ty.mutable && ty.content_type == ValType::I32;
    (0..).zip(imported.chain(own)).filter(|(_, ty)| can_be(ty)).map(|(index, _)| index).collect()
}

/// The global with that name in the name section.
fn named(survey: &Survey<'_>) -> Option<u32> {
    let subsections = survey.names.clone().into_iter().flatten().map_while(Result::ok);
    let globals = subsections.filter_map(|subsection| match subsection {
        Name::Global(names) => Some(names),
        _ => None,
    });
    globals.flatten().map_while(Result::ok).find(|naming| naming.name == NAME).map(|naming| naming.index)
}

fn exported(survey: &Survey<'_>) -> Option<u32> {
    let is_it = |kind: ExternalKind, name: &str| kind == ExternalKind::Global && name == NAME;
    survey.exports.iter().find(|export| is_it(export.kind, export.name)).map(|export| export.index)
}

/// The candidate that functions lower at their beginning, if there is exactly one.
fn lowered(survey: &Survey<'_>, candidates: &BTreeSet<u32>) -> Option<u32> {
    let mut found = None;
    for body in survey.code.clone().into_iter().flatten().map_while(Result::ok) {
        match (found, lowered_by(&body, candidates)) {
            (Some(one), Some(other)) if one != other => return None,
            (before, now) => found = before.or(now),
        }
    }
    found
}

/// The candidate that a function lowers by a multiple of 4 at its beginning and sets again later. A counter would not
/// be set again.
fn lowered_by(body: &FunctionBody<'_>, candidates: &BTreeSet<u32>) -> Option<u32> {
    let mut operators = body.get_operators_reader().ok()?;
    let (mut read, mut amount, mut is_lowered) = (None, 0, false);
    for _ in 0..PROLOGUE {
        match operators.read().ok()? {
            Operator::GlobalGet { global_index } if read.is_none() && candidates.contains(&global_index) => {
                read = Some(global_index);
            }
            Operator::I32Const { value } => amount = value,
            Operator::I32Sub => is_lowered |= read.is_some() && amount > 0 && amount % 4 == 0,
            Operator::I32Add => is_lowered |= read.is_some() && amount < 0 && amount % 4 == 0,
            Operator::GlobalSet { global_index } if is_lowered && read == Some(global_index) => {
                let is_it =
                    |operator| matches!(operator, Operator::GlobalSet { global_index: other } if other == global_index);
                return operators.into_iter().map_while(Result::ok).any(is_it).then_some(global_index);
            }
            // Code that aligns the pointer, between lowering and setting it.
            Operator::I32And | Operator::LocalGet { .. } | Operator::LocalSet { .. } | Operator::LocalTee { .. } => {}
            _ => return None,
        }
    }
    None
}
