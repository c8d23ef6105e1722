//! The shadow stack pointers of a plugin's instances: globals that point into a stack in linear memory. A trap leaves
//! them where it happened, so they are reset if the instances are kept after traps (`"after_trap": "keep"`).

use wasmer::{AsStoreMut, Global, Instance, Type, Value};
use wasmer_types::ExportIndex;

use super::link::{Kind, Plan};
use crate::module::reserved;

/// The stack pointer of each instance, and its value when it was last noted. Each instance has a stack of its own.
#[derive(Default)]
pub(super) struct StackPointers(Vec<(Global, Value)>);

impl StackPointers {
    /// Adds the stack pointer of `instance`, if the rewrite has identified and exported it.
    pub(super) fn add(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        if let Ok(pointer) = instance.exports.get_global(reserved::STACK_POINTER_EXPORT) {
            let value = pointer.get(store);
            self.0.push((pointer.clone(), value));
        }
    }

    /// Notes the current values.
    pub(super) fn note(&mut self, store: &mut impl AsStoreMut) {
        for (pointer, value) in &mut self.0 {
            *value = pointer.get(store);
        }
    }

    /// Resets all to the noted values.
    pub(super) fn put_back(&self, store: &mut impl AsStoreMut) {
        for (pointer, value) in &self.0 {
            // Cannot fail: the value has the global's type, as it came from it.
            let _ = pointer.set(store, value.clone());
        }
    }
}

/// The names of the modules with a mutable `i32` global, which may be a stack pointer, but no identified one. Command
/// libraries are left out, as none of their instances is used twice.
pub(super) fn untold(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.modules.iter().filter(|linked| linked.kind != Kind::Command).filter_map(|linked| {
        let info = linked.module.info();
        let mut globals = info.globals.values();
        let may_have_one = globals.any(|ty| ty.mutability.is_mutable() && ty.ty == Type::I32);
        let is_told = matches!(info.exports.get(reserved::STACK_POINTER_EXPORT), Some(ExportIndex::Global(_)));
        (may_have_one && !is_told).then_some(linked.name.as_str())
    })
}
