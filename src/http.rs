//! One HTTP client, for modules and for plugins: each hop of a request is asked for, each address is looked at before
//! it is connected to, and time and size have limits.
//!
//! Each hop has a connection of its own. One that is kept for the next request can be closed by the server at the moment
//! when that is sent, and nobody could say whether it has arrived.

mod address;
mod proxy;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::LazyLock;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, AsSendBody, Body};
pub(crate) use url::{Host, Url};

use address::is_link_local;

/// How often an answer may send the request elsewhere.
const MAX_REDIRECTS: usize = 10;

/// How long it may take to find a server's address, and to connect to it.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may be silent.
const STALL: Duration = Duration::from_secs(30);

/// How long a request may take in all, where its deadline is not closer.
const TOTAL: Duration = Duration::from_secs(600);

/// What the URL of a request may have, and all its headers together, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    method: Method,
    url: Url,
    headers: HeaderMap,
    /// What the headers have, in bytes.
    head: usize,
    condition: Option<Condition>,
    body: Option<Cow<'a, [u8]>>,
}

/// What is known of the answer of one address.
#[derive(Debug, Clone)]
struct Condition {
    url: String,
    headers: HeaderMap,
}

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

/// Headers that say how a message is framed and where it goes. The client's own; another `Host` than the URL's would
/// reach another server than the one that was asked for.
const FRAMING: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that a server which was not asked may see. Any other may be a secret that is meant for the one that was.
const PUBLIC: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::USER_AGENT,
];

impl<'a> Request<'a> {
    /// A request for `url` by `method`, in whichever case. User and password of the URL become a header.
    ///
    /// # Errors
    /// The URL or the method is none, or one that cannot be used.
    pub(crate) fn new(method: &str, url: &str) -> Result<Self, Error> {
        if url.len() > MAX_HEAD {
            return Err(Error::TooMuch("the URL"));
        }
        let mut url = Url::parse(url).map_err(|cause| Error::BadUrl { url: shown(url), cause })?;
        let name = method.to_ascii_uppercase();
        let method = Method::from_bytes(name.as_bytes()).ok();
        let method = method.filter(|method| method != Method::CONNECT && method != Method::TRACE);
        let method = method.ok_or_else(|| Error::Method(shown(&name)))?;
        let headers = take_credentials(&mut url)?.into_iter().collect();
        Ok(Self { method, url, headers, head: 0, condition: None, body: None })
    }

    /// Adds a header, in the place of one that has the same name. Those that are the client's own are not sent; returns
    /// whether it is one of the others.
    ///
    /// # Errors
    /// It is not a header of HTTP.
    pub(crate) fn header(&mut self, name: &str, value: &str) -> Result<bool, Error> {
        self.head = self.head.saturating_add(name.len() + value.len() + ": \r\n".len());
        if self.head > MAX_HEAD {
            return Err(Error::TooMuch("the headers of the request"));
        }
        let (name, value) = parse_header(name, value)?;
        if FRAMING.contains(&name) {
            return Ok(false);
        }
        self.headers.insert(name, value);
        Ok(true)
    }

    /// Asks for an answer only if that is not what `url` gave before, which these headers stand for. Nobody else is told
    /// of them.
    ///
    /// # Errors
    /// They are not headers of HTTP.
    pub(crate) fn unless(&mut self, url: &str, headers: &[(&'static str, &str)]) -> Result<(), Error> {
        let headers = headers.iter().map(|(name, value)| parse_header(name, value)).collect::<Result<_, _>>()?;
        self.condition = Some(Condition { url: url.to_owned(), headers });
        Ok(())
    }

    /// Sends `body` with it.
    pub(crate) fn body(&mut self, body: Cow<'a, [u8]>) {
        self.body = Some(body);
    }

    /// What it asks for.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The same, for errors.
    pub(crate) fn shown(&self) -> String {
        shown(self.url.as_str())
    }

    /// Makes it the request that a redirect asks for, by RFC 9110, section 15.4.
    fn redirect(&mut self, status: u16, next: Url) -> Result<(), Error> {
        let is_safe = self.method == Method::GET || self.method == Method::HEAD;
        if (status == 303 && !is_safe) || ((status == 301 || status == 302) && self.method == Method::POST) {
            self.method = Method::GET;
            self.body = None;
            self.keep_headers(|name| !name.as_str().starts_with("content-"));
        }
        if next.origin() != self.url.origin() {
            self.keep_headers(|name| PUBLIC.contains(name));
        }
        self.url = next;
        self.headers.extend(take_credentials(&mut self.url)?);
        Ok(())
    }

    fn keep_headers(&mut self, keep: impl Fn(&HeaderName) -> bool) {
        let headers = std::mem::take(&mut self.headers);
        self.headers =
            headers.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    }
}

fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let bad = || Error::Header(shown(name));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    Ok((parsed, HeaderValue::from_str(value).map_err(|_| bad())?))
}

/// Takes user and password out of `url`, as a header of the basic scheme, RFC 7617.
fn take_credentials(url: &mut Url) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    // Neither fails for a URL with a host; one without has neither.
    let _ = (url.set_username(""), url.set_password(None));
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
    let mut value = value.map_err(|_| Error::Header(header::AUTHORIZATION.to_string()))?;
    value.set_sensitive(true);
    Ok(Some((header::AUTHORIZATION, value)))
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

/// Sends a request to where it asks, and no further.
fn send_once(request: &Request<'_>, rules: &Rules<'_>, deadline: Instant, via: Via) -> Result<Response, Error> {
    let url = &request.url;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Scheme(format!("{}{via}", shown(url.as_str()))));
    }
    let agent = match ((rules.permits)(url), address_of(url)) {
        (Permission::Denied, _) => return Err(Error::Denied { url: shown(url.as_str()), via }),
        (Permission::NotLinkLocal, Some(address)) if is_link_local(address) => {
            return Err(Error::LinkLocal { url: shown(url.as_str()), address, via });
        }
        (Permission::NotLinkLocal, _) => &GUARDED,
        (Permission::Anywhere, _) => &OPEN,
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

/// Connects to link-local addresses too.
static OPEN: LazyLock<Agent> = LazyLock::new(|| agent(Guard { open: true }));

/// Does not.
static GUARDED: LazyLock<Agent> = LazyLock::new(|| agent(Guard { open: false }));

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
    Agent::with_parts(config, DefaultConnector::default(), resolver)
}

/// Finds addresses, and keeps only those that may be connected to.
#[derive(Debug)]
struct Guard {
    /// They are not looked at.
    open: bool,
}

/// All addresses of a host are link-local; the first of them.
#[derive(Debug, Error)]
#[error("{0} is a link-local address")]
struct LinkLocal(IpAddr);

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        /// No more are tried; the type has room for 16.
        const MOST: usize = 16;
        let found = look_up(uri, timeout)?;
        // The proxy is the environment's choice, wherever it is.
        let is_proxy = config.proxy().is_some_and(|proxy| proxy.uri() == uri);
        let mut addresses = self.empty();
        allowed(found, self.open || is_proxy)?.into_iter().take(MOST).for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}

/// Those of a host's addresses that may be connected to: if not `open`, those that are not link-local.
fn allowed(found: Vec<SocketAddr>, open: bool) -> Result<Vec<SocketAddr>, ureq::Error> {
    let Some(first) = found.first().copied() else { return Err(ureq::Error::HostNotFound) };
    let allowed: Vec<_> = found.into_iter().filter(|address| open || !is_link_local(address.ip())).collect();
    if allowed.is_empty() { Err(ureq::Error::Other(Box::new(LinkLocal(first.ip())))) } else { Ok(allowed) }
}

/// The addresses of the host of `uri`. The system cannot be told to stop looking: a thread waits for it, and is left
/// alone when time is up.
fn look_up(uri: &Uri, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let look = move || {
        let found = (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        // Nobody is there any more if it took too long.
        let _ = sender.send(found);
    };
    thread::Builder::new().name("extism-dns".to_owned()).spawn(look)?;
    match receiver.recv_timeout(*timeout.after) {
        Ok(found) => Ok(found?),
        Err(_) => Err(ureq::Error::Timeout(timeout.reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, MAX_HEAD, Request, allowed, shown};
    use std::net::SocketAddr;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().expect(text), 80)).collect()
    }

    #[test]
    fn a_name_that_leads_to_the_surroundings_is_not_followed_there() {
        let near = ["169.254.169.254", "fe80::1", "::ffff:169.254.0.1"];
        for address in near {
            let error = allowed(addresses(&[address]), false).expect_err(address).to_string();
            assert!(error.contains("link-local"), "{error}");
            assert_eq!(allowed(addresses(&[address]), true).expect("open"), addresses(&[address]));
        }
        let mixed = allowed(addresses(&["169.254.169.254", "192.0.2.1", "fe80::1", "::1"]), false);
        assert_eq!(mixed.expect("two may"), addresses(&["192.0.2.1", "::1"]));
        assert!(allowed(addresses(&near), false).is_err());
        assert!(allowed(Vec::new(), true).is_err());
    }

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

    #[test]
    fn the_head_of_a_request_has_a_limit() {
        assert!(matches!(
            Request::new("GET", &format!("http://host/{}", "x".repeat(MAX_HEAD))),
            Err(Error::TooMuch(_))
        ));
        let mut request = Request::new("GET", "http://host/").expect("a request");
        let added =
            (0..).map(|number| request.header(&format!("x-{number}"), "value")).take_while(Result::is_ok).count();
        assert!((4000..MAX_HEAD / 10).contains(&added), "{added}");
    }
}
