//! Answers of servers.

use std::io::{self, Read as _};

use ureq::Body;
use url::Url;

use super::error::{Error, Origin, Via, failure, shown};

/// The number of bytes of a body that are read at once.
const PIECE: usize = 64 << 10;

/// An answer whose body is still to be read.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case; several values of one name are joined by commas.
    pub(crate) headers: Vec<(String, String)>,
    /// The address after redirects.
    pub(super) url: Url,
    pub(super) via: Via,
    /// An answer with this status, to this method, has a body.
    pub(super) has_body: bool,
    pub(super) body: Body,
}

impl Response {
    /// The value of a header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The target of a redirect, if the answer is one.
    pub(super) fn redirect(&self) -> Option<&str> {
        matches!(self.status, 301 | 302 | 303 | 307 | 308).then(|| self.header("location")).flatten()
    }

    /// Reads the body, and calls `each` with each piece of it. `setting` names the limit of `max` bytes in errors.
    ///
    /// # Errors
    /// The body is longer, ends early, does not match its encoding, or takes too long.
    pub(crate) fn read(
        &mut self,
        max: u64,
        setting: &'static str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Vec<u8>, Error> {
        if !self.has_body {
            return Ok(Vec::new());
        }
        let (url, via) = (self.url.clone(), self.via.clone());
        let too_long = || Error::TooLong { url: shown(url.as_str()), max, setting, via: via.clone() };
        let no_room = |size| Error::NoRoom { url: shown(url.as_str()), size, via: via.clone() };
        let expected = self.body.content_length().unwrap_or(0);
        if expected > max {
            return Err(too_long());
        }
        // A server can announce any length: memory is allocated as the bytes arrive.
        let (mut bytes, size) = (Vec::new(), usize::try_from(expected.min(1 << 20)).unwrap_or(0));
        bytes.try_reserve_exact(size).map_err(|_| no_room(size))?;
        let mut piece = Vec::new();
        piece.try_reserve_exact(PIECE).map_err(|_| no_room(PIECE))?;
        piece.resize(PIECE, 0);
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
            bytes.try_reserve(count).map_err(|_| no_room(bytes.len() + count))?;
            each(&piece[..count]);
            bytes.extend_from_slice(&piece[..count]);
        }
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The addresses of the answer, for errors.
    pub(crate) fn origin(&self) -> Origin {
        Origin { url: shown(self.url.as_str()), via: self.via.clone() }
    }
}
