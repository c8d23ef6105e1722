//! The manifest's `allowed_hosts`: the servers that a plugin's requests may go to.

use std::net::{IpAddr, Ipv6Addr};

use glob::{MatchOptions, Pattern};
use log::Level;

use crate::error::Excerpt;
use crate::http::{Host, Permission, Url};
use crate::log as sink;

/// Patterns of hosts; without any, no request is allowed.
#[derive(Debug)]
pub(crate) struct Hosts(Vec<Allowed>);

/// One pattern: `host` or `host:port`. Both may have the wildcards `*`, `?` and `[...]` of file names, but `*` matches
/// dots too.
#[derive(Debug)]
struct Allowed {
    host: HostPattern,
    /// Any port if `None`.
    port: Option<Pattern>,
}

#[derive(Debug)]
enum HostPattern {
    Address(IpAddr),
    /// In lower case and Punycode, as in URLs, and without a final dot.
    Domain(String),
    /// Digits, dots and wildcards. Matches IPv4 addresses only: `10.*` does not match `10.example.com`.
    Numbers(Pattern),
    Glob(Pattern),
}

impl Hosts {
    /// Parses patterns. One that can match no host is ignored, with a line in the log.
    pub fn new(patterns: &[String]) -> Self {
        let parse = |text: &String| {
            let allowed = Allowed::parse(text);
            if allowed.is_none() {
                let text = Excerpt::of(text);
                let line =
                    format_args!("manifest: allowed_hosts: `{text}` is not a host, nor one with a port; ignored");
                sink::record(Level::Warn, sink::TARGET, line);
            }
            allowed
        };
        Self(patterns.iter().filter_map(parse).collect())
    }

    /// Decides if a request may go to `url`. A link-local address is allowed only if a pattern is that very address: a
    /// wildcard that matches it does not suffice, nor does a host name that resolves to it.
    pub(crate) fn permit(&self, url: &Url) -> Permission {
        let permissions = self.0.iter().filter(|allowed| allowed.matches(url)).map(|allowed| match allowed.host {
            HostPattern::Address(_) => Permission::Anywhere,
            HostPattern::Domain(_) | HostPattern::Numbers(_) | HostPattern::Glob(_) => Permission::NotLinkLocal,
        });
        permissions.max().unwrap_or(Permission::Denied)
    }
}

impl Allowed {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (host, port) = split_port(text);
        let port = match port {
            Some(port) => Some(Pattern::new(port).ok().filter(|_| !port.is_empty())?),
            None => None,
        };
        HostPattern::parse(host).map(|host| Self { host, port })
    }

    fn matches(&self, url: &Url) -> bool {
        let port = || url.port_or_known_default().map(|port| port.to_string()).unwrap_or_default();
        url.host().is_some_and(|host| self.host.matches(&host))
            && self.port.as_ref().is_none_or(|pattern| pattern.matches(&port()))
    }
}

/// Splits a pattern into host and port. Without brackets, all colons of an IPv6 address belong to the host.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Some(Self::Address(address.into()));
        }
        if text.contains(['*', '?', '[']) {
            return Self::glob(text);
        }
        match Host::parse(text).ok()? {
            Host::Domain(domain) => Some(Self::Domain(without_dot(&domain).to_owned())),
            Host::Ipv4(address) => Some(Self::Address(address.into())),
            Host::Ipv6(address) => Some(Self::Address(address.into())),
        }
    }

    /// Converts labels that are not ASCII one by one, as in a URL. Labels with wildcards cannot be converted.
    fn glob(text: &str) -> Option<Self> {
        // Brackets with a colon hold an IPv6 address, in which wildcards have no meaning.
        let is_address = text.starts_with('[') && text.contains(':');
        if is_address || text.contains(['/', '@', '#', '\\', '%']) || text.contains(char::is_whitespace) {
            return None;
        }
        let numeric = |character: char| character.is_ascii_digit() || ".*?[]!-".contains(character);
        if text.chars().all(numeric) && text.contains(|character: char| character.is_ascii_digit()) {
            return Pattern::new(text).ok().map(Self::Numbers);
        }
        let label = |label: &str| match Host::parse(label) {
            Ok(Host::Domain(domain)) if !label.is_ascii() => domain,
            _ => label.to_owned(),
        };
        let labels: Vec<_> = without_dot(text).split('.').map(label).collect();
        Pattern::new(&labels.join(".")).ok().map(Self::Glob)
    }

    fn matches(&self, host: &Host<&str>) -> bool {
        const OPTIONS: MatchOptions = MatchOptions {
            case_sensitive: false,
            require_literal_separator: false,
            require_literal_leading_dot: false,
        };
        let address = match *host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(address.into()),
        };
        match (self, host) {
            (Self::Address(named), _) => address == Some(*named),
            (Self::Domain(named), Host::Domain(domain)) => named == without_dot(domain),
            (Self::Domain(_), _) => false,
            (Self::Numbers(pattern), Host::Ipv4(address)) => pattern.matches(&address.to_string()),
            (Self::Numbers(_), _) => false,
            (Self::Glob(pattern), Host::Domain(domain)) => pattern.matches_with(without_dot(domain), OPTIONS),
            (Self::Glob(pattern), _) => {
                address.is_some_and(|address| pattern.matches_with(&address.to_string(), OPTIONS))
            }
        }
    }
}

/// The domain without the final dot of a fully qualified name.
fn without_dot(domain: &str) -> &str {
    domain.strip_suffix('.').unwrap_or(domain)
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use crate::http::{Permission, Url};

    fn permit(patterns: &[&str], url: &str) -> Permission {
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Hosts::new(&patterns).permit(&Url::parse(url).expect(url))
    }

    /// Pattern, address, and if the pattern matches.
    const CASES: [(&str, &str, bool); 61] = [
        ("*", "http://example.com/", true),
        ("*", "http://127.0.0.1/", true),
        ("*", "http://[::1]/", true),
        ("example.com", "http://example.com/", true),
        ("example.com", "https://example.com:444/path?query#fragment", true),
        ("EXAMPLE.com", "http://example.COM/", true),
        ("example.com", "http://example.com./", true),
        ("example.com.", "http://example.com/", true),
        ("example.com", "http://www.example.com/", false),
        ("example.com", "http://example.com.evil.test/", false),
        ("example.com", "http://evilexample.com/", false),
        ("example.com", "http://example.com@evil.test/", false),
        ("example.com", "http://example.com:80@evil.test/", false),
        ("example.com", "http://evil.test/example.com", false),
        ("example.com", "http://evil.test/?example.com", false),
        ("example.com", "http://evil.test\\@example.com/", false),
        ("evil.test", "http://evil.test\\@example.com/", true),
        ("*.example.com", "http://www.example.com/", true),
        ("*.example.com", "http://a.b.example.com/", true),
        ("*.example.com", "http://A.EXAMPLE.com./", true),
        ("*.example.com", "http://example.com/", false),
        ("*.example.com", "http://www.example.com.evil.test/", false),
        ("ex?mple.com", "http://exemple.com/", true),
        ("ex?mple.com", "http://exmple.com/", false),
        ("api[0-9].example.com", "http://api7.example.com/", true),
        ("api[0-9].example.com", "http://apix.example.com/", false),
        ("example.com:8080", "http://example.com:8080/", true),
        ("example.com:8080", "http://example.com/", false),
        ("example.com:80", "http://example.com/", true),
        ("example.com:443", "https://example.com/", true),
        ("example.com:80", "https://example.com/", false),
        ("example.com:443", "http://example.com:443/", true),
        ("example.com:80*", "http://example.com:8080/", true),
        ("*:8080", "http://example.com:8080/", true),
        ("*:8080", "http://example.com:8081/", false),
        ("*.example.com:*", "http://a.example.com:1/", true),
        ("b\u{fc}cher.example", "http://b\u{fc}cher.example/", true),
        ("B\u{dc}CHER.example", "http://xn--bcher-kva.example/", true),
        ("xn--bcher-kva.example", "http://b\u{fc}cher.example/", true),
        ("*.b\u{fc}cher.example", "http://www.xn--bcher-kva.example/", true),
        ("b\u{fc}cher.example", "http://bucher.example/", false),
        ("127.0.0.1", "http://127.0.0.1:9/", true),
        ("127.0.0.1", "http://2130706433/", true),
        ("127.0.0.1", "http://0x7f.1/", true),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", false),
        ("127.0.0.*", "http://127.0.0.9/", true),
        ("127.0.0.*", "http://127.0.0.evil.test/", false),
        ("10.*", "http://10.evil.test/", false),
        ("1[0-9].*:80", "http://12.3.4.5/", true),
        ("10.*.test", "http://10.0.test/", true),
        ("[2001:db8::*]:443", "https://[2001:db8::1]/", false),
        ("127.0.0.1:80", "http://127.0.0.1:81/", false),
        ("::1", "http://[::1]/", true),
        ("[::1]", "http://[0:0:0:0:0:0:0:1]/", true),
        ("[::1]:80", "http://[::1]/", true),
        ("[::1]:80", "http://[::1]:81/", false),
        ("fe80::*", "http://[fe80::1]/", true),
        ("http://example.com", "http://example.com/", false),
        ("example.com/path", "http://example.com/path", false),
        ("user@example.com", "http://user@example.com/", false),
        ("", "http://example.com/", false),
    ];

    #[test]
    fn patterns_match_hosts_and_ports_and_nothing_else() {
        for (pattern, url, expected) in CASES {
            assert_eq!(permit(&[pattern], url) != Permission::Denied, expected, "{pattern} {url}");
        }
        assert_eq!(permit(&[], "http://example.com/"), Permission::Denied);
    }

    #[test]
    fn only_what_names_an_address_means_one_that_is_link_local() {
        let url = "http://169.254.169.254/";
        assert_eq!(permit(&["*"], url), Permission::NotLinkLocal);
        assert_eq!(permit(&["169.254.*"], url), Permission::NotLinkLocal);
        assert_eq!(permit(&["*", "169.254.169.254"], url), Permission::Anywhere);
        assert_eq!(permit(&["metadata.internal"], "http://metadata.internal/"), Permission::NotLinkLocal);
    }
}
