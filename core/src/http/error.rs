//! Errors of requests, and how they show addresses.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error as ThisError;
use url::Url;

use super::guard::LinkLocal;
use super::limits::{MAX_HEAD, MAX_REDIRECTS};
use crate::error::{Excerpt, Message};

/// Why a request has no answer.
#[derive(Debug, ThisError)]
pub(crate) enum Error {
    #[error("Invalid URL: `{url}`: {cause}")]
    BadUrl { url: Excerpt, cause: url::ParseError },
    #[error("{0}: more than {MAX_HEAD} bytes")]
    TooMuch(&'static str),
    #[error("{name}: `{value}` is no proxy that can be used: http://HOST:PORT, or https")]
    Proxy { name: &'static str, value: Excerpt },
    #[error("`{url}`{via}: only http and https addresses can be fetched")]
    Scheme { url: Excerpt, via: Via },
    #[error("`{0}` is not a method of HTTP that can be used here")]
    Method(Excerpt),
    #[error("header `{0}`: not a name and value of HTTP")]
    Header(Excerpt),
    #[error("HTTP request to {url} is not allowed{via}: no pattern of the manifest's `allowed_hosts` matches it")]
    Denied { url: Excerpt, via: Via },
    #[error("`{url}` is at {address}, a link-local address, which is reached only if named as such{via}")]
    LinkLocal { url: Excerpt, address: IpAddr, via: Via },
    #[error("`{url}`: more than {MAX_REDIRECTS} redirects{via}")]
    Redirects { url: Excerpt, via: Via },
    #[error("`{url}`: redirect to `{target}`: {cause}")]
    BadRedirect { url: Excerpt, target: Excerpt, cause: url::ParseError },
    #[error("`{url}`: timeout while {phase}{via}")]
    Timeout { url: Excerpt, phase: &'static str, via: Via },
    #[error("`{url}`: {cause}{via}")]
    Failed { url: Excerpt, cause: Message, via: Via },
    #[error("`{url}`: the host has no room for {size} bytes of the answer{via}")]
    NoRoom { url: Excerpt, size: usize, via: Via },
    #[error("`{url}`: the answer is longer than the limit of {max} bytes ({setting}){via}")]
    TooLong { url: Excerpt, max: u64, setting: &'static str, via: Via },
}

/// An address, or the text in its place, as errors show it: shortened, and without user and password.
pub(crate) fn shown(text: &str) -> Excerpt {
    let start = text.find("//").map_or(0, |at| at + 2);
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    let host = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
    Excerpt::of(format_args!("{}{}", &text[..start], &text[host..]))
}

/// A request's way to the failure: redirects and a proxy. Boxed, as mostly there is neither and errors are passed
/// around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Via {
    /// The address that it was for at first, if it has been sent elsewhere.
    pub(super) first: Option<Box<Excerpt>>,
    /// The proxy that it was sent through, after the name of the variable of the environment.
    pub(super) proxy: Option<Box<(&'static str, Excerpt)>>,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = &self.first {
            write!(f, " (redirected from `{first}`)")?;
        }
        match self.proxy.as_deref() {
            Some((name, proxy)) => write!(f, " (through the proxy `{proxy}`, set by {name})"),
            None => Ok(()),
        }
    }
}

/// The address of an answer, and the original one if it was redirected.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(super) url: Excerpt,
    pub(super) via: Via,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`{}", self.url, self.via)
    }
}

/// The error for a failure at `url`.
pub(super) fn failure(url: &Url, via: Via, error: ureq::Error) -> Error {
    let text = shown(url.as_str());
    match error {
        ureq::Error::Timeout(phase) => Error::Timeout { url: text, phase: describe(phase), via },
        ureq::Error::Other(other) if other.is::<LinkLocal>() => match other.downcast::<LinkLocal>() {
            Ok(found) => Error::LinkLocal { url: text, address: found.0, via },
            Err(other) => Error::Failed { url: text, cause: Message::of(other), via },
        },
        ureq::Error::Io(cause) => Error::Failed { url: text, cause: Message::of(cause), via },
        ureq::Error::HostNotFound => Error::Failed { url: text, cause: Message::of("there is no such host"), via },
        other => Error::Failed { url: text, cause: Message::of(other), via },
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

#[cfg(test)]
mod tests {
    /// The excerpt as text.
    fn shown(text: &str) -> String {
        super::shown(text).to_string()
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
        assert_eq!(long, format!("http://host/{}... 9756 more bytes", "é".repeat(122)));
        assert_eq!(shown("http://user:secret@host/\n\u{1b}[2J"), "http://host/\\n\\u{1b}[2J");
    }
}
