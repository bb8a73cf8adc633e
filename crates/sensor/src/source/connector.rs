//! Events through the kernel's process connector (netlink, `linux/cn_proc.h`), arguments from /proc.
//! What it cannot see: the arguments of a program that has ended before /proc is read.
use super::{Raw, Source};
use crate::{proc_fs, sys};
use andon_model::beat::SensorSource;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const EVENT_FORK: u32 = 0x0000_0001;
const EVENT_EXEC: u32 = 0x0000_0002;
const EVENT_EXIT: u32 = 0x8000_0000;
/// Bytes before the event: netlink header 16, connector message 20.
const EVENT_AT: usize = 36;
/// Bytes of the event before its own words: what, cpu, timestamp.
const BODY_AT: usize = EVENT_AT + 16;
/// Receive buffer, bytes: tens of thousands of events while rules are reloaded.
const BUFFER_BYTES: i32 = 4 * 1024 * 1024;

/// Why the connector cannot be used here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectorError {
    #[error("open netlink socket (needs CAP_NET_ADMIN)")]
    Socket(#[source] io::Error),
    #[error("ask for process events (needs CONFIG_PROC_EVENTS)")]
    Listen(#[source] io::Error),
}

/// A socket that listens.
pub(crate) struct Connector {
    socket: OwnedFd,
    drops: u64,
}

impl Connector {
    /// Opens the socket and asks for events.
    pub(crate) fn open() -> Result<Connector, ConnectorError> {
        let socket =
            sys::connector_socket(CN_IDX_PROC, BUFFER_BYTES).map_err(ConnectorError::Socket)?;
        sys::send(&socket, &listen_message()).map_err(ConnectorError::Listen)?;
        Ok(Connector { socket, drops: 0 })
    }
}

/// nlmsghdr, cn_msg, operation: 40 bytes.
fn listen_message() -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    out.extend(40_u32.to_ne_bytes());
    out.extend(u16::try_from(libc::NLMSG_DONE).unwrap_or(3).to_ne_bytes());
    out.extend(0_u16.to_ne_bytes());
    out.extend(0_u32.to_ne_bytes());
    out.extend(std::process::id().to_ne_bytes());
    for word in [CN_IDX_PROC, CN_VAL_PROC, 0, 0] {
        out.extend(word.to_ne_bytes());
    }
    out.extend(4_u16.to_ne_bytes());
    out.extend(0_u16.to_ne_bytes());
    out.extend(PROC_CN_MCAST_LISTEN.to_ne_bytes());
    out
}

impl Source for Connector {
    fn kind(&self) -> SensorSource {
        SensorSource::ProcConnector
    }
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
    fn drain(&mut self, limit: usize, take: &mut dyn FnMut(Raw)) -> bool {
        let mut buffer = [0; 1024];
        for _ in 0..limit {
            match sys::receive(&self.socket, &mut buffer) {
                // only the kernel, port 0, tells the truth about processes
                Ok((length, 0)) => {
                    if let Some(raw) = decode(&buffer[..length]).and_then(complete) {
                        take(raw);
                    }
                }
                Ok(_) => {}
                // the kernel says that it lost some, not how many: at least one
                Err(failed) if failed.raw_os_error() == Some(libc::ENOBUFS) => self.drops += 1,
                Err(failed) if failed.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
    fn drops(&mut self) -> u64 {
        self.drops
    }
}

/// Reads one message; an exec has only its process id yet, a thread's event is `None`.
fn decode(bytes: &[u8]) -> Option<Raw> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    if (word(16)?, word(20)?) != (CN_IDX_PROC, CN_VAL_PROC) {
        return None;
    }
    let body = |at: usize| word(BODY_AT + 4 * at);
    match word(EVENT_AT)? {
        // parent pid, parent tgid, child pid, child tgid
        EVENT_FORK if body(2)? == body(3)? => Some(Raw::Fork { parent: body(1)?, child: body(3)? }),
        // pid, tgid
        EVENT_EXEC => Some(Raw::Exec {
            pid: body(1)?,
            parent: 0,
            uid: 0,
            path: String::new(),
            arguments: Vec::new(),
        }),
        EVENT_EXIT if body(0)? == body(1)? => Some(Raw::Exit { pid: body(1)? }),
        _ => None,
    }
}

/// Fills an exec from /proc. A process that is gone has no user either: it is told as unknown.
fn complete(raw: Raw) -> Option<Raw> {
    let Raw::Exec { pid, .. } = raw else { return Some(raw) };
    let (parent, uid) = proc_fs::parent_and_user(pid).unwrap_or((0, u32::MAX));
    Some(Raw::Exec {
        pid,
        parent,
        uid,
        path: proc_fs::image(pid).unwrap_or_default(),
        arguments: proc_fs::arguments(pid).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_kind_or_cut_short_is_left_alone() {
        let mut message = listen_message();
        message.truncate(EVENT_AT);
        message.extend(EVENT_EXIT.to_ne_bytes());
        message.extend([0; 12]);
        message.extend(7_u32.to_ne_bytes());
        message.extend(7_u32.to_ne_bytes());
        assert_eq!(decode(&message), Some(Raw::Exit { pid: 7 }));
        for length in 0..message.len() {
            assert_eq!(decode(&message[..length]), None);
        }
        message[16] = 9;
        assert_eq!(decode(&message), None);
    }
}
