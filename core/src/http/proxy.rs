//! Proxies from environment variables, by the convention of curl and most other programs.

use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use super::error::{Error, shown};
use crate::environment;

/// A proxy, and where it is from.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) proxy: Proxy,
    /// The name of the variable of the environment.
    pub(super) variable: &'static str,
    /// The variable's value.
    pub(super) value: &'a str,
}

/// The proxy for requests to `url`, if there is one; an error if the environment names one that cannot be used.
pub(super) fn of(url: &Url) -> Result<Option<Chosen<'static>>, Error> {
    choose(url, |name| environment::text(name).filter(|value| !value.is_empty()))
}

fn choose<'a>(url: &Url, variable: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Chosen<'a>>, Error> {
    let is_https = url.scheme() == "https";
    // In a CGI program, HTTP_PROXY holds the `Proxy` header of the incoming request: CVE-2016-5385.
    let is_cgi = variable("REQUEST_METHOD").is_some();
    let names = match (is_https, is_cgi) {
        (true, _) => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"].as_slice(),
        (false, false) => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        (false, true) => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let Some((name, value)) = names.iter().find_map(|name| Some((*name, variable(name)?))) else { return Ok(None) };
    let exceptions = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
    if exceptions.split(',').any(|exception| is_exception(exception.trim(), url)) {
        return Ok(None);
    }
    let unusable = || Error::Proxy { name, value: shown(value) };
    let proxy = Proxy::new(value).map_err(|_| unusable())?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(Chosen { proxy, variable: name, value })),
        _ => Err(unusable()),
    }
}

/// True if `exception`, an entry of NO_PROXY, covers the host of `url`: by name, as a domain around it, or as `*`.
fn is_exception(exception: &str, url: &Url) -> bool {
    let (name, port) = match exception.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port.parse().ok()),
        _ => (exception, None),
    };
    if port.is_some() && port != url.port_or_known_default() {
        return false;
    }
    let name = name.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
    match url.host() {
        _ if exception == "*" => true,
        Some(Host::Domain(domain)) => {
            let domain = domain.trim_end_matches('.');
            !name.is_empty() && domain.strip_suffix(&name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        Some(Host::Ipv4(address)) => name == address.to_string(),
        Some(Host::Ipv6(address)) => name.trim_matches(['[', ']']).parse() == Ok(address),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::choose;
    use url::Url;

    /// The host of the chosen proxy, or the error.
    fn proxy(url: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        let chosen = choose(&Url::parse(url).expect(url), variable).map_err(|error| error.to_string())?;
        Ok(chosen.map_or_else(String::new, |chosen| chosen.proxy.host().to_owned()))
    }

    #[test]
    fn each_scheme_has_its_variables() {
        let all = [("http_proxy", "a"), ("HTTP_PROXY", "b"), ("HTTPS_PROXY", "c"), ("ALL_PROXY", "d")]
            .map(|(name, host)| (name, format!("http://{host}:1")));
        let all = all.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(proxy("http://h/", &all).as_deref(), Ok("a"));
        assert_eq!(proxy("http://h/", &all[1..]).as_deref(), Ok("b"));
        assert_eq!(proxy("https://h/", &all).as_deref(), Ok("c"));
        assert_eq!(proxy("http://h/", &all[2..]).as_deref(), Ok("d"));
        assert_eq!(proxy("https://h/", &all[..2]).as_deref(), Ok(""));
        let cgi = [all[1], ("REQUEST_METHOD", "GET")];
        assert_eq!(proxy("http://h/", &cgi).as_deref(), Ok(""));
    }

    #[test]
    fn what_cannot_be_used_is_an_error_and_not_a_way_around() {
        for value in ["socks5://h:1", "socks4://h:1", "socks5h://h", "not a proxy", "ftp://h"] {
            let error = proxy("http://h/", &[("ALL_PROXY", value)]).expect_err(value);
            assert!(error.contains("ALL_PROXY") && error.contains(value), "{error}");
        }
    }

    #[test]
    fn exceptions_are_names_domains_and_addresses() {
        let cases = [
            ("h.test", "http://h.test/", true),
            ("other, h.test", "http://h.test/", true),
            ("test", "http://h.test/", true),
            (".test", "http://h.test/", true),
            ("*.test", "http://a.h.test/", true),
            ("H.TEST", "http://h.test./", true),
            ("*", "http://h.test/", true),
            ("127.0.0.1", "http://127.0.0.1:8/", true),
            ("[::1]", "http://[::1]/", true),
            ("::1", "http://[::1]/", true),
            ("h.test:80", "http://h.test/", true),
            ("h.test:81", "http://h.test/", false),
            ("t", "http://h.test/", false),
            ("est", "http://h.test/", false),
            ("0.0.1", "http://127.0.0.1/", false),
            ("", "http://h.test/", false),
            ("h.test.other", "http://h.test/", false),
        ];
        for (exceptions, url, expected) in cases {
            let found = proxy(url, &[("http_proxy", "http://p:1"), ("NO_PROXY", exceptions)]);
            assert_eq!(found.as_deref(), Ok(if expected { "" } else { "p" }), "{exceptions} {url}");
        }
    }
}
