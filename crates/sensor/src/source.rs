//! Where events come from: eBPF programs, or the kernel's process connector where those cannot be
//! loaded. Both give the same three events; what each cannot see is said where it is opened.
pub(crate) mod connector;
pub(crate) mod ebpf;

use crate::args::SourceWish;
use andon_model::beat::SensorSource;
use std::os::fd::BorrowedFd;

/// One event as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// a process became another program
    Exec { pid: u32, parent: u32, uid: u32, path: String, arguments: Vec<u8> },
    /// a new process
    Fork { parent: u32, child: u32 },
    /// a process ended
    Exit { pid: u32 },
}

/// A stream of events.
pub(crate) trait Source {
    /// Which one it is.
    fn kind(&self) -> SensorSource;
    /// Readable when events wait.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Takes at most `limit` waiting events without waiting; `false` when none is left.
    fn drain(&mut self, limit: usize, take: &mut dyn FnMut(Raw)) -> bool;
    /// Events lost since it was opened.
    fn drops(&mut self) -> u64;
}

/// Why no events can be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("open eBPF event source")]
    Ebpf(#[from] ebpf::EbpfError),
    #[error("open process connector")]
    Connector(#[from] connector::ConnectorError),
}

/// Opens what is wished for; `auto` says on standard error why it had to fall back.
pub(crate) fn open(wish: SourceWish) -> Result<Box<dyn Source>, SourceError> {
    match wish {
        SourceWish::Ebpf => Ok(Box::new(ebpf::Ebpf::open()?)),
        SourceWish::Proc => Ok(Box::new(connector::Connector::open()?)),
        SourceWish::Auto => match ebpf::Ebpf::open() {
            Ok(source) => Ok(Box::new(source)),
            Err(refused) => {
                eprintln!(
                    "andon-sensor: eBPF is not available ({}); source: proc_connector. Programs \
                     that end at once may be seen without their arguments.",
                    chain(&refused)
                );
                Ok(Box::new(connector::Connector::open()?))
            }
        },
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        out.push_str(": ");
        out.push_str(&source.to_string());
        cause = source.source();
    }
    out
}
