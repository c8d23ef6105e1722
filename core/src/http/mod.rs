//! The HTTP client, for modules and for plugins. It asks its rules before each hop of a request, checks each address
//! before it connects, and bounds time and size.
//!
//! Each hop has a connection of its own. A server may close a kept connection at the moment when the next request is
//! sent, and the client could not tell whether the request arrived.
//!
//! Start with [`send`].

mod address;
mod client;
mod error;
mod guard;
mod limits;
mod proxy;
mod request;
mod response;
mod send;
mod waiting;

pub(crate) use url::{Host, Url};

pub(crate) use client::{Client, begin};
pub(crate) use error::{Error, Origin, shown};
pub(crate) use limits::STACK;
pub(crate) use request::Request;
pub(crate) use response::Response;
pub(crate) use send::{Permission, Rules, check, send};
pub(crate) use waiting::Waiting;
