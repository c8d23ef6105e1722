//! The two ends of a request: the thread that sends it tells the outcome to the plugin's thread, which waits.

use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::answer::Answer;
use crate::error::Message;
use crate::host::fault::Fault;
use crate::http::Client;
use crate::stop::{Stopped, Watch};

/// The time that a request may take to notice its deadline.
const GRACE: Duration = Duration::from_millis(20);

/// The sending thread's end of a request. Dropping it wakes the waiting thread, whatever the outcome, even a panic.
pub(super) struct Notice {
    // Dropped first, so that the woken thread finds the channel closed.
    sender: SyncSender<Result<Answer, Fault>>,
    _wake: Wake,
}

struct Wake(Thread);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

/// The waiting thread's end of a request.
pub(super) struct Answering {
    receiver: Receiver<Result<Answer, Fault>>,
    client: Client,
}

impl Notice {
    pub(super) fn new(client: Client) -> (Self, Answering) {
        let (sender, receiver) = mpsc::sync_channel(1);
        (Self { sender, _wake: Wake(thread::current()) }, Answering { receiver, client })
    }

    pub(super) fn of(self, outcome: Result<Answer, Fault>) {
        let _ = self.sender.send(outcome);
    }
}

impl Answering {
    pub(super) fn wait(self, watch: Watch) -> Result<Answer, Fault> {
        let mut outcome = None;
        watch.wait(None, || {
            outcome = match self.receiver.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(Fault::HttpRequest(Message::of("it has failed inside")))),
            };
            outcome.is_some()
        });
        if outcome.is_none() && watch.reason() == Some(Stopped::Timeout) {
            // The request has the same deadline, and its error says what it was waiting for.
            outcome = self.receiver.recv_timeout(GRACE).ok();
        }
        if outcome.is_none() {
            self.client.give_up();
        }
        match outcome {
            Some(Err(fault)) => Err(fault),
            Some(Ok(answer)) if watch.reason().is_none() => Ok(answer),
            _ => {
                watch.stop();
                Err(Fault::Stopped)
            }
        }
    }
}
