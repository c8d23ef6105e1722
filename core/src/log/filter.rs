//! The levels of the 1.x face: the name of a level, or a filter of several targets, such as `RUST_LOG` has.

use log::LevelFilter;
use thiserror::Error;

use super::format::TARGET;
use crate::error::Excerpt;

/// A text that names no level.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not off, error, warn, info, debug or trace, nor a filter such as `extism=debug`")]
pub struct UnknownLevel(Excerpt);

/// The level that `filter` sets for the library: the name of one in any case, its number from 0 (`off`) to 5 (`trace`),
/// or a list of such, and of `target=level`, with commas between them.
///
/// The library has one level for all its lines, those of plugins too. It is the most verbose of the list's parts for
/// `extism` or a target below it, such as `extism::pdk`; a target without a level stands for `trace`. If there is none,
/// the list's last level without a target counts. A list that is only for other targets switches the log off. An empty
/// list is `error`.
///
/// # Errors
/// A level that is none; or a word that is none, in a list without a level for the library. Extism 1.41 takes such a
/// word for a target of another library, and then logs nothing: a misspelt level would go unnoticed. Beside a level it
/// is taken so here, too.
pub fn level_of(filter: &str) -> Result<LevelFilter, UnknownLevel> {
    let (mut own, mut general, mut unknown, mut is_empty) = (None, None, None, true);
    for part in filter.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        is_empty = false;
        let (target, level) =
            part.rsplit_once('=').map_or((part, None), |(target, level)| (target.trim(), Some(level)));
        match (is_own(target), level) {
            (true, Some(level)) => own = own.max(Some(named(level).ok_or_else(|| UnknownLevel(Excerpt::of(part)))?)),
            (true, None) => own = Some(LevelFilter::Trace),
            (false, Some(_)) => {}
            (false, None) => match named(part) {
                Some(level) => general = Some(level),
                None => unknown = unknown.or(Some(part)),
            },
        }
    }
    match (own.or(general), unknown) {
        (Some(level), _) => Ok(level),
        (None, Some(word)) => Err(UnknownLevel(Excerpt::of(word))),
        (None, None) if is_empty => Ok(LevelFilter::Error),
        (None, None) => Ok(LevelFilter::Off),
    }
}

/// True for the library's target and those below it.
fn is_own(target: &str) -> bool {
    target.strip_prefix(TARGET).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn named(level: &str) -> Option<LevelFilter> {
    let level = level.trim();
    match level.as_bytes() {
        [digit @ b'0'..=b'5'] => LevelFilter::iter().nth(usize::from(digit - b'0')),
        _ => level.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use log::LevelFilter::{Debug, Error, Info, Off, Trace, Warn};

    use super::level_of;

    #[test]
    fn filters_set_one_level() {
        for (filter, level) in [
            ("off", Some(Off)),
            ("error", Some(Error)),
            ("warn", Some(Warn)),
            ("Debug", Some(Debug)),
            (" TRACE ", Some(Trace)),
            ("0", Some(Off)),
            ("1", Some(Error)),
            ("5", Some(Trace)),
            ("6", None),
            ("", Some(Error)),
            (" , ", Some(Error)),
            ("extism=trace,cranelift=debug", Some(Trace)),
            ("cranelift=debug, extism = Info", Some(Info)),
            ("info,extism=trace", Some(Trace)),
            ("trace,extism=off", Some(Off)),
            ("extism", Some(Trace)),
            ("extism::pdk=debug", Some(Debug)),
            ("extism=warn,extism::pdk=debug", Some(Debug)),
            ("info,debug", Some(Debug)),
            ("info,hyper", Some(Info)),
            ("hyper,cranelift[a{b=c}]=trace,warn", Some(Warn)),
            ("cranelift=debug", Some(Off)),
            ("extism_manifest=debug", Some(Off)),
            ("degub", None),
            ("warning", None),
            ("hyper,cranelift=debug", None),
            ("extism=degub", None),
            ("info,extism=degub", None),
            ("extism=", None),
        ] {
            assert_eq!(level_of(filter).ok(), level, "{filter:?}");
        }
        let text = |filter| level_of(filter).expect_err(filter).to_string();
        assert!(text("cranelift=debug,\x1bdegub").starts_with("`\\u{1b}degub` is not off, error"));
        assert!(text("info,extism=degub").starts_with("`extism=degub` is not off, error"));
    }
}
