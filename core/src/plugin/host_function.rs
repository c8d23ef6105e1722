//! Host functions: functions of the host program that plugins import.

use std::fmt;
use std::sync::Arc;

use thiserror::Error as ThisError;
use wasmer::{
    AsStoreMut, FromToNativeWasmType, Function, FunctionEnv, FunctionEnvMut, FunctionType, RuntimeError, StoreMut, Type,
    Value, WasmTypeList,
};

use super::current_plugin::CurrentPlugin;
use super::value::{Val, ValType};
use crate::host::{Guest, yield_point};

/// The work of a host function: it gets the plugin that calls it, the arguments, and the results, which are 0 before. An
/// error ends the plugin's call, with this text.
///
/// It runs on the thread that called the plugin, and may use other plugins, but not that one.
pub type HostFunctionBody = dyn Fn(&mut CurrentPlugin<'_>, &[Val], &mut [Val]) -> Result<(), String> + Send + Sync;

/// A function of the host program that plugins may import. Copies share the body, which is dropped with the last.
#[derive(Clone)]
pub struct HostFunction {
    /// The import's module, such as `extism:host/user`.
    pub namespace: Arc<str>,
    /// The import's name.
    pub name: Arc<str>,
    /// The types of its parameters: those of the import must be the same.
    pub parameters: Arc<[ValType]>,
    /// The types of its results.
    pub results: Arc<[ValType]>,
    /// Its work.
    pub body: Arc<HostFunctionBody>,
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{} {:?} -> {:?}", self.namespace, self.name, self.parameters, self.results)
    }
}

/// A host function has failed, for a reason that it gives itself.
#[derive(Debug, ThisError)]
#[error("{0}")]
struct Failed(String);

impl HostFunction {
    /// The function as the modules in `store` import it.
    ///
    /// Wasmer calls functions whose types Rust knows three times as fast as others: those with up to three parameters,
    /// integers, and no result or an integer. This is how most host functions are.
    pub(super) fn make(&self, store: &mut impl AsStoreMut, guest: &FunctionEnv<Guest>) -> Function {
        let mut maker = Maker { store: store.as_store_mut(), guest, function: self };
        maker.after0(&self.parameters).unwrap_or_else(|| maker.untyped())
    }
}

/// Calls `body`, between two yield points.
fn call(
    env: &mut FunctionEnvMut<'_, Guest>,
    body: &HostFunctionBody,
    arguments: &[Val],
    results: &mut [Val],
) -> Result<(), RuntimeError> {
    let watch = env.data().watch;
    yield_point(watch)?;
    let (guest, store) = env.data_and_store_mut();
    let mut plugin = CurrentPlugin::new(guest, store);
    let result = watch.away(|| body(&mut plugin, arguments, results));
    drop(plugin);
    yield_point(watch)?;
    result.map_err(|text| RuntimeError::user(Box::new(Failed(text))))
}

/// Makes Wasmer's function of a host function.
struct Maker<'a> {
    store: StoreMut<'a>,
    guest: &'a FunctionEnv<Guest>,
    function: &'a HostFunction,
}

/// An integer type that typed functions have.
trait Integer: FromToNativeWasmType + Copy + 'static {
    fn to_val(self) -> Val;
}

/// The result of a typed function.
trait Returned: WasmTypeList {
    /// The first of `results`, if this has one. Its type is the declared one, whatever the host function wrote.
    fn of(results: &[Val]) -> Self;
}

impl Integer for i32 {
    fn to_val(self) -> Val {
        Val::I32(self)
    }
}

impl Integer for i64 {
    fn to_val(self) -> Val {
        Val::I64(self)
    }
}

impl Returned for () {
    fn of(_: &[Val]) -> Self {}
}

impl Returned for i32 {
    fn of(results: &[Val]) -> Self {
        if let Some(Val::I32(number)) = results.first() { *number } else { 0 }
    }
}

impl Returned for i64 {
    fn of(results: &[Val]) -> Self {
        if let Some(Val::I64(number)) = results.first() { *number } else { 0 }
    }
}

/// One step through the types of a host function: `$step` knows the types of the first parameters, and asks for the next.
macro_rules! step {
    ($step:ident, $make:ident, $next:ident: $($argument:ident: $parameter:ident),*) => {
        /// A typed function whose parameters are these types, then `rest`; `None` if there is none for these types.
        fn $step<$($parameter: Integer),*>(&mut self, rest: &[ValType]) -> Option<Function> {
            match rest {
                [] => match *self.function.results {
                    [] => Some(self.$make::<$($parameter,)* ()>()),
                    [ValType::I32] => Some(self.$make::<$($parameter,)* i32>()),
                    [ValType::I64] => Some(self.$make::<$($parameter,)* i64>()),
                    _ => None,
                },
                [ValType::I32, rest @ ..] => self.$next::<$($parameter,)* i32>(rest),
                [ValType::I64, rest @ ..] => self.$next::<$($parameter,)* i64>(rest),
                _ => None,
            }
        }

        fn $make<$($parameter: Integer,)* Result_: Returned + 'static>(&mut self) -> Function {
            let body = Arc::clone(&self.function.body);
            let zero: Vec<Val> = self.function.results.iter().map(|ty| ty.zero()).collect();
            let zero = zero.first().copied();
            let work = move |mut env: FunctionEnvMut<'_, Guest>, $($argument: $parameter),*| {
                let mut result = [zero.unwrap_or(Val::I32(0))];
                let results = if zero.is_some() { &mut result[..] } else { &mut [] };
                call(&mut env, &*body, &[$($argument.to_val()),*], results)?;
                Ok::<_, RuntimeError>(Result_::of(&result))
            };
            Function::new_typed_with_env(&mut self.store, self.guest, work)
        }
    };
}

impl Maker<'_> {
    step!(after0, make0, after1:);
    step!(after1, make1, after2: a: A);
    step!(after2, make2, after3: a: A, b: B);
    step!(after3, make3, after4: a: A, b: B, c: C);

    /// There are no typed functions of more than three parameters.
    fn after4<A, B, C, D>(&mut self, _: &[ValType]) -> Option<Function> {
        None
    }

    fn untyped(&mut self) -> Function {
        let types = |types: &[ValType]| types.iter().map(|ty| ty.to_wasmer()).collect::<Vec<Type>>();
        let HostFunction { parameters, results, body, .. } = self.function;
        let ty = FunctionType::new(types(parameters), types(results));
        let (body, zeros) = (Arc::clone(body), results.iter().map(|ty| ty.zero()).collect::<Vec<_>>());
        let work = move |mut env: FunctionEnvMut<'_, Guest>, arguments: &[Value]| {
            // All are numbers, as the function's type says.
            let arguments: Vec<Val> = arguments.iter().filter_map(Val::of).collect();
            let mut results = zeros.clone();
            call(&mut env, &*body, &arguments, &mut results)?;
            Ok(results.into_iter().map(Val::to_wasmer).collect())
        };
        Function::new_with_env(&mut self.store, self.guest, ty, work)
    }
}
