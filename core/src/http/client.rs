//! Makes connections, counts the threads that wait for them, and closes them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};

use super::guard::Guard;
use crate::sync::{Lazy, PerProcess};

/// The timeout for looking up a server's address, and for connecting to it.
const CONNECT: Duration = Duration::from_secs(10);

/// The timeout for each read and write.
const STALL: Duration = Duration::from_secs(30);

/// Makes the connections of any number of requests.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// May connect to link-local addresses.
    pub(super) open: Agent,
    /// Refuses link-local addresses.
    pub(super) guarded: Agent,
}

/// Counts the threads that wait for the network, and the bytes that they send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    threads: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// The number of waiting threads.
    pub(crate) fn count(&self) -> usize {
        self.0.threads.load(Ordering::Relaxed)
    }

    /// The number of bytes that they hold to send.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Counts one more thread, until the returned value is dropped.
    pub(crate) fn one(&self, bytes: usize) -> OneWaiting {
        self.0.threads.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        OneWaiting { all: self.clone(), bytes }
    }
}

/// A thread counted by [`Waiting::one`].
#[derive(Debug)]
pub(crate) struct OneWaiting {
    all: Waiting,
    bytes: usize,
}

impl Drop for OneWaiting {
    fn drop(&mut self) {
        self.all.0.threads.fetch_sub(1, Ordering::Relaxed);
        self.all.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Client {
    /// A client whose threads `waiting` counts.
    pub(crate) fn new(waiting: &Waiting) -> Self {
        let agent = |open| agent(Guard { open, waiting: waiting.clone() });
        Self { open: agent(true), guarded: agent(false) }
    }

    /// Shuts down all connections at once, and makes no more. A host look-up or a connect in progress runs to its end.
    pub(crate) fn give_up(self) {
        self.open.shutdown();
        self.guarded.shutdown();
    }
}

/// The configuration of all agents. Built at the library's first use, because `ureq` then looks for proxies in the
/// environment; the proxies it finds are not used.
static CONFIG: Lazy<Config> = Lazy::new(|| {
    Agent::config_builder()
        .user_agent(concat!("extism-wasmer/", env!("CARGO_PKG_VERSION")))
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_idle_connections(0)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(STALL))
        .timeout_per_write(Some(STALL))
        .build()
});

/// Builds [`CONFIG`].
pub(crate) fn begin() {
    let _ = &*CONFIG;
}

/// The connector of all agents, which share its TLS state.
#[derive(Debug)]
struct SharedConnector;

impl Connector for SharedConnector {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        static CONNECTOR: PerProcess<DefaultConnector> = PerProcess::new();
        let Ok(connector) = CONNECTOR.get_or_make(|| Ok::<_, Infallible>(DefaultConnector::default()));
        connector.connect(details, chained)
    }
}

fn agent(resolver: Guard) -> Agent {
    Agent::with_parts(CONFIG.clone(), SharedConnector, resolver)
}
