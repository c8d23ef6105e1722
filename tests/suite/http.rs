//! The network: modules by `url`, requests of plugins, and hostile servers. All servers are on 127.0.0.1.

#[cfg(feature = "compiler")]
mod downloads;
mod hostile;
mod requests;

pub(crate) use requests::with_kitchens;
