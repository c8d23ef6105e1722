//! One HTTP client, for modules and for plugins: each hop of a request is asked for, each address is looked at before
//! it is connected to, and time and size have limits.
//!
//! Each hop has a connection of its own. One that is kept for the next request can be closed by the server at the moment
//! when that is sent, and nobody could say whether it has arrived.

mod address;
mod guard;
mod proxy;
mod request;

use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use thiserror::Error;
use ureq::http::{self, Method};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};
use ureq::{Agent, AsSendBody, Body};
pub(crate) use url::{Host, Url};

use address::is_link_local;
use guard::{Guard, LinkLocal};
use request::MAX_HEAD;
pub(crate) use request::Request;

/// How often an answer may send the request elsewhere.
const MAX_REDIRECTS: usize = 10;

/// How long it may take to find a server's address, and to connect to it.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may be silent.
const STALL: Duration = Duration::from_secs(30);

/// How long a request may take in all, where its deadline is not closer.
const TOTAL: Duration = Duration::from_secs(600);

/// Where a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permission {
    Denied,
    /// Anywhere but to link-local addresses, which mean the machine's own surroundings: a cloud's metadata, say.
    NotLinkLocal,
    Anywhere,
}

/// What a request is held to.
pub(crate) struct Rules<'a> {
    /// Asked before each hop.
    pub(crate) permits: &'a dyn Fn(&Url) -> Permission,
    pub(crate) deadline: Option<Instant>,
    pub(crate) client: &'a Client,
}

/// Makes the connections of one request, or of any number of them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Connects to link-local addresses too.
    open: Agent,
    /// Does not.
    guarded: Agent,
}

/// Counts threads that wait for the network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, until what is returned is dropped.
    pub(crate) fn one(&self) -> OneWaiting {
        self.0.fetch_add(1, Ordering::Relaxed);
        OneWaiting(Arc::clone(&self.0))
    }
}

/// See [`Waiting::one`].
#[derive(Debug)]
pub(crate) struct OneWaiting(Arc<AtomicUsize>);

impl Drop for OneWaiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("Invalid URL: `{url}`: {cause}")]
    BadUrl { url: String, cause: url::ParseError },
    #[error("{0}: more than {MAX_HEAD} bytes")]
    TooMuch(&'static str),
    #[error("{name}: `{value}` is no proxy that can be used: http://HOST:PORT, or https")]
    Proxy { name: &'static str, value: String },
    #[error("`{0}`: only http and https addresses can be fetched")]
    Scheme(String),
    #[error("`{0}` is not a method of HTTP that can be used here")]
    Method(String),
    #[error("header `{0}`: not a name and value of HTTP")]
    Header(String),
    #[error("HTTP request to {url} is not allowed{via}")]
    Denied { url: String, via: Via },
    #[error("`{url}` is at {address}, a link-local address, which is reached only if named as such{via}")]
    LinkLocal { url: String, address: IpAddr, via: Via },
    #[error("`{url}`: more than {MAX_REDIRECTS} redirects{via}")]
    Redirects { url: String, via: Via },
    #[error("`{url}`: redirect to `{target}`: {cause}")]
    BadRedirect { url: String, target: String, cause: url::ParseError },
    #[error("`{url}`: timeout while {phase}{via}")]
    Timeout { url: String, phase: &'static str, via: Via },
    #[error("`{url}`: {cause}{via}")]
    Failed { url: String, cause: String, via: Via },
    #[error("`{url}`: the answer is longer than the limit of {max} bytes ({setting}){via}")]
    TooLong { url: String, max: u64, setting: &'static str, via: Via },
}

/// An address, or whatever stands for one, as errors show it: not all of it if it is long, and without the password.
fn shown(text: &str) -> String {
    const MOST: usize = 1000;
    let start = text.find("//").map_or(0, |at| at + 2);
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    let host = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
    let short = &text[host..text.floor_char_boundary(host + MOST).max(host)];
    let rest = if host + short.len() < text.len() { "..." } else { "" };
    format!("{}{short}{rest}", &text[..text.floor_char_boundary(start.min(MOST))])
}

/// The address that a request was for at first, if it has been sent elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Via(Option<String>);

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(first) => write!(f, " (redirected from `{first}`)"),
            None => Ok(()),
        }
    }
}

/// An answer, whose body is still to be read.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case; several values of one name are joined by commas.
    pub(crate) headers: Vec<(String, String)>,
    /// Where it came from in the end.
    url: Url,
    via: Via,
    /// Such an answer has a body.
    has_body: bool,
    body: Body,
}

/// Sends a request, and follows redirects as far as `rules` permit.
///
/// # Errors
/// A hop is not permitted, a server cannot be reached or breaks the protocol, or it takes too long. A status of 400 or
/// more is an answer.
pub(crate) fn send(mut request: Request<'_>, rules: &Rules<'_>) -> Result<Response, Error> {
    let first = request.url.clone();
    let start = Instant::now();
    let deadline = rules.deadline.map_or(start + TOTAL, |deadline| deadline.min(start + TOTAL));
    for hop in 0..=MAX_REDIRECTS {
        let via = Via((hop > 0).then(|| shown(first.as_str())));
        let response = send_once(&request, rules, deadline, via)?;
        let Some(target) = response.redirect() else { return Ok(response) };
        let next = request.url.join(target).map_err(|cause| Error::BadRedirect {
            url: shown(request.url.as_str()),
            target: shown(target),
            cause,
        })?;
        request.redirect(response.status, next)?;
    }
    Err(Error::Redirects { url: shown(request.url.as_str()), via: Via(Some(shown(first.as_str()))) })
}

/// What `permits` says of the first hop of a request.
///
/// # Errors
/// It must not be sent.
pub(crate) fn check(request: &Request<'_>, permits: impl Fn(&Url) -> Permission) -> Result<(), Error> {
    permission(&request.url, &permits, &Via(None)).map(drop)
}

fn permission(url: &Url, permits: &dyn Fn(&Url) -> Permission, via: &Via) -> Result<Permission, Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Scheme(format!("{}{via}", shown(url.as_str()))));
    }
    match permits(url) {
        Permission::Denied => Err(Error::Denied { url: shown(url.as_str()), via: via.clone() }),
        permission => Ok(permission),
    }
}

/// Sends a request to where it asks, and no further.
fn send_once(request: &Request<'_>, rules: &Rules<'_>, deadline: Instant, via: Via) -> Result<Response, Error> {
    let url = &request.url;
    let agent = match (permission(url, rules.permits, &via)?, address_of(url)) {
        (Permission::NotLinkLocal, Some(address)) if is_link_local(address) => {
            return Err(Error::LinkLocal { url: shown(url.as_str()), address, via });
        }
        (Permission::Anywhere, _) => &rules.client.open,
        _ => &rules.client.guarded,
    };
    let failed = |error| failure(url, via.clone(), error);
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(failed(ureq::Error::Timeout(ureq::Timeout::Global)));
    }
    let proxy = proxy::of(url)?;
    let mut builder = http::Request::builder().method(&request.method).uri(url.as_str());
    let condition = request.condition.as_ref().filter(|condition| condition.url == url.as_str());
    for (name, value) in condition.map(|condition| &condition.headers).into_iter().chain([&request.headers]).flatten() {
        builder = builder.header(name, value);
    }
    // A method that has a body says so even of an empty one.
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let answer = match request.body.as_deref().or(has_body.then_some(&[])) {
        Some(body) => run(agent, builder, body, proxy, left),
        None => run(agent, builder, (), proxy, left),
    };
    let (parts, body) = answer.map_err(failed)?.into_parts();
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match headers.iter_mut().find(|(other, _)| other == name.as_str()) {
            Some((_, values)) => *values = format!("{values}, {value}"),
            None => headers.push((name.to_string(), value.into_owned())),
        }
    }
    let status = parts.status.as_u16();
    // What a header says of the encoding is of a body that there would be.
    let has_body = request.method != Method::HEAD && status != 204 && status != 304;
    Ok(Response { status, headers, url: url.clone(), via, has_body, body })
}

fn run(
    agent: &Agent,
    builder: http::request::Builder,
    body: impl AsSendBody,
    proxy: Option<ureq::Proxy>,
    left: Duration,
) -> Result<http::Response<Body>, ureq::Error> {
    let message = agent.configure_request(builder.body(body)?).proxy(proxy).timeout_global(Some(left)).build();
    agent.run(message)
}

impl Response {
    /// The value of a header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Where the answer sends the request, if it does.
    fn redirect(&self) -> Option<&str> {
        matches!(self.status, 301 | 302 | 303 | 307 | 308).then(|| self.header("location")).flatten()
    }

    /// Reads the body, and shows each piece of it to `each`. `setting` says where the limit of `max` bytes is from.
    ///
    /// # Errors
    /// It is longer, ends early, is not what its encoding says, or takes too long.
    pub(crate) fn read(
        &mut self,
        max: u64,
        setting: &'static str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Vec<u8>, Error> {
        if !self.has_body {
            return Ok(Vec::new());
        }
        let (url, via) = (shown(self.url.as_str()), self.via.clone());
        let too_long = move || Error::TooLong { url, max, setting, via };
        let expected = self.body.content_length().unwrap_or(0);
        if expected > max {
            return Err(too_long());
        }
        // A server can promise much: memory is taken as the bytes come.
        let mut bytes = Vec::with_capacity(usize::try_from(expected.min(1 << 20)).unwrap_or(0));
        let mut piece = vec![0; 64 << 10];
        let mut reader = self.body.as_reader();
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) => return Ok(bytes),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failure(&self.url, self.via.clone(), error.into())),
            };
            if (bytes.len() + count) as u64 > max {
                return Err(too_long());
            }
            each(&piece[..count]);
            bytes.extend_from_slice(&piece[..count]);
        }
    }

    /// Where it came from in the end.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Where it came from, and how, for errors.
    pub(crate) fn origin(&self) -> String {
        format!("`{}`{}", shown(self.url.as_str()), self.via)
    }
}

fn failure(url: &Url, via: Via, error: ureq::Error) -> Error {
    let text = shown(url.as_str());
    match error {
        ureq::Error::Timeout(phase) => Error::Timeout { url: text, phase: describe(phase), via },
        ureq::Error::Other(other) if other.is::<LinkLocal>() => match other.downcast::<LinkLocal>() {
            Ok(found) => Error::LinkLocal { url: text, address: found.0, via },
            Err(other) => Error::Failed { url: text, cause: other.to_string(), via },
        },
        ureq::Error::Io(cause) => Error::Failed { url: text, cause: cause.to_string(), via },
        ureq::Error::HostNotFound => Error::Failed { url: text, cause: "there is no such host".to_owned(), via },
        other => Error::Failed { url: text, cause: other.to_string(), via },
    }
}

fn describe(phase: ureq::Timeout) -> &'static str {
    match phase {
        ureq::Timeout::Resolve => "looking up the host",
        ureq::Timeout::Connect => "connecting",
        ureq::Timeout::SendRequest | ureq::Timeout::SendBody => "sending",
        ureq::Timeout::RecvResponse | ureq::Timeout::RecvBody | ureq::Timeout::PerRead => "waiting for the answer",
        _ => "waiting for the server",
    }
}

/// The address, if that is what the URL has for a host.
fn address_of(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// The one that all agents have, with what it keeps for TLS.
#[derive(Debug)]
struct SharedConnector;

impl Connector for SharedConnector {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        static CONNECTOR: LazyLock<DefaultConnector> = LazyLock::new(DefaultConnector::default);
        CONNECTOR.connect(details, chained)
    }
}

fn agent(resolver: Guard) -> Agent {
    let config = Agent::config_builder()
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
        .build();
    Agent::with_parts(config, SharedConnector, resolver)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn errors_show_neither_passwords_nor_everything() {
        assert_eq!(shown("http://user:secret@host/path?query"), "http://host/path?query");
        assert_eq!(shown("http://user:se@cret@host"), "http://host");
        assert_eq!(shown("http://user:secret@ho st/a@b"), "http://ho st/a@b");
        assert_eq!(shown("//a:b@host/"), "//host/");
        assert_eq!(shown("user:secret@host"), "host");
        assert_eq!(shown("name"), "name");
        let long = shown(&format!("http://host/{}", "é".repeat(5000)));
        assert!(long.len() < 1100 && long.ends_with("é..."), "{long}");
        assert!(shown(&"x".repeat(1 << 20)).len() < 2100);
    }
}
