//! The client's resolver: looks addresses up and checks them, so that exactly the checked ones are connected to.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use thiserror::Error;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::address::is_link_local;
use super::limits::STACK;
use super::waiting::{OneWaiting, Waiting};

/// Looks addresses up, and keeps those that may be connected to.
#[derive(Debug)]
pub(super) struct Guard {
    /// Addresses are not checked.
    pub(super) open: bool,
    pub(super) waiting: Waiting,
}

/// All addresses of a host are link-local; holds the first one.
#[derive(Debug, Error)]
#[error("{0} is a link-local address")]
pub(super) struct LinkLocal(pub(super) IpAddr);

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        /// The maximum number of addresses to try, as many as the result type holds.
        const MOST: usize = 16;
        let found = look_up(uri, timeout, self.waiting.one(0))?;
        // The environment chooses the proxy, which may have any address.
        let is_proxy = config.proxy().is_some_and(|proxy| proxy.uri() == uri);
        let mut addresses = self.empty();
        allowed(found, self.open || is_proxy)?.into_iter().take(MOST).for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}

/// The addresses in `found` that may be connected to: all if `open`, else those that are not link-local.
fn allowed(found: Vec<SocketAddr>, open: bool) -> Result<Vec<SocketAddr>, ureq::Error> {
    let Some(first) = found.first().copied() else { return Err(ureq::Error::HostNotFound) };
    let allowed: Vec<_> = found.into_iter().filter(|address| open || !is_link_local(address.ip())).collect();
    if allowed.is_empty() { Err(ureq::Error::Other(Box::new(LinkLocal(first.ip())))) } else { Ok(allowed) }
}

/// The addresses of the host of `uri`. The system's look-up cannot be cancelled: it runs on a thread, which is
/// abandoned when the time is over. `waiting` counts the thread until it ends.
fn look_up(uri: &Uri, timeout: NextTimeout, waiting: OneWaiting) -> Result<Vec<SocketAddr>, ureq::Error> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let look = move || {
        let found = (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        drop(waiting);
        // The receiver is gone if the look-up took too long.
        let _ = sender.send(found);
    };
    thread::Builder::new().name("extism-dns".to_owned()).stack_size(STACK).spawn(look)?;
    match receiver.recv_timeout(*timeout.after) {
        Ok(found) => Ok(found?),
        Err(_) => Err(ureq::Error::Timeout(timeout.reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;
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
}
