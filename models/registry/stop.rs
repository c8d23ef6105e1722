//! Cancelling, as far as the registry uses it.

use shuttle::sync::{Arc, Mutex, MutexGuard};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Running,
    Cancelled,
    /// The plugin has been freed.
    Gone,
}

/// The state of a plugin's run.
#[derive(Debug, Default)]
pub(crate) struct State(Mutex<Phase>);

/// A run of a plugin, until it is dropped.
pub(crate) struct Run<'a>(&'a State);

impl State {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().expect("a panic ends the model")
    }

    pub(crate) fn run(&self) -> Run<'_> {
        *self.phase() = Phase::Running;
        Run(self)
    }

    pub(crate) fn end(&self) {
        *self.phase() = Phase::Gone;
    }
}

impl Run<'_> {
    pub(crate) fn is_cancelled(&self) -> bool {
        *self.0.phase() == Phase::Cancelled
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        *self.0.phase() = Phase::Idle;
    }
}

/// Shared by all copies. The library's handle is a plain address that stays valid for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handle(&'static State);

impl Handle {
    pub(crate) fn new(state: &Arc<State>) -> Self {
        // Leaked: a model runs for a short time, and its process ends with it.
        Self(Box::leak(Box::new(Arc::clone(state))))
    }

    pub(crate) fn cancel(&self) -> bool {
        let mut phase = self.0.phase();
        let is_running = matches!(*phase, Phase::Running | Phase::Cancelled);
        if is_running {
            *phase = Phase::Cancelled;
        }
        is_running
    }
}
