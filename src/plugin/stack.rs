//! The pointers of a plugin's instances into their own stacks, in memory. A trap leaves them where it came: where the
//! instances are used on after that (`"after_trap": "keep"`), they are put back.

use wasmer::{AsStoreMut, Global, Instance, Type, Value};
use wasmer_types::ExportIndex;

use super::link::{Kind, Plan};
use crate::guest;

/// The stack pointers of some instances, and what they were when they were noted last. Each instance has a stack of its own.
#[derive(Default)]
pub(super) struct StackPointers(Vec<(Global, Value)>);

impl StackPointers {
    /// Adds that of `instance`, if it can be told.
    pub(super) fn add(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        if let Ok(pointer) = instance.exports.get_global(guest::STACK_POINTER_EXPORT) {
            let value = pointer.get(store);
            self.0.push((pointer.clone(), value));
        }
    }

    /// Notes what they are now.
    pub(super) fn note(&mut self, store: &mut impl AsStoreMut) {
        for (pointer, value) in &mut self.0 {
            *value = pointer.get(store);
        }
    }

    /// Puts them back to what was noted.
    pub(super) fn put_back(&self, store: &mut impl AsStoreMut) {
        for (pointer, value) in &self.0 {
            // Cannot fail: it had this value.
            let _ = pointer.set(store, value.clone());
        }
    }
}

/// The names of the modules that may have a stack whose pointer cannot be told: it would be in a global that can change. Of
/// a command library no instance is used twice.
pub(super) fn untold(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.modules.iter().filter(|linked| linked.kind != Kind::Command).filter_map(|linked| {
        let info = linked.module.info();
        let mut globals = info.globals.values();
        let may_have_one = globals.any(|ty| ty.mutability.is_mutable() && ty.ty == Type::I32);
        let is_told = matches!(info.exports.get(guest::STACK_POINTER_EXPORT), Some(ExportIndex::Global(_)));
        (may_have_one && !is_told).then_some(linked.name.as_str())
    })
}
