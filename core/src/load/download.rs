//! Modules from servers. A module with a `hash` is fetched only if it is not in the cache; without one, the server is
//! asked for a newer version. Downloads are single flight across threads and processes.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::Level;
use sha2::{Digest as _, Sha256};

use super::error::{Error, ModuleOrigin};
use crate::cache::downloads::{self, CachedDownload, Downloads};
use crate::cache::private_dir::FileLock;
use crate::environment;
use crate::http::{self, Client, Host, Permission, Request, Response, Rules, Url, Waiting};
use crate::log as sink;
use crate::manifest::Remote;
use crate::module::bytes::ModuleBytes;
use crate::module::digest::Digest;
use crate::sync::PerProcess;

/// The time to wait for another fetch of the same module, unless a deadline is earlier.
const PATIENCE: Duration = Duration::from_secs(600);

/// The bytes of a module on a server, at most `max`, checked against the `expected` hash.
///
/// # Errors
/// The server does not send it, it has another hash or is larger than allowed, or the deadline passes; or it is not in
/// the cache, and `EXTISM_OFFLINE` forbids to fetch it.
pub(super) fn load(
    remote: &Remote,
    expected: Option<Digest>,
    max: u64,
    deadline: Option<Instant>,
) -> Result<Arc<ModuleBytes>, Error> {
    WantedModule { remote, expected, max, deadline }.load()
}

struct WantedModule<'a> {
    remote: &'a Remote,
    expected: Option<Digest>,
    max: u64,
    deadline: Option<Instant>,
}

/// A module as its server sent it.
struct Fetched {
    bytes: Arc<ModuleBytes>,
    sha256: Digest,
    entry: CachedDownload,
    /// The server does not forbid to keep it.
    may_be_kept: bool,
}

/// The turn to fetch a module, which one thread has at a time.
struct Turn {
    /// `None` if the cache cannot hold locks.
    lock: Option<FileLock>,
    waited: Duration,
}

impl Turn {
    /// The lock, if it is worth keeping. A thread that waited longer than `most`, and still does not find the module,
    /// has waited for one that could not fetch or keep it; it drops the lock, so that nobody waits in vain after it.
    fn alone(self, most: Duration) -> Option<FileLock> {
        self.lock.filter(|_| self.waited <= most)
    }
}

impl WantedModule<'_> {
    fn load(&self) -> Result<Arc<ModuleBytes>, Error> {
        // First of all, so that a wrong address is an error whether or not the network is needed.
        let request = self.request()?;
        match (Downloads::open(), self.expected) {
            (Some(kept), Some(sha256)) => self.with_hash(request, &kept, sha256),
            (Some(kept), None) => self.without_hash(request, &kept),
            (None, _) => Ok(self.fetch(request)?.bytes),
        }
    }

    fn request(&self) -> Result<Request<'static>, Error> {
        let Remote { url, method, headers } = self.remote;
        let mut request = Request::new(method, url)?;
        for (name, value) in headers {
            if !request.header(name, value)? {
                let line = format_args!("manifest: header `{name}` is the client's own, it is ignored");
                sink::record(Level::Warn, sink::TARGET, line);
            }
        }
        Ok(request)
    }

    fn with_hash(&self, request: Request<'_>, kept: &Downloads, sha256: Digest) -> Result<Arc<ModuleBytes>, Error> {
        if let Some(bytes) = kept.module(sha256, self.max) {
            return Ok(bytes);
        }
        let turn = self.turn(kept, &sha256.to_string(), &request)?;
        if let Some(bytes) = kept.module(sha256, self.max) {
            return Ok(bytes);
        }
        let _alone = turn.alone(Duration::ZERO);
        let fetched = self.fetch(request)?;
        kept.keep(sha256, fetched.bytes.as_slice());
        Ok(fetched.bytes)
    }

    fn without_hash(&self, mut request: Request<'_>, kept: &Downloads) -> Result<Arc<ModuleBytes>, Error> {
        let key = downloads::key(self.remote);
        let before = kept.entry(&key);
        let module = |entry: &CachedDownload| kept.module(Digest::parse(&entry.sha256)?, self.max);
        if is_offline() {
            return before.as_ref().and_then(module).ok_or_else(|| offline(&request));
        }
        let turn = self.turn(kept, &key, &request)?;
        let known = kept.entry(&key).and_then(|entry| Some((module(&entry)?, entry)));
        // Held until the fetched bytes are kept. If bytes are known, earlier holders may only have asked the server.
        let _alone = turn.alone(if known.is_some() { Duration::from_secs(5) } else { Duration::ZERO });
        let fetched = match known {
            // The previous holder of the lock has just asked the server.
            Some((bytes, entry)) if before.as_ref() != Some(&entry) => return Ok(bytes),
            None => self.fetch(request)?,
            Some((bytes, entry)) => {
                let validators = [("if-none-match", &entry.etag), ("if-modified-since", &entry.last_modified)];
                let validators: Vec<_> =
                    validators.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
                request.unless(&entry.url, &validators)?;
                let response = self.ask(request)?;
                if response.status == 304 && !validators.is_empty() && response.url() == entry.url {
                    kept.note(&key, &CachedDownload { checked: nanoseconds(), ..entry });
                    return Ok(bytes);
                }
                self.take(response)?
            }
        };
        if fetched.may_be_kept && kept.keep(fetched.sha256, fetched.bytes.as_slice()) {
            kept.note(&key, &fetched.entry);
        }
        Ok(fetched.bytes)
    }

    /// Waits for the turn to fetch `name`.
    fn turn(&self, kept: &Downloads, name: &str, request: &Request<'_>) -> Result<Turn, Error> {
        if is_offline() {
            return Err(offline(request));
        }
        let start = Instant::now();
        let end = self.deadline.unwrap_or_else(|| start + PATIENCE);
        let (mut pause, mut waited) = (Duration::from_millis(1), Duration::ZERO);
        loop {
            match kept.lock(name) {
                Ok(Some(lock)) => return Ok(Turn { lock: Some(lock), waited }),
                Ok(None) if Instant::now() >= end => return Err(Error::Busy { url: request.shown() }),
                Ok(None) => thread::sleep(pause),
                Err(_) => return Ok(Turn { lock: None, waited }),
            }
            waited = start.elapsed();
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn fetch(&self, request: Request<'_>) -> Result<Fetched, Error> {
        if is_offline() {
            return Err(offline(&request));
        }
        self.take(self.ask(request)?)
    }

    fn ask(&self, request: Request<'_>) -> Result<Response, Error> {
        // A link-local address is permitted only if the manifest's URL itself names it.
        let named = request.url().host().filter(|host| !matches!(host, Host::Domain(_))).map(|host| host.to_owned());
        let permits = |url: &Url| match url.host() {
            Some(host) if named.as_ref() == Some(&host.to_owned()) => Permission::Anywhere,
            _ => Permission::NotLinkLocal,
        };
        static CLIENT: PerProcess<Client> = PerProcess::new();
        let Ok(client) = CLIENT.get_or_make(|| Ok::<_, Infallible>(Client::new(&Waiting::default())));
        Ok(http::send(request, &Rules { permits: &permits, deadline: self.deadline, client })?)
    }

    /// Reads the module from an answer.
    fn take(&self, mut response: Response) -> Result<Fetched, Error> {
        if response.status != 200 {
            return Err(Error::Status { origin: response.origin(), status: response.status });
        }
        let mut hasher = Sha256::new();
        let bytes = response.read(self.max, "EXTISM_MAX_MODULE_BYTES", |piece| hasher.update(piece))?;
        let sha256 = Digest::from_hasher(hasher);
        if let Some(expected) = self.expected.filter(|expected| *expected != sha256) {
            let origin = ModuleOrigin::Place(http::shown(response.url()));
            return Err(Error::HashMismatch { found: sha256, expected, origin });
        }
        let bytes = ModuleBytes::hashed(bytes, sha256);
        let header = |name: &str| response.header(name).map(str::to_owned);
        let (etag, last_modified) = (header("etag"), header("last-modified"));
        let forbidden = header("cache-control").is_some_and(|value| value.to_ascii_lowercase().contains("no-store"));
        let url = response.url().to_owned();
        let entry = CachedDownload { sha256: sha256.to_string(), url, etag, last_modified, checked: nanoseconds() };
        Ok(Fetched { bytes, sha256, entry, may_be_kept: !forbidden })
    }
}

fn offline(request: &Request<'_>) -> Error {
    Error::Offline { url: request.shown() }
}

fn is_offline() -> bool {
    environment::OFFLINE.value()
}

/// Nanoseconds since 1970.
fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}
