//! The table of calls: the results of every function of both ABIs, up to its edges and over them.
//!
//! A row is a line: calls as in `calls.rs`, their result in 0.x, and their result in 1.x.
//!
//! - a number: the last value; no error
//! - `ok`: no error and no output
//! - `output: TEXT`, `error: TEXT`: output or error that the plugin's caller sees after a result of 0
//! - `! TEXT`: the call fails with an error that contains this text
//! - `-`: the ABI has no such function
//!
//! The input is 16 bytes: the memory's size, then `abcdefgh`. The rows are in the files named after their subject.

mod exchange;
mod memory;

use super::Abi;
use crate::host::Answer;

/// The table's rows for `abi`: calls and their expected results.
pub(super) fn rows(abi: Abi) -> Vec<(&'static str, Expected<'static>)> {
    let lines = [memory::TABLE, exchange::TABLE]
        .into_iter()
        .flat_map(str::lines)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.filter_map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [calls, v0, v1] = columns[..] else { panic!("a row has three columns: {line}") };
        Expected::parse(if abi == Abi::V0 { v0 } else { v1 }).map(|expected| (calls, expected))
    });
    rows.collect()
}

/// The expected result of a row's calls in one ABI.
#[derive(Debug)]
pub(super) enum Expected<'a> {
    Value(i64),
    Nothing,
    Output(&'a str),
    Error(&'a str),
    Failure(&'a str),
}

impl<'a> Expected<'a> {
    /// `None` if the ABI has no such function.
    fn parse(text: &'a str) -> Option<Self> {
        Some(match text {
            "-" => return None,
            "ok" => Self::Nothing,
            _ => match text.split_once(' ').unwrap_or((text, "")) {
                ("output:", output) => Self::Output(output),
                ("error:", error) => Self::Error(error),
                ("!", reason) => Self::Failure(reason),
                _ => Self::Value(number(text)),
            },
        })
    }

    pub(super) fn fits(&self, answer: &Answer) -> bool {
        let seen = (answer.code, answer.error.as_deref(), answer.output.as_slice());
        match *self {
            Self::Value(value) => seen == (0, None, &value.to_le_bytes()),
            Self::Nothing => seen == (0, None, b""),
            Self::Output(output) => seen == (0, None, output.as_bytes()),
            Self::Error(error) => seen == (0, Some(error), b""),
            Self::Failure(reason) => {
                answer.code == -1 && answer.error().contains("Call failed") && answer.error().contains(reason)
            }
        }
    }
}

fn number(text: &str) -> i64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map(u64::cast_signed),
        None => text.parse(),
    };
    number.unwrap_or_else(|error| panic!("`{text}`: {error}"))
}
