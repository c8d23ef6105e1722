//! Makes connections, and closes them.

use std::convert::Infallible;

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};

use super::guard::Guard;
use super::limits::{CONNECT, STALL};
use super::waiting::Waiting;
use crate::sync::{Lazy, PerProcess};

/// Makes the connections of any number of requests.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// May connect to link-local addresses.
    pub(super) open: Agent,
    /// Refuses link-local addresses.
    pub(super) guarded: Agent,
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
