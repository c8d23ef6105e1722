//! Calls written as text, such as `open(rw, "a.txt", 0, READ, 0); fd_tell(first, a)`. An argument is one of:
//!
//! - a number, a name from `names.rs`, or a sum of them: `7`, `-1`, `0xff`, `end-4`, `READ+WRITE`
//! - `"text"`: the address and the length of these bytes; `\ff` is a byte, and `"x"*300` is longer
//! - `["text" 5@a]`: the address and the number of buffers: some bytes, or 5 bytes at `a`
//! - `{clock(7, 1, 0, 0) read(8, stdin)}`: the address of subscriptions, with their user data first
//! - `<8>`: the address of 8 bytes; only for `pointers.rs`, which says where they are
//!
//! `open(DIRECTORY, PATH, OPEN FLAGS, RIGHTS, DESCRIPTOR FLAGS)` is `path_open` that follows links. A call must succeed
//! unless an error's name follows, as in `fd_close(9)=BADF`; `3*fd_sync(5)` is three calls.

use super::Version;
use super::names::{UNSEEN, error, named};

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) expected: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Argument {
    Number(i64),
    Text(Vec<u8>),
    Buffers(Vec<Buffer>),
    Subscriptions(Vec<(String, Vec<i64>)>),
    Room(u32),
}

#[derive(Debug, Clone)]
pub(super) enum Buffer {
    Text(Vec<u8>),
    At { address: i64, length: i64 },
}

/// Reads a row's calls from its text.
pub(super) struct Reader<'a> {
    version: Version,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(version: Version, text: &'a str) -> Self {
        Self { version, rest: text }
    }

    /// All calls of the row.
    pub(super) fn calls(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        loop {
            let repeated = self.rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
            let times = if repeated { self.number() } else { 1 };
            assert_eq!(self.take("*"), repeated, "not understood: {}", self.rest);
            let call = self.call();
            calls.extend((0..times).map(|_| call.clone()));
            if !self.take(";") {
                break;
            }
        }
        assert!(self.at_end(), "not understood: {}", self.rest);
        calls
    }

    fn call(&mut self) -> Call {
        let mut name = self.word();
        assert!(self.take("("), "no call: {name}{}", self.rest);
        let mut arguments = self.list(")", Self::argument);
        if name == "open" {
            name = "path_open";
            arguments.insert(1, Argument::Number(1));
            arguments.insert(5, Argument::Number(0));
            arguments.push(Argument::Number(UNSEEN));
        }
        let expected = if self.take("=") { error(self.word()) } else { 0 };
        Call { name: name.to_owned(), arguments, expected }
    }

    fn argument(&mut self) -> Argument {
        if self.take("\"") {
            Argument::Text(self.text())
        } else if self.take("[") {
            Argument::Buffers(self.list("]", Self::buffer))
        } else if self.take("{") {
            Argument::Subscriptions(self.list("}", |reader| {
                let name = reader.word();
                assert!(reader.take("("), "no subscription: {name}");
                (name.to_owned(), reader.list(")", Self::number))
            }))
        } else if self.take("<") {
            let length = u32::try_from(self.number()).expect("small");
            assert!(self.take(">"), "no end: {}", self.rest);
            Argument::Room(length)
        } else {
            Argument::Number(self.number())
        }
    }

    fn buffer(&mut self) -> Buffer {
        if self.take("\"") {
            return Buffer::Text(self.text());
        }
        let length = self.number();
        assert!(self.take("@"), "a buffer is somewhere: {}", self.rest);
        Buffer::At { address: self.number(), length }
    }

    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.take(end) {
            assert!(!self.at_end(), "no `{end}`");
            items.push(item(self));
            self.take(",");
        }
        items
    }

    /// A text whose opening quote has been read.
    pub(super) fn text(&mut self) -> Vec<u8> {
        let (text, rest) = self.rest.split_once('"').expect("a text ends");
        self.rest = rest;
        let mut bytes = Vec::new();
        let mut pieces = text.split('\\');
        bytes.extend(pieces.next().unwrap_or_default().bytes());
        for piece in pieces {
            bytes.push(u8::from_str_radix(&piece[..2], 16).expect("two digits"));
            bytes.extend(piece[2..].bytes());
        }
        if self.take("*") { bytes.repeat(usize::try_from(self.number()).expect("small")) } else { bytes }
    }

    /// A number, a name that stands for one, or a sum.
    pub(super) fn number(&mut self) -> i64 {
        let mut number = if self.take("-") { -self.term() } else { self.term() };
        loop {
            if self.take("+") {
                number += self.term();
            } else if self.take("-") {
                number -= self.term();
            } else {
                return number;
            }
        }
    }

    fn term(&mut self) -> i64 {
        let word = self.word();
        if let Some(number) = named(self.version, word) {
            return number;
        }
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        number.unwrap_or_else(|error| panic!("`{word}` before `{}`: {error}", self.rest)).cast_signed()
    }

    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    pub(super) fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.trim().is_empty()
    }
}
