//! SIGTERM and SIGINT as bytes in a pipe, so that one `poll` waits for everything.
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd as _, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn tell(_signal: libc::c_int) {
    let byte = 1u8;
    // SAFETY: write(2) is async-signal-safe; the pipe is never closed; one readable byte is passed.
    // A full pipe means that the loop has been told already.
    unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct Stop(OwnedFd);

impl Stop {
    /// Takes over SIGTERM and SIGINT for this process; children start with the default again.
    pub(crate) fn listen() -> io::Result<Stop> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
        for signal in [libc::SIGTERM, libc::SIGINT] {
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
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
