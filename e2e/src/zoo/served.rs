//! A small file server on loopback that can misbehave, and remembers what it was asked.
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// How a file is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// all of it, or the range asked for
    Whole(Vec<u8>),
    /// all of it, but every connection breaks after so many bytes
    Breaking(Vec<u8>, usize),
    /// all of it from the beginning, whatever range is asked for; the first connection breaks
    Forgetful(Vec<u8>, usize),
    /// the same byte for ever, with no length said
    Endless,
    /// a redirect to another path
    Elsewhere(String),
}

#[derive(Debug, Default)]
struct State {
    pages: BTreeMap<String, Page>,
    asked: Vec<String>,
    sent: u64,
}

/// A server that lives as long as the test's process.
#[derive(Clone, Debug)]
pub struct Served {
    /// `http://127.0.0.1:PORT`
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Served {
    /// Serves nothing yet.
    /// # Errors
    /// When loopback gives no port.
    pub fn start() -> Result<Served> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        let address = format!("http://{}", listener.local_addr().context("read own address")?);
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that goes away in the middle is what some tests want.
                std::thread::spawn(move || drop(answer_all(&stream, &state)));
            }
        });
        Ok(Served { address, state })
    }

    /// Serves these bytes at this path (percent-encoded, without a slash at the beginning).
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.set(path, Page::Whole(bytes));
    }

    /// Serves this at this path.
    pub fn set(&self, path: &str, page: Page) {
        self.locked(|state| state.pages.insert(path.to_owned(), page));
    }

    /// Serves it no more.
    pub fn take_away(&self, path: &str) {
        self.locked(|state| state.pages.remove(path));
    }

    /// What is served at this path, if it is plain bytes.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.locked(|state| match state.pages.get(path) {
            Some(Page::Whole(bytes)) => Some(bytes.clone()),
            _ => None,
        })
    }

    /// What was asked since the last call (`path`, or `path bytes=5-`), and the bytes of all bodies.
    #[must_use]
    pub fn asked(&self) -> (Vec<String>, u64) {
        self.locked(|state| (std::mem::take(&mut state.asked), std::mem::take(&mut state.sent)))
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer_all(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = BufReader::new(stream.try_clone()?);
    while let Some((path, from)) = question(&mut head)? {
        let page = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.asked.push(match from {
                None => path.clone(),
                Some(from) => format!("{path} bytes={from}-"),
            });
            let page = state.pages.get(&path).cloned();
            if let Some(Page::Forgetful(bytes, _)) = &page {
                let whole = Page::Whole(bytes.clone());
                state.pages.insert(path, whole);
            }
            page
        };
        let sent = match page {
            None => send(stream, "404 Not Found", "", b"not here", None)?,
            Some(Page::Whole(bytes)) => send_from(stream, &bytes, from, None)?,
            Some(Page::Breaking(bytes, after)) => send_from(stream, &bytes, from, Some(after))?,
            Some(Page::Forgetful(bytes, after)) => send_from(stream, &bytes, None, Some(after))?,
            Some(Page::Endless) => return endless(stream),
            Some(Page::Elsewhere(path)) => {
                send(stream, "302 Found", &format!("location: /{path}\r\n"), b"", None)?
            }
        };
        match sent {
            Sent::Whole(count) => {
                state.lock().unwrap_or_else(PoisonError::into_inner).sent += count;
            }
            Sent::Broken => return stream.shutdown(std::net::Shutdown::Both),
        }
    }
    Ok(())
}

enum Sent {
    Whole(u64),
    Broken,
}

/// The path asked for, and the first byte of the range if there is one; `None` when the client left.
fn question(head: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Option<usize>)>> {
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut from = None;
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some((path, from)));
        }
        let lower = line.to_ascii_lowercase();
        if let Some(range) = lower.trim().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
}

fn send_from(
    stream: &TcpStream,
    bytes: &[u8],
    from: Option<usize>,
    breaks: Option<usize>,
) -> std::io::Result<Sent> {
    match from {
        Some(from) if from < bytes.len() => {
            let range =
                format!("content-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            send(stream, "206 Partial Content", &range, &bytes[from..], breaks)
        }
        Some(_) => send(stream, "416 Range Not Satisfiable", "", b"", None),
        None => send(stream, "200 OK", "", bytes, breaks),
    }
}

fn send(
    mut stream: &TcpStream,
    status: &str,
    more: &str,
    body: &[u8],
    breaks: Option<usize>,
) -> std::io::Result<Sent> {
    let head = format!("HTTP/1.1 {status}\r\n{more}content-length: {}\r\n\r\n", body.len());
    let mut out = head.into_bytes();
    let part = breaks.filter(|count| *count < body.len());
    out.extend_from_slice(part.map_or(body, |count| &body[..count]));
    stream.write_all(&out)?;
    Ok(if part.is_some() { Sent::Broken } else { Sent::Whole(body.len() as u64) })
}

/// Ends when the client has had enough.
fn endless(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
    loop {
        stream.write_all(&[b' '; 16 * 1024])?;
    }
}
