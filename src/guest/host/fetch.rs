//! What a plugin may ask of the network, and the asking.

use std::time::Instant;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::hosts::Hosts;
use super::http::Answer;
use crate::guest::Fault;
use crate::http::{self, Request, Rules};
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

    /// Sends the request that `query` describes in JSON.
    ///
    /// # Errors
    /// It is none, may not be sent, or is not answered, at all or before `deadline`.
    pub(super) fn ask(&self, query: &[u8], body: Option<Vec<u8>>, deadline: Option<Instant>) -> Result<Answer, Fault> {
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
        let body = response.read(self.max_bytes, "memory.max_http_response_bytes", |_| {})?;
        let headers = response.headers.into_iter().collect();
        Ok(Answer { status: response.status, headers, body })
    }
}
