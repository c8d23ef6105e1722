//! Wraps host functions in two yield points, before and after their work. No signal stops a plugin inside a host
//! function, and a plugin that calls them in a loop is there most of the time. Longer work has more (`slices.rs`).

use wasmer::{FromToNativeWasmType, Function, FunctionEnv, FunctionEnvMut, RuntimeError, StoreMut, WasmTypeList};

use super::guest::Guest;
use super::slices::yield_point;

/// A Rust function with these `Arguments` that can be made a host function.
pub(crate) trait Watched<Arguments> {
    fn make(self, store: &mut StoreMut<'_>, guest: &FunctionEnv<Guest>) -> Function;
}

/// The return type of such a Rust function: a value, or a `Result` with one.
pub(crate) trait HostReturn {
    type Value: WasmTypeList;

    fn result(self) -> Result<Self::Value, RuntimeError>;
}

impl<T: WasmTypeList> HostReturn for Result<T, RuntimeError> {
    type Value = T;

    fn result(self) -> Self {
        self
    }
}

macro_rules! values {
    ($($value:ty),*) => {$(
        impl HostReturn for $value {
            type Value = $value;

            fn result(self) -> Result<$value, RuntimeError> {
                Ok(self)
            }
        }
    )*};
}
values!((), i32, u32, u64);

macro_rules! watched {
    ($($argument:ident: $type:ident),*) => {
        impl<F, R, $($type),*> Watched<($($type,)*)> for F
        where
            F: Fn(FunctionEnvMut<'_, Guest>, $($type),*) -> R + Send + Sync + 'static,
            R: HostReturn,
            $($type: FromToNativeWasmType + 'static,)*
        {
            fn make(self, store: &mut StoreMut<'_>, guest: &FunctionEnv<Guest>) -> Function {
                Function::new_typed_with_env(store, guest, move |env: FunctionEnvMut<'_, Guest>, $($argument: $type),*| {
                    let watch = env.data().watch;
                    yield_point(watch)?;
                    let result = self(env, $($argument),*).result()?;
                    yield_point(watch)?;
                    Ok::<_, RuntimeError>(result)
                })
            }
        }
    };
}
watched!();
watched!(a: A);
watched!(a: A, b: B);
