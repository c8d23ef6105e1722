//! What a plugin may ask of the network, and the asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::hosts::Hosts;
use super::http::Answer;
use crate::guest::Fault;
use crate::http::{self, Request, Rules};
use crate::interrupt::{Stopped, Watch};
use crate::log as sink;

/// How long an answer may be if the manifest does not say: the limit of every Extism.
const DEFAULT_MAX_BYTES: u64 = 50 << 20;

/// Where a plugin's requests may go, and how much may come back.
#[derive(Debug)]
pub(crate) struct Network {
    hosts: Hosts,
    /// In bytes.
    max_bytes: u64,
}

/// A request as plugins write it. Extism 0.1.0 called the headers `header`; keys that are not known are ignored.
#[derive(Deserialize)]
struct Query {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default, alias = "header", deserialize_with = "headers")]
    headers: Vec<(String, String)>,
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let map = Option::<serde_json::Map<String, serde_json::Value>>::deserialize(deserializer)?;
    let text = |(name, value)| match value {
        serde_json::Value::String(value) => Ok((name, value)),
        _ => Err(D::Error::custom(format_args!("the header `{name}` is not a string"))),
    };
    map.unwrap_or_default().into_iter().map(text).collect()
}

impl Network {
    /// A plugin that reaches the hosts matched by `allowed`, and no other.
    pub(crate) fn new(allowed: &[String], max_bytes: Option<u64>) -> Self {
        Self { hosts: Hosts::new(allowed), max_bytes: max_bytes.unwrap_or(DEFAULT_MAX_BYTES) }
    }

    /// Sends the request that `query` describes in JSON. A thread of its own does it: what may make it wait, such as the system's
    /// look-up of names, cannot be told to stop, and is left to itself when the plugin shall stop.
    ///
    /// # Errors
    /// It is none, may not be sent, or is not answered, at all, before `deadline`, or before the plugin shall stop.
    pub(super) fn ask(
        self: Arc<Self>,
        query: Vec<u8>,
        body: Option<Vec<u8>>,
        deadline: Option<Instant>,
        watch: Watch,
    ) -> Result<Answer, Fault> {
        let (notice, answer) = Notice::new();
        let ask = move || notice.of(|is_wanted| self.ask_here(&query, body, deadline, is_wanted));
        let asking = thread::Builder::new().name("extism-http".to_owned()).spawn(ask);
        asking.map_err(|error| Fault::HttpRequest(format!("there is no thread that could send it: {error}")))?;
        answer.wait(watch)
    }

    fn ask_here(
        &self,
        query: &[u8],
        body: Option<Vec<u8>>,
        deadline: Option<Instant>,
        is_wanted: &AtomicBool,
    ) -> Result<Answer, Fault> {
        let query: Query = serde_json::from_slice(query).map_err(|error| Fault::HttpRequest(error.to_string()))?;
        let mut request = Request::new(query.method.as_deref().unwrap_or("GET"), &query.url)?;
        for (name, value) in &query.headers {
            if !request.header(name, value)? {
                let line = format_args!("http request: header `{name}` is the client's own, it is ignored");
                sink::record(log::Level::Debug, sink::TARGET, line);
            }
        }
        if let Some(body) = body {
            request.body(body.into());
        }
        let rules = Rules { permits: &|url| self.hosts.permit(url), deadline };
        let mut response = http::send(request, &rules)?;
        let body =
            response.read(self.max_bytes, "memory.max_http_response_bytes", |_| is_wanted.load(Ordering::Relaxed))?;
        let headers = response.headers.into_iter().collect();
        Ok(Answer { status: response.status, headers, body })
    }
}

type Outcome = Result<Answer, Fault>;

/// What the asking thread has; when it goes, whatever it has come to, the waiting thread is woken.
struct Notice {
    // The first to go.
    sender: SyncSender<Outcome>,
    is_wanted: Arc<AtomicBool>,
    _wake: Wake,
}

struct Wake(Thread);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

/// How long a request may take to notice that its time is over.
const GRACE: Duration = Duration::from_millis(20);

/// What the waiting thread has.
struct Answering {
    receiver: Receiver<Outcome>,
    is_wanted: Arc<AtomicBool>,
}

impl Notice {
    fn new() -> (Self, Answering) {
        let (sender, receiver) = mpsc::sync_channel(1);
        let is_wanted = Arc::new(AtomicBool::new(true));
        let answering = Answering { receiver, is_wanted: Arc::clone(&is_wanted) };
        (Self { sender, is_wanted, _wake: Wake(thread::current()) }, answering)
    }

    /// Does the work and tells of it.
    fn of(self, work: impl FnOnce(&AtomicBool) -> Outcome) {
        let _ = self.sender.send(work(&self.is_wanted));
    }
}

impl Answering {
    fn wait(self, watch: Watch) -> Outcome {
        let mut outcome = None;
        watch.wait(None, || {
            outcome = match self.receiver.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(Fault::HttpRequest("it has failed inside".to_owned()))),
            };
            outcome.is_some()
        });
        if outcome.is_none() && watch.reason() == Some(Stopped::Timeout) {
            // The request has the same deadline, and knows better what it was waiting for.
            outcome = self.receiver.recv_timeout(GRACE).ok();
        }
        self.is_wanted.store(false, Ordering::Relaxed);
        match outcome {
            Some(Err(fault)) => Err(fault),
            Some(Ok(answer)) if watch.reason().is_none() => Ok(answer),
            _ => {
                watch.stop();
                Err(Fault::Stopped)
            }
        }
    }
}
