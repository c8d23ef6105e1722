//! The return value and the error text of a call that failed, as programs that use Extism 1.x expect them.
//!
//! They look for parts of the texts: the phrase before a backtrace, `timeout`, `fuel`, `exit status`.

use extism_core::plugin::{CallFailure, FailureKind, HostFailure};

/// The result of a call that trapped, timed out or was cancelled.
const INTERRUPTED: i32 = 134;

/// The words before a backtrace.
const BACKTRACE: &str = "error while executing at wasm backtrace";

/// The return value of a call that failed.
pub(crate) fn code(failure: &CallFailure) -> i32 {
    match (failure.host.as_ref().map(|host| host.kind), &failure.guest) {
        (Some(FailureKind::Trap), None) | (Some(FailureKind::Timeout | FailureKind::Cancelled), _) => INTERRUPTED,
        _ => failure.code,
    }
}

/// The error text of a call that failed: that of the plugin as it is, then the host's.
pub(crate) fn text(failure: CallFailure) -> String {
    match (failure.guest, failure.host.map(of_host)) {
        (Some(guest), Some(host)) => format!("{guest}\n\n{host}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => String::new(),
    }
}

fn of_host(failure: HostFailure) -> String {
    let HostFailure { kind, reason, backtrace, .. } = failure;
    match kind {
        FailureKind::Trap => caused(&backtrace, &reason),
        FailureKind::Exit(status) => caused(&backtrace, &format!("Exited with i32 exit status {status}")),
        FailureKind::Fault if backtrace.is_empty() => reason,
        FailureKind::Fault => format!("{reason}\n\n{}", frames(&backtrace)),
        // By another thread, or by a host function of its own.
        FailureKind::Cancelled => "timeout: cancelled".to_owned(),
        FailureKind::Timeout | FailureKind::OutOfFuel | FailureKind::NotCalled => reason,
    }
}

/// Where it happened, then the reason.
fn caused(backtrace: &str, reason: &str) -> String {
    format!("{}\n\nCaused by:\n    {}", frames(backtrace), reason.replace('\n', "\n    "))
}

/// The phrase, and the functions of the plugin that were running, if they are known.
fn frames(backtrace: &str) -> String {
    let mut text = BACKTRACE.to_owned();
    if !backtrace.is_empty() {
        text.push(':');
    }
    backtrace.lines().for_each(|frame| text.extend(["\n    ", frame]));
    text
}

#[cfg(test)]
mod tests {
    use super::{CallFailure, FailureKind, HostFailure, code, text};

    /// An error of the host: what it is about, its reason, and the functions that were running.
    type Found = (FailureKind, &'static str, &'static str);

    /// The status, the plugin's error, the host's, and what C is told.
    type Case = (i32, Option<&'static str>, Option<Found>, i32, String);

    const FRAMES: &str = "0: main!f [1]\n1: main!g [2]\n";

    /// The return value and the text of a call in which the plugin set the error `guest`, and the host found one.
    fn told(code_: i32, guest: Option<&str>, host: Option<Found>) -> (i32, String) {
        let host = host.map(|(kind, reason, frames)| HostFailure::new(kind, reason.to_owned(), frames.to_owned()));
        let failure = CallFailure { code: code_, guest: guest.map(str::to_owned), host };
        (code(&failure), text(failure))
    }

    #[test]
    fn each_kind_has_its_value_and_its_text() {
        let trap = "error while executing at wasm backtrace:\n    0: main!f [1]\n    1: main!g [2]\n\n\
                    Caused by:\n    wasm trap: unreachable";
        let exit = |status| {
            format!(
                "error while executing at wasm backtrace:\n    0: x [1]\n\nCaused by:\n    Exited with i32 exit status {status}"
            )
        };
        let host = |kind, reason, frames| Some((kind, reason, frames));
        let cases: &[Case] = &[
            (0, Some("warning"), None, 0, "warning".to_owned()),
            (1, Some("Some error message"), None, 1, "Some error message".to_owned()),
            (-1, None, host(FailureKind::Trap, "wasm trap: unreachable", FRAMES), 134, trap.to_owned()),
            (-1, Some("own"), host(FailureKind::Trap, "wasm trap: unreachable", FRAMES), -1, format!("own\n\n{trap}")),
            (
                -1,
                None,
                host(FailureKind::Trap, "wasm trap: call stack exhausted", ""),
                134,
                "error while executing at wasm backtrace\n\nCaused by:\n    wasm trap: call stack exhausted".to_owned(),
            ),
            (-1, None, host(FailureKind::Timeout, "timeout: 5 ms", ""), 134, "timeout: 5 ms".to_owned()),
            (-1, Some("own"), host(FailureKind::Timeout, "timeout", ""), 134, "own\n\ntimeout".to_owned()),
            (
                -1,
                None,
                host(FailureKind::Cancelled, "cancelled by another thread", ""),
                134,
                "timeout: cancelled".to_owned(),
            ),
            (-1, None, host(FailureKind::OutOfFuel, "out of fuel: 5", ""), -1, "out of fuel: 5".to_owned()),
            (
                -1,
                None,
                host(FailureKind::NotCalled, "Function not found: f", ""),
                -1,
                "Function not found: f".to_owned(),
            ),
            (
                -1,
                None,
                host(FailureKind::Fault, "no room for the variable", FRAMES),
                -1,
                "no room for the variable\n\nerror while executing at wasm backtrace:\n    0: main!f [1]\n    1: main!g [2]"
                    .to_owned(),
            ),
            (-1, None, host(FailureKind::Fault, "refused", ""), -1, "refused".to_owned()),
            (7, None, host(FailureKind::Exit(7), "not shown", "0: x [1]"), 7, exit(7)),
            (-1, None, host(FailureKind::Exit(200), "not shown", "0: x [1]"), -1, exit(200)),
            (7, Some("own"), host(FailureKind::Exit(7), "", "0: x [1]"), 7, format!("own\n\n{}", exit(7))),
        ];
        for (code, guest, host, expected_code, expected_text) in cases {
            assert_eq!(told(*code, *guest, *host), (*expected_code, expected_text.clone()));
        }
    }
}
