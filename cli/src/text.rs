//! Formats numbers for people, and writes output that tolerates a closed pipe.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use extism_core::error::one_line;

use crate::Outcome;

pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KB", "MB", "GB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_nanos() {
        nanos @ 0..1_000 => format!("{nanos} ns"),
        nanos @ 1_000..1_000_000 => format!("{:.1} us", nanos as f64 / 1e3),
        nanos @ 1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        nanos => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

/// A path for display: control characters are escaped, so that a file's name cannot drive the terminal.
pub(crate) fn path(path: &Path) -> String {
    one_line(path.display())
}

/// Prints an error to standard error. Further lines are indented, so that they do not look like errors of their own.
pub(crate) fn complain(error: &str) {
    eprintln!("extism-wasmer: {}", lines(error));
}

fn lines(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().split('\n').map(one_line).collect();
    lines.join("\n  ")
}

/// Writes to standard output. A closed pipe is no error: the reader has read enough.
pub(crate) fn print(text: &[u8], status: u8) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}").into()),
        _ => Ok(status),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, lines};
    use std::time::Duration;

    #[test]
    fn errors_do_not_drive_the_terminal() {
        assert_eq!(lines("one"), "one");
        assert_eq!(lines("one\n\n\u{1b}[2Jtwo\rthree\n"), "one\n  \n  \\u{1b}[2Jtwo\\rthree");
    }

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 1_234_567].map(bytes), ["0 B", "999 B", "1.0 KB", "1.2 MB"]);
        let shown = [5, 1500, 2_500_000, 3_210_000_000].map(|nanos| duration(Duration::from_nanos(nanos)));
        assert_eq!(shown, ["5 ns", "1.5 us", "2.5 ms", "3.21 s"]);
    }
}
