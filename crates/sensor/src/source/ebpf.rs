//! Events through the kernel programs of `bpf/process.bpf.c`, loaded one by one: a kernel that
//! refuses fork or exit events still gives program starts.
use super::{Raw, Source};
use andon_model::beat::SensorSource;
use aya::Btf;
use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::BtfTracePoint;
use std::os::fd::{AsFd as _, BorrowedFd};

/// The built object; `bpf/build.sh` makes it, a test compares.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/process.bpf.o");

const HEAD_BYTES: usize = 24;
const PATH_BYTES: usize = 256;
const KIND_EXEC: u32 = 1;
const KIND_FORK: u32 = 2;
const KIND_EXIT: u32 = 3;

/// Why the programs cannot be used here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EbpfError {
    /// the kernel publishes no types (CONFIG_DEBUG_INFO_BTF)
    #[error("read kernel types")]
    Btf(#[source] aya::BtfError),
    #[error("load object")]
    Load(#[source] Box<aya::EbpfError>),
    #[error("load program {0}")]
    Program(&'static str, #[source] Box<aya::programs::ProgramError>),
    #[error("find {0} in the object")]
    Missing(&'static str),
    #[error("open map {0}")]
    Map(&'static str, #[source] Box<aya::maps::MapError>),
}

/// Loaded programs and their maps. Dropping it detaches them.
pub(crate) struct Ebpf {
    events: RingBuf<MapData>,
    drops: PerCpuArray<MapData, u64>,
    // keeps the programs attached
    _object: aya::Ebpf,
}

impl Ebpf {
    /// Loads and attaches; program starts are required, forks and exits are reported if refused.
    pub(crate) fn open() -> Result<Ebpf, EbpfError> {
        let types = Btf::from_sys_fs().map_err(EbpfError::Btf)?;
        let mut object = aya::EbpfLoader::new()
            .btf(Some(&types))
            .load(OBJECT)
            .map_err(|failed| EbpfError::Load(Box::new(failed)))?;
        attach(&mut object, &types, "on_exec", "sched_process_exec")?;
        for (program, point) in
            [("on_fork", "sched_process_fork"), ("on_exit", "sched_process_exit")]
        {
            if let Err(refused) = attach(&mut object, &types, program, point) {
                eprintln!("andon-sensor: going on without {point}: {}", super::chain(&refused));
            }
        }
        let mut map = |name| object.take_map(name).ok_or(EbpfError::Missing(name));
        let failed = |name| move |failed| EbpfError::Map(name, Box::new(failed));
        let events = RingBuf::try_from(map("events")?).map_err(failed("events"))?;
        let drops = PerCpuArray::try_from(map("drops")?).map_err(failed("drops"))?;
        Ok(Ebpf { events, drops, _object: object })
    }
}

fn attach(
    object: &mut aya::Ebpf,
    types: &Btf,
    name: &'static str,
    point: &str,
) -> Result<(), EbpfError> {
    let failed = |failed| EbpfError::Program(name, Box::new(failed));
    let program = object.program_mut(name).ok_or(EbpfError::Missing(name))?;
    let program: &mut BtfTracePoint = program.try_into().map_err(failed)?;
    program.load(point, types).map_err(failed)?;
    program.attach().map_err(failed)?;
    Ok(())
}

impl Source for Ebpf {
    fn kind(&self) -> SensorSource {
        SensorSource::Ebpf
    }
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
    fn drain(&mut self, limit: usize, take: &mut dyn FnMut(Raw)) -> bool {
        for _ in 0..limit {
            match self.events.next() {
                Some(item) => {
                    if let Some(raw) = decode(&item) {
                        take(raw);
                    }
                }
                None => return false,
            }
        }
        true
    }
    fn drops(&mut self) -> u64 {
        // an unreadable counter is no reason to claim that nothing was lost
        self.drops.get(&0, 0).map_or(u64::MAX, |values| values.iter().sum())
    }
}

/// Reads a record; `None` for one that this version does not know.
fn decode(bytes: &[u8]) -> Option<Raw> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(4 * at..4 * at + 4)?.try_into().ok()?))
    };
    let pid = word(1)?;
    match word(0)? {
        KIND_FORK => Some(Raw::Fork { parent: word(2)?, child: pid }),
        KIND_EXIT => Some(Raw::Exit { pid }),
        KIND_EXEC => {
            let path = bytes.get(HEAD_BYTES..HEAD_BYTES + PATH_BYTES)?;
            let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
            let length = usize::try_from(word(5)?).ok()?;
            let from = HEAD_BYTES + PATH_BYTES;
            Some(Raw::Exec {
                pid,
                parent: word(2)?,
                uid: word(3)?,
                path: String::from_utf8_lossy(path).into_owned(),
                arguments: bytes.get(from..from + length)?.to_vec(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_or_unknown_record_is_left_alone() {
        let head = |kind: u32| -> Vec<u8> {
            [kind, 7, 1, 0, 3, 3].iter().flat_map(|word| word.to_ne_bytes()).collect()
        };
        assert_eq!(decode(&head(KIND_FORK)), Some(Raw::Fork { parent: 1, child: 7 }));
        assert_eq!(decode(&head(KIND_EXIT)), Some(Raw::Exit { pid: 7 }));
        let mut exec = head(KIND_EXEC);
        exec.resize(HEAD_BYTES + PATH_BYTES, 0);
        exec[HEAD_BYTES] = b'/';
        assert_eq!(decode(&exec), None, "arguments are missing");
        exec.extend(b"ls\0");
        let Some(Raw::Exec { path, arguments, .. }) = decode(&exec) else { panic!("no exec") };
        assert_eq!((path.as_str(), arguments.as_slice()), ("/", &b"ls\0"[..]));
        for bytes in [&b""[..], &head(9), &exec[..10]] {
            assert_eq!(decode(bytes), None);
        }
    }
}
