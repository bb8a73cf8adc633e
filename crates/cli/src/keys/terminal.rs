//! Asks at the terminal for what nobody else may see. Reads key by key with echo and signals switched off, so that
//! the terminal is put back whatever the person presses: a Ctrl-C that killed the process would leave it mute.
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

/// Why nothing was typed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TerminalError {
    /// this process has none
    #[error("find a terminal")]
    None,
    /// it failed
    #[error("use the terminal")]
    Io(#[from] io::Error),
    /// Ctrl-C, Ctrl-D
    #[error("the person at the terminal gave up")]
    GivenUp,
    /// too much
    #[error("more than {0} bytes were typed")]
    TooLong(usize),
    /// not UTF-8
    #[error("what was typed is not text")]
    NotText,
}

/// The line that a person types at the controlling terminal, unseen. At most `limit` bytes.
/// # Errors
/// [`TerminalError`].
pub(super) fn ask_unseen(prompt: &str, limit: usize) -> Result<String, TerminalError> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let mut tty = tty.map_err(|_| TerminalError::None)?;
    let quiet = Quiet::new(&tty)?;
    tty.write_all(prompt.as_bytes())?;
    let typed = read_line(&mut tty, limit);
    drop(quiet);
    tty.write_all(b"\n")?;
    typed
}

/// Echo, line editing and signals are off for as long as this lives.
struct Quiet {
    tty: File,
    before: Termios,
}

impl Quiet {
    fn new(tty: &File) -> Result<Quiet, TerminalError> {
        let tty = tty.try_clone()?;
        let before = termios::tcgetattr(&tty).map_err(io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Flush: what was typed before the question was not meant for it.
        termios::tcsetattr(&tty, OptionalActions::Flush, &quiet).map_err(io::Error::from)?;
        Ok(Quiet { tty, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _best_effort = termios::tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}

/// The line editor: Enter ends, Backspace and Ctrl-U take back, Ctrl-C and Ctrl-D give up.
fn read_line(input: &mut impl io::Read, limit: usize) -> Result<String, TerminalError> {
    let mut line = Vec::new();
    let mut byte = [0];
    // Byte by byte: what is typed after Enter is another program's.
    while input.read(&mut byte)? == 1 {
        match byte[0] {
            b'\n' | b'\r' => return String::from_utf8(line).map_err(|_| TerminalError::NotText),
            0x03 | 0x04 => return Err(TerminalError::GivenUp),
            0x15 => line.clear(),
            0x08 | 0x7f => {
                // A character may have several bytes.
                while line.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {}
            }
            byte => line.push(byte),
        }
        if line.len() > limit {
            return Err(TerminalError::TooLong(limit));
        }
    }
    Err(TerminalError::GivenUp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_people_expect() {
        let cases: [(&[u8], &str); 5] = [
            (b"secret\n", "secret"),
            (b"secrets\x7f\r", "secret"),
            ("süß\x7f\x7f\x7fno\n".as_bytes(), "no"),
            (b"wrong\x15right\n", "right"),
            (b"\x7f\n", ""),
        ];
        for (typed, line) in cases {
            assert_eq!(read_line(&mut &*typed, 64).unwrap(), line);
        }
        for typed in [b"secret\x03\n".as_slice(), b"\x04", b"no end"] {
            assert!(matches!(read_line(&mut &*typed, 64), Err(TerminalError::GivenUp)));
        }
        assert_eq!(read_line(&mut b"1234\n".as_slice(), 4).unwrap(), "1234");
        let long = read_line(&mut b"12345\n".as_slice(), 4);
        assert!(matches!(long, Err(TerminalError::TooLong(4))));
    }
}
