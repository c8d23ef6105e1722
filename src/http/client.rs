//! Who makes the connections, and gives them up.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};

use super::guard::Guard;
use crate::sync::{Lazy, PerProcess};

/// How long it may take to find a server's address, and to connect to it.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may be silent.
const STALL: Duration = Duration::from_secs(30);

/// Makes the connections of one request, or of any number of them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Connects to link-local addresses too.
    pub(super) open: Agent,
    /// Does not.
    pub(super) guarded: Agent,
}

/// Counts threads that wait for the network, and the bytes that they would send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    threads: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.threads.load(Ordering::Relaxed)
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// One more, until what is returned is dropped.
    pub(crate) fn one(&self, bytes: usize) -> OneWaiting {
        self.0.threads.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        OneWaiting { all: self.clone(), bytes }
    }
}

/// See [`Waiting::one`].
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
    /// One whose threads are counted in `waiting`.
    pub(crate) fn new(waiting: &Waiting) -> Self {
        let agent = |open| agent(Guard { open, waiting: waiting.clone() });
        Self { open: agent(true), guarded: agent(false) }
    }

    /// Ends the connections that are there, whatever is waited for, and makes no more. Who is looking up a host, or connecting, comes
    /// to the end of that.
    pub(crate) fn give_up(self) {
        self.open.shutdown();
        self.guarded.shutdown();
    }
}

/// What all agents are made with. Made at the first use of the library: `ureq` looks for proxies in the environment when it is, which
/// are not used.
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

/// See [`CONFIG`].
pub(crate) fn begin() {
    let _ = &*CONFIG;
}

/// The one that all agents have, with what it keeps for TLS.
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
