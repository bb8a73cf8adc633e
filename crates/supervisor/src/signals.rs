//! SIGTERM, SIGINT and SIGUSR1 as bytes in a pipe, so that one `poll` waits for everything.
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd as _, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Says that the host restarts; anything else only ends the supervisor.
const RESTARTS: u8 = b'r';

extern "C" fn tell(signal: libc::c_int) {
    let byte = if signal == libc::SIGUSR1 { RESTARTS } else { b's' };
    // SAFETY: write(2) is async-signal-safe; the pipe is never closed; one readable byte is passed.
    // A full pipe means that the loop has been told already.
    unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
}

/// Why the supervisor is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM, SIGINT: nothing is known of what comes after
    End,
    /// SIGUSR1: the host restarts, and will be back
    Restart,
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct Stop(OwnedFd);

impl Stop {
    /// Takes over these signals for this process; children start with the default again.
    pub(crate) fn listen() -> io::Result<Stop> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
            // SAFETY: sigaction is plain data, zero is a valid value of it; `tell` does only what a
            // handler may do.
            let set = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = tell as extern "C" fn(libc::c_int) as libc::sighandler_t;
                action.sa_flags = libc::SA_RESTART;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut())
            };
            if set != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Stop(read))
    }
    /// What was asked for since the last look, if anything.
    pub(crate) fn asked(&self) -> Option<Asked> {
        let mut bytes = [0; 16];
        let read = rustix::io::read(&self.0, &mut bytes).ok()?;
        let restarts = bytes.iter().take(read).any(|byte| *byte == RESTARTS);
        Some(if restarts { Asked::Restart } else { Asked::End })
    }
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
