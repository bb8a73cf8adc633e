//! The few system calls that the standard library does not offer, each behind a safe function.
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A descriptor that becomes readable when one of `signals` arrives; they are blocked from now on.
/// Call before any thread is started, so that every thread inherits the mask.
pub(crate) fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: sigset_t is plain memory that sigemptyset initialises; both pointers are to locals.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        owned(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))
    }
}

/// The next signal waiting on a descriptor of [`signal_descriptor`], if any.
pub(crate) fn next_signal(descriptor: &OwnedFd) -> Option<i32> {
    // SAFETY: the buffer is a local of exactly the size given; the kernel fills it or fails.
    unsafe {
        let mut info: libc::signalfd_siginfo = std::mem::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        let got = libc::read(descriptor.as_raw_fd(), (&raw mut info).cast(), size);
        (usize::try_from(got) == Ok(size)).then(|| info.ssi_signo.cast_signed())
    }
}

/// Waits until one of `descriptors` is readable or `timeout` has passed.
pub(crate) fn wait_readable(descriptors: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<()> {
    let mut polls: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let count = libc::nfds_t::try_from(polls.len()).unwrap_or(0);
    // SAFETY: the pointer and count describe `polls`, which outlives the call.
    let got = unsafe { libc::poll(polls.as_mut_ptr(), count, milliseconds) };
    let failed = io::Error::last_os_error();
    if got < 0 && failed.kind() != io::ErrorKind::Interrupted { Err(failed) } else { Ok(()) }
}

/// A netlink connector socket bound to `group`, non-blocking, with a receive buffer of `bytes`.
pub(crate) fn connector_socket(group: u32, bytes: i32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain system calls; the address and the option are locals of the sizes given.
    unsafe {
        let socket = owned(libc::socket(libc::PF_NETLINK, kind, libc::NETLINK_CONNECTOR))?;
        let size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
        // root may go beyond the system-wide limit; if not, the smaller buffer is used
        for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                size,
            );
        }
        let mut address: libc::sockaddr_nl = std::mem::zeroed();
        address.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or(0);
        address.nl_groups = group;
        let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_nl>()).unwrap_or(0);
        if libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(socket)
    }
}

/// Sends one datagram to the kernel's end of the socket.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `bytes`.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives one datagram and the netlink port that sent it; the kernel is port 0.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, u32)> {
    // SAFETY: pointer and length describe `buffer`; address and size are locals.
    let (got, port) = unsafe {
        let mut address: libc::sockaddr_nl = std::mem::zeroed();
        let mut size = libc::socklen_t::try_from(size_of::<libc::sockaddr_nl>()).unwrap_or(0);
        let got = libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            (&raw mut address).cast(),
            &raw mut size,
        );
        (got, address.nl_pid)
    };
    match usize::try_from(got) {
        Ok(got) => Ok((got, port)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened by the caller and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
