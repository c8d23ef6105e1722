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
    pub(crate) fn new(patterns: &[String]) -> Self {
        let parse = |text: &String| {
            let allowed = Allowed::parse(text);
            if allowed.is_none() {
                let text = Excerpt::of(text);
                let line = format_args!(
                    "manifest: allowed_hosts: `{text}` can match no host, it is ignored: write HOST or HOST:PORT, without scheme \
                     and path"
                );
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
            Some(port) => Some(port_pattern(port)?),
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

/// The pattern of a port; `None` if no number of a port can match it.
fn port_pattern(text: &str) -> Option<Pattern> {
    let pattern = Pattern::new(text).ok()?;
    let digits = |allows: &dyn Fn(char) -> bool| Some(PortToken::Digit(DIGITS.map(allows)));
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        let token = match first {
            '*' => Some(PortToken::Any),
            '?' => digits(&|_| true),
            '0'..='9' => digits(&|digit| digit == first),
            '[' => {
                // Its first character may be a bracket itself.
                let skipped = if rest.starts_with("[!") { 2 } else { 1 };
                let end = rest.char_indices().skip(skipped + 1).find(|(_, character)| *character == ']')?.0;
                length = end + 1;
                let class = Pattern::new(&rest[..length]).ok()?;
                digits(&|digit| class.matches(digit.encode_utf8(&mut [0; 4])))
            }
            _ => None,
        }?;
        rest = &rest[length..];
        if !matches!((tokens.last(), &token), (Some(PortToken::Any), PortToken::Any)) {
            tokens.push(token);
        }
    }
    // More could only be tried in vain.
    let count = tokens.iter().filter(|token| matches!(token, PortToken::Digit(_))).count();
    (count <= MAX_PORT_DIGITS && is_port(&tokens, None)).then_some(pattern)
}

const DIGITS: [char; 10] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// The most digits of a port.
const MAX_PORT_DIGITS: usize = 5;

/// A part of the pattern of a port.
enum PortToken {
    /// Any digits, or none.
    Any,
    /// One of those digits for which it is true.
    Digit([bool; 10]),
}

/// Whether there is a port that begins with the digits of `start` and goes on as `tokens` say.
fn is_port(tokens: &[PortToken], start: Option<u16>) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return start.is_some() };
    let longer = |digit: u16| match start {
        None => Some(digit),
        // Nobody writes a port with a 0 in front.
        Some(0) => None,
        Some(start) => start.checked_mul(10)?.checked_add(digit),
    };
    match token {
        PortToken::Any => {
            is_port(rest, start) || (0..10).filter_map(longer).any(|longer| is_port(tokens, Some(longer)))
        }
        PortToken::Digit(allowed) => {
            let digits = (0..10).filter(|digit| allowed[usize::from(*digit)]);
            digits.filter_map(longer).any(|longer| is_port(rest, Some(longer)))
        }
    }
}

/// Whether an IPv4 address can match `text`, a pattern of digits, dots and wildcards: as far as the labels without
/// wildcards tell.
fn can_be_address(text: &str) -> bool {
    let is_byte = |label: &str| label.parse::<u8>().is_ok() && (label.len() == 1 || !label.starts_with('0'));
    text.split('.').count() <= 4 && text.split('.').all(|label| is_byte(label) || label.contains(['*', '?', '[', ']']))
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
        let in_no_host =
            |character: char| "/@#\\%<>^|".contains(character) || character.is_control() || character.is_whitespace();
        let in_address = |character: char| character.is_ascii_hexdigit() || ":.*?[]!-".contains(character);
        if is_address || text.contains(in_no_host) || (text.contains(':') && !text.chars().all(in_address)) {
            return None;
        }
        let numeric = |character: char| character.is_ascii_digit() || ".*?[]!-".contains(character);
        if text.chars().all(numeric) && text.contains(|character: char| character.is_ascii_digit()) {
            return Pattern::new(text).ok().filter(|_| can_be_address(text)).map(Self::Numbers);
        }
        let label = |label: &str| match Host::parse(label) {
            Ok(Host::Domain(domain)) if !label.is_ascii() && !label.contains('*') => domain,
            _ => label.to_owned(),
        };
        let labels: Vec<_> = without_dot(text).split('.').map(label).collect();
        // Of a label with wildcards, and of no other, there may be more than ASCII left, which no host has.
        let pattern = labels.join(".");
        Pattern::new(&pattern).ok().filter(|_| pattern.is_ascii()).map(Self::Glob)
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
    use super::{Allowed, Hosts};
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
    fn what_can_match_no_host_is_told() {
        for text in [
            "http://127.0.0.1",
            "https://example.com:443",
            "http://*.example.com",
            "127.0.0.1:8766/",
            "127.0.0.1/",
            ":80",
            ":x",
            "host:x",
            "host:",
            "host:99999",
            "host:65536",
            "host:080",
            "host:6553[6-9]",
            "host:??????",
            "host:0?",
            "host:8 0",
            "*:99999*",
            "*:-1",
            "host:[a-z]",
            "999.*",
            "10.0.0.0.*",
            "10.*.300",
            "*.\u{e9}x\u{e9}*",
            "*/path",
            "x:y*",
            "x:y:z*",
            "*.<x>",
            "user@*.example.com",
            "",
            " ",
        ] {
            assert!(Allowed::parse(text).is_none(), "{text}");
        }
        for text in [
            "*",
            " * ",
            "host",
            "host:0",
            "host:80",
            "host:65535",
            "host:*",
            "host:80*",
            "host:*80*",
            "host:8[0-9]80",
            "host:[!0-7]0",
            "host:6553?",
            "127.0.0.1:8766",
            "10.*",
            "1?.2.3.4",
            "10.[0-9]*.*.*",
            "fe80::*",
            "*:443",
            "*.example.com",
            "[::1]:80",
        ] {
            assert!(Allowed::parse(text).is_some(), "{text}");
        }
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
