//! A server that answers as a test wants, correctly or not, and records its requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// An action of the server on a connection, after it has read a request.
#[derive(Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// Sends this again and again, with pauses, until the client has gone.
    Repeat(Vec<u8>, Duration),
    /// Sends nothing more, and waits until the client has gone.
    Stall,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Up to the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header, in any case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// A server that answers each request with the steps of `answer`.
    pub fn start(answer: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (seen, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let left = Arc::new(AtomicUsize::new(0));
        let accepting = thread::spawn({
            let (seen, ended, answer) = (Arc::clone(&seen), Arc::clone(&ended), Arc::new(answer));
            let left = Arc::clone(&left);
            move || {
                for stream in listener.incoming() {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let (seen, answer, left) = (Arc::clone(&seen), Arc::clone(&answer), Arc::clone(&left));
                    thread::spawn(move || {
                        serve(stream.expect("a connection"), &seen, answer.as_ref());
                        left.fetch_add(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { address, seen, left, ended, accepting: Some(accepting) }
    }

    /// A server with one answer for all requests.
    pub fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_| steps.clone())
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The number of connections that have ended.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Serves one connection, which ends after the answer. A client that leaves early is no error.
fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>, answer: &impl Fn(&Seen) -> Vec<Step>) {
    let Some(request) = read_request(&mut stream) else { return };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    for step in answer(&request) {
        let done = match step {
            Step::Send(bytes) => stream.write_all(&bytes),
            Step::Stall => stream.read_to_end(&mut Vec::new()).map(drop),
            Step::Repeat(bytes, pause) => loop {
                if let Err(error) = stream.write_all(&bytes) {
                    break Err(error);
                }
                thread::sleep(pause);
            },
        };
        if done.is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let mut seen = Seen { head: String::from_utf8_lossy(&head).into_owned(), body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    seen.body.resize(length, 0);
    stream.read_exact(&mut seen.body).ok()?;
    Some(seen)
}

/// A whole answer with this status, headers and body.
pub fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = format!("{text}\r\n").into_bytes();
    bytes.extend(body);
    vec![Step::Send(bytes)]
}
