//! Sends a request hop by hop. Asks its rules before each hop.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ureq::http::{self, Method};
use ureq::{Agent, AsSendBody, Body};
use url::{Host, Url};

use super::address::is_link_local;
use super::client::Client;
use super::error::{Error, Via, failure, shown};
use super::limits::{MAX_REDIRECTS, TOTAL};
use super::proxy;
use super::request::Request;
use super::response::Response;

/// The hosts that a request may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permission {
    Denied,
    /// All but link-local addresses, which reach the machine's surroundings, such as a cloud's metadata.
    NotLinkLocal,
    Anywhere,
}

pub(crate) struct Rules<'a> {
    /// Asked before each hop.
    pub(crate) permits: &'a dyn Fn(&Url) -> Permission,
    pub(crate) deadline: Option<Instant>,
    pub(crate) client: &'a Client,
}

/// Sends a request, and follows redirects that `rules` permit.
///
/// # Errors
/// A hop is not permitted, a server cannot be reached or breaks the protocol, or the request takes too long. A status
/// of 400 or more is a normal answer.
pub(crate) fn send(mut request: Request<'_>, rules: &Rules<'_>) -> Result<Response, Error> {
    let first = request.url.clone();
    let start = Instant::now();
    let deadline = rules.deadline.map_or(start + TOTAL, |deadline| deadline.min(start + TOTAL));
    for hop in 0..=MAX_REDIRECTS {
        let via = Via { first: (hop > 0).then(|| shown(first.as_str()).into()), proxy: None };
        let response = send_once(&request, rules, deadline, via)?;
        let Some(target) = response.redirect() else { return Ok(response) };
        let next = request.url.join(target).map_err(|cause| Error::BadRedirect {
            url: shown(request.url.as_str()),
            target: shown(target),
            cause,
        })?;
        request.redirect(response.status, next)?;
    }
    let via = Via { first: Some(shown(first.as_str()).into()), proxy: None };
    Err(Error::Redirects { url: shown(request.url.as_str()), via })
}

/// Checks the first hop of a request with `permits`.
pub(crate) fn check(request: &Request<'_>, permits: impl Fn(&Url) -> Permission) -> Result<(), Error> {
    permission(&request.url, &permits, &Via::default()).map(drop)
}

fn permission(url: &Url, permits: &dyn Fn(&Url) -> Permission, via: &Via) -> Result<Permission, Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Scheme { url: shown(url.as_str()), via: via.clone() });
    }
    match permits(url) {
        Permission::Denied => Err(Error::Denied { url: shown(url.as_str()), via: via.clone() }),
        permission => Ok(permission),
    }
}

/// Sends a request to where it asks, and no further.
fn send_once(request: &Request<'_>, rules: &Rules<'_>, deadline: Instant, mut via: Via) -> Result<Response, Error> {
    let url = &request.url;
    let agent = match (permission(url, rules.permits, &via)?, address_of(url)) {
        (Permission::NotLinkLocal, Some(address)) if is_link_local(address) => {
            return Err(Error::LinkLocal { url: shown(url.as_str()), address, via });
        }
        (Permission::Anywhere, _) => &rules.client.open,
        _ => &rules.client.guarded,
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(failure(url, via, ureq::Error::Timeout(ureq::Timeout::Global)));
    }
    let proxy = proxy::of(url)?.map(|chosen| {
        via.proxy = Some((chosen.variable, shown(chosen.value)).into());
        chosen.proxy
    });
    let mut builder = http::Request::builder().method(&request.method).uri(url.as_str());
    let condition = request.condition.as_ref().filter(|condition| condition.url == url.as_str());
    for (name, value) in condition.map(|condition| &condition.headers).into_iter().chain([&request.headers]).flatten() {
        builder = builder.header(name, value);
    }
    // A method with a body sends an empty one explicitly.
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let answer = match request.body.as_deref().or(has_body.then_some(&[])) {
        Some(body) => run(agent, builder, body, proxy, left),
        None => run(agent, builder, (), proxy, left),
    };
    let (parts, body) = answer.map_err(|error| failure(url, via.clone(), error))?.into_parts();
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match headers.iter_mut().find(|(other, _)| other == name.as_str()) {
            Some((_, values)) => *values = format!("{values}, {value}"),
            None => headers.push((name.to_string(), value.into_owned())),
        }
    }
    let status = parts.status.as_u16();
    // These answers have no body; a header about its encoding describes the body that another request would get.
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

/// The address, if the URL's host is an address.
fn address_of(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}
