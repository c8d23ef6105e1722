//! The result of a call, for the caller.

/// The return value of `extism_plugin_call`, or why it has none.
pub(crate) type CallOutcome = Result<i32, Box<Complaint>>;

/// The error of a call, set by the plugin or found by the host.
#[derive(Debug)]
pub struct Complaint {
    /// The return value of `extism_plugin_call` that goes with the error.
    pub code: i32,
    /// The error, which may have several lines.
    pub text: String,
}
