//! A request, and its changes at a redirect.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use super::error::{Error, shown};
use super::limits::MAX_HEAD;
use crate::error::Excerpt;

#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// The length of the headers, in bytes.
    head: usize,
    pub(super) condition: Option<Condition>,
    pub(super) body: Option<Cow<'a, [u8]>>,
}

/// The validators of an earlier answer of one address.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) url: String,
    pub(super) headers: HeaderMap,
}

/// Headers of framing and routing, which only the client sets; a `Host` other than the URL's would reach another server
/// than the one that was named.
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

/// Headers that may be sent to another server after a redirect. Any other may be a secret for the first server.
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
    /// A request for `url` by `method`, in any case. User and password of the URL become a header.
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

    /// Adds a header, or replaces one of the same name. Headers that only the client sets are ignored; returns false
    /// for these.
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

    /// Asks for an answer only if it differs from an earlier answer of `url`, whose validators are in `headers`. They
    /// are sent to no other address.
    pub(crate) fn unless(&mut self, url: &str, headers: &[(&'static str, &str)]) -> Result<(), Error> {
        let headers = headers.iter().map(|(name, value)| parse_header(name, value)).collect::<Result<_, _>>()?;
        self.condition = Some(Condition { url: url.to_owned(), headers });
        Ok(())
    }

    pub(crate) fn body(&mut self, body: Cow<'a, [u8]>) {
        self.body = Some(body);
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The address as errors show it.
    pub(crate) fn shown(&self) -> Excerpt {
        shown(self.url.as_str())
    }

    /// Turns it into the request of a redirect, by RFC 9110, section 15.4.
    pub(super) fn redirect(&mut self, status: u16, next: Url) -> Result<(), Error> {
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

/// Moves user and password out of `url` into a header of the basic scheme, RFC 7617.
fn take_credentials(url: &mut Url) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    // Neither call fails for a URL with a host; a URL without one has no credentials.
    let _ = (url.set_username(""), url.set_password(None));
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
    let mut value = value.map_err(|_| Error::Header(Excerpt::of(header::AUTHORIZATION)))?;
    value.set_sensitive(true);
    Ok(Some((header::AUTHORIZATION, value)))
}

#[cfg(test)]
mod tests {
    use super::{Error, MAX_HEAD, Request};

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
