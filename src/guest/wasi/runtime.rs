//! What wasmer-wasix needs below it: a tokio runtime for file operations and a task manager. Both are shared by all
//! plugins and made for the first one that imports WASI. The runtime is never driven: its file operations run on
//! tokio's blocking threads and wake the caller, which waits on its own thread. So it does not matter whether the
//! host runs tokio itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use wasmer_wasix::runtime::task_manager::TaskWasm;
use wasmer_wasix::{PluggableRuntime, Runtime, UnsupportedVirtualNetworking, VirtualTaskManager, WasiThreadError};

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    // Building fails only with I/O or signal drivers, which are not asked for.
    Builder::new_current_thread().build().expect("a runtime without drivers")
});

static SHARED: LazyLock<Arc<dyn Runtime + Send + Sync>> = LazyLock::new(|| {
    let mut runtime = PluggableRuntime::new(Arc::new(Tasks));
    runtime.set_networking_implementation(UnsupportedVirtualNetworking::default());
    Arc::new(runtime)
});

/// The runtime that file operations are spawned on.
pub(super) fn handle() -> &'static Handle {
    TOKIO.handle()
}

/// The runtime that every plugin's WASI stands on.
pub(super) fn shared() -> Arc<dyn Runtime + Send + Sync> {
    Arc::clone(&SHARED)
}

/// Sleeps and small tasks; no threads for plugins.
#[derive(Debug)]
struct Tasks;

impl VirtualTaskManager for Tasks {
    fn sleep_now(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + Sync + 'static>> {
        Box::pin(Sleep { until: Instant::now().checked_add(time), alarm: None })
    }

    fn task_shared(
        &self,
        task: Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static>,
    ) -> Result<(), WasiThreadError> {
        self.task_dedicated(Box::new(move || TOKIO.block_on(task())))
    }

    fn task_wasm(&self, _: TaskWasm) -> Result<(), WasiThreadError> {
        Err(WasiThreadError::Unsupported)
    }

    fn task_dedicated(&self, task: Box<dyn FnOnce() + Send + 'static>) -> Result<(), WasiThreadError> {
        thread::Builder::new().spawn(task).map(drop).map_err(|_| WasiThreadError::Unsupported)
    }

    fn thread_parallelism(&self) -> Result<usize, WasiThreadError> {
        Ok(1)
    }
}

/// Waits until a moment; `None` is beyond the clock's range. A thread of its own wakes it, and ends with it.
struct Sleep {
    until: Option<Instant>,
    alarm: Option<Alarm>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(());
        }
        let until = self.until;
        let alarm = self.alarm.get_or_insert_with(|| Alarm::set(until));
        // Without a thread to wake it, the sleep ends at once rather than never.
        if alarm.renew(context.waker()) { Poll::Pending } else { Poll::Ready(()) }
    }
}

struct Alarm(Option<Arc<(Mutex<AlarmState>, Condvar)>>);

#[derive(Default)]
struct AlarmState {
    waker: Option<Waker>,
    dropped: bool,
}

impl Alarm {
    fn set(until: Option<Instant>) -> Self {
        let shared = Arc::new((Mutex::new(AlarmState::default()), Condvar::new()));
        let thread = thread::Builder::new().name("extism-sleep".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || ring(&shared, until)
        });
        Self(thread.is_ok().then_some(shared))
    }

    fn renew(&self, waker: &Waker) -> bool {
        let Some(shared) = &self.0 else { return false };
        shared.0.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(waker.clone());
        true
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.0.lock().unwrap_or_else(PoisonError::into_inner).dropped = true;
            shared.1.notify_one();
        }
    }
}

fn ring(shared: &(Mutex<AlarmState>, Condvar), until: Option<Instant>) {
    const LONG: Duration = Duration::from_secs(3600);
    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.dropped {
        let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            return;
        }
        state = shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}
