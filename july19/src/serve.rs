//! A line's server that has one stop to give: the index and the freeze, as `andond` serves them.
use andon_model::Digest;
use andon_model::envelope::Envelope;
use andon_model::index::Index;
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// Serves on loopback as long as this process lives.
pub(crate) struct Line {
    port: u16,
}

impl Line {
    pub(crate) fn start(stop: &Envelope) -> Result<Line> {
        let stop = stop.to_bytes();
        let index = Index { version: 1, stops: vec![Digest::of(&stop)], ..Index::default() };
        let index = serde_json::to_vec(&index)?;
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut line = String::new();
                if let Ok(head) = stream.try_clone() {
                    let _gone = BufReader::new(head).read_line(&mut line);
                }
                let body = if line.contains("/index.json ") { &index } else { &stop };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        Ok(Line { port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}
