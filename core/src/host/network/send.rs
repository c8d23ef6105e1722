//! Sends a plugin's requests, each on a thread of its own.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::answer::Answer;
use super::hosts::Hosts;
use super::notice::Notice;
use crate::error::{Excerpt, Message};
use crate::host::fault::Fault;
use crate::host::logs::Logs;
use crate::host::slices::copy;
use crate::http::{self, Client, Request, Rules, Waiting};
use crate::manifest;
use crate::stop::Watch;

/// The longest answer if the manifest has no limit, in bytes: the limit of every Extism version.
const DEFAULT_MAX_BYTES: u64 = 50 << 20;

/// The longest JSON of a request, in bytes: several times the limit of its address and headers.
const MAX_QUERY: usize = 1 << 20;

/// The most threads of abandoned requests. All they can still do is to look up a host or to connect to it.
const MAX_LEFT: usize = 8;

/// The number of bytes that the bodies of abandoned requests and of the next request may have together.
const MAX_LEFT_BYTES: usize = 64 << 20;

/// One plugin's access to the network: the servers that it may reach, and limits.
#[derive(Debug)]
pub(crate) struct Network {
    hosts: Hosts,
    /// The longest answer in bytes.
    max_bytes: u64,
    waiting: Waiting,
}

/// A request in a plugin's JSON. Extism 0.1.0 called the headers `header`. Unknown keys are ignored.
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
        _ => Err(D::Error::custom(format_args!("the header `{}` is not a string", Excerpt::of(name)))),
    };
    map.unwrap_or_default().into_iter().map(text).collect()
}

impl Network {
    /// Access to the hosts that match `allowed`, and to no others.
    pub(crate) fn new(allowed: &[String], max_bytes: Option<u64>) -> Self {
        Self {
            hosts: Hosts::new(allowed),
            max_bytes: max_bytes.unwrap_or(DEFAULT_MAX_BYTES),
            waiting: Waiting::default(),
        }
    }

    /// Sends the request that `query` describes in JSON, on a thread of its own. Blocking calls such as the system's
    /// name look-up cannot always be interrupted: the thread is abandoned if the plugin shall stop.
    ///
    /// # Errors
    /// The query is malformed or not permitted, or there is no answer before the deadline or before the plugin shall
    /// stop.
    pub(crate) fn ask(
        self: Arc<Self>,
        query: &[u8],
        body: Option<&[u8]>,
        logs: &Logs,
        watch: Watch,
    ) -> Result<Answer, Fault> {
        let mut request = self.request(query, logs)?;
        http::check(&request, |url| self.hosts.permit(url))?;
        let left = self.waiting.count();
        if left >= MAX_LEFT {
            let text = format!(
                "{left} threads of earlier ones, which were stopped, are still connecting or looking up a host"
            );
            return Err(Fault::HttpRequest(Message::of(text)));
        }
        let bytes = body.map_or(0, <[u8]>::len);
        let held = self.waiting.bytes();
        if left > 0 && held.saturating_add(bytes) > MAX_LEFT_BYTES {
            let text = format!(
                "its body of {bytes} bytes has to wait: earlier ones, which were stopped, still hold {held}, and all together may \
                 hold {MAX_LEFT_BYTES}"
            );
            return Err(Fault::HttpRequest(Message::of(text)));
        }
        if let Some(body) = body {
            request.body(copy(body, watch)?.into());
        }
        let client = Client::new(&self.waiting);
        let (notice, answer) = Notice::new(client.clone());
        let (deadline, waiting) = (watch.deadline(), self.waiting.one(bytes));
        let ask = move || {
            let outcome = self.ask_here(request, deadline, &client);
            drop(waiting);
            notice.of(outcome);
        };
        let asking = thread::Builder::new().name("extism-http".to_owned()).stack_size(http::STACK).spawn(ask);
        asking.map_err(|error| {
            Fault::HttpRequest(Message::of(format_args!("there is no thread that could send it: {error}")))
        })?;
        answer.wait(watch)
    }

    fn request(&self, query: &[u8], logs: &Logs) -> Result<Request<'static>, Fault> {
        if query.len() > MAX_QUERY {
            let length = query.len();
            let text = format_args!("{length} bytes of JSON, at most {MAX_QUERY} may describe it");
            return Err(Fault::HttpRequest(Message::of(text)));
        }
        manifest::room_for(query).map_err(|error| Fault::HttpRequest(Message::of(error)))?;
        let query: Query = serde_json::from_slice(query).map_err(|error| Fault::HttpRequest(Message::of(error)))?;
        let mut request = Request::new(query.method.as_deref().unwrap_or("GET"), &query.url)?;
        for (name, value) in &query.headers {
            if !request.header(name, value)? {
                let line = format!("http request: header `{name}` is the client's own, it is ignored");
                logs.record(log::Level::Debug, &line);
            }
        }
        Ok(request)
    }

    fn ask_here(&self, request: Request<'_>, deadline: Option<Instant>, client: &Client) -> Result<Answer, Fault> {
        let rules = Rules { permits: &|url| self.hosts.permit(url), deadline, client };
        let mut response = http::send(request, &rules)?;
        let body = response.read(self.max_bytes, "memory.max_http_response_bytes", |_| {})?;
        let headers = response.headers.into_iter().collect();
        Ok(Answer { status: response.status, headers, body })
    }
}
