//! A host with a module and the content that it reads, on a disk that notes every write and flush and
//! may refuse any of them. The supervisor's own writes go the same way as the guard's.
use crate::world::{ENFORCE, confirmed, directive, freeze, part, stage, unit};
use andon_host::boot::{
    Carried, Crash, Decision, Ending, OnDisk, Part, RecordOf, Report, Seen, Shell, Step, carry_out,
    decide,
};
use andon_host::boot_record::{BootId, BootPhase, BootRecord};
use andon_host::machine::Event;
use andon_host::record::{Record, RecordError};
use andon_host::stops::Stops;
use andon_host::storage::{self, COPY_BYTES, FILE_BYTES, Storage, StorageError, Stored as _};
use andon_model::directive::Demand;
use andon_model::id::ComponentId;
use andon_model::release::Version;
use andon_model::time::{Millis, Time};
use std::collections::BTreeMap;

pub(crate) const HOST: &str = "the host";

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(usize, Vec<u8>),
    Flush,
    /// the caller was told that this copy is durable
    Acknowledged(Box<[u8; COPY_BYTES]>),
}

/// One record's place: what a reader gets now, and how it came about.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) log: Vec<Op>,
}

/// Which call fails, and how.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    /// from then on every call that the errno concerns
    pub(crate) lasting: bool,
    pub(crate) errno: &'static str,
    /// bytes of a failing write that arrive all the same
    pub(crate) arrive: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) disks: BTreeMap<String, Disk>,
    pub(crate) now: Time,
    pub(crate) ending: Ending,
    pub(crate) frozen: Vec<u32>,
    pub(crate) minimum: Option<u32>,
    pub(crate) fault: Option<Fault>,
    pub(crate) calls: usize,
    crashes: u64,
}

/// What loading does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Well,
    /// the host is gone before the load returns
    Fatal,
    Refused,
}

struct Access<'r> {
    disk: &'r mut Disk,
    fault: &'r Option<Fault>,
    calls: &'r mut usize,
}

impl Access<'_> {
    fn fails(&mut self, reads: bool) -> Option<&Fault> {
        *self.calls += 1;
        let fault = self.fault.as_ref()?;
        // A disk that is full or read-only can still be read.
        let concerns = !reads || fault.errno == "EIO";
        let now = *self.calls == fault.at || (fault.lasting && *self.calls > fault.at);
        (concerns && now).then_some(fault)
    }
}

impl Storage for Access<'_> {
    type Error = &'static str;
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), &'static str> {
        if let Some(fault) = self.fails(true) {
            return Err(fault.errno);
        }
        let at = usize::try_from(offset).unwrap();
        into.copy_from_slice(&self.disk.bytes[at..at + into.len()]);
        Ok(())
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), &'static str> {
        let failed = self.fails(false).map(|fault| (fault.errno, fault.arrive));
        let arrive = failed.map_or(bytes.len(), |(_, arrive)| arrive.min(bytes.len()));
        let at = usize::try_from(offset).unwrap();
        self.disk.bytes[at..at + arrive].copy_from_slice(&bytes[..arrive]);
        self.disk.log.push(Op::Write(at, bytes[..arrive].to_vec()));
        failed.map_or(Ok(()), |(errno, _)| Err(errno))
    }
    fn flush(&mut self) -> Result<(), &'static str> {
        if let Some(fault) = self.fails(false) {
            return Err(fault.errno);
        }
        self.disk.log.push(Op::Flush);
        Ok(())
    }
}

/// The guard's shell: saves on the rig's disks, loads as told.
struct Guard<'r> {
    rig: &'r mut Rig,
    load: Load,
    gone: bool,
    risked: Vec<Step>,
    reports: Vec<Report>,
}

impl Shell for Guard<'_> {
    fn save(&mut self, of: RecordOf<'_>, copy: &[u8; COPY_BYTES]) -> Result<(), String> {
        // Nothing is written any more by a host that is gone.
        if self.gone {
            return Err("gone".to_owned());
        }
        let name = match of {
            RecordOf::Host => HOST,
            RecordOf::Component(id) => id.as_str(),
        };
        self.rig.write(name, copy).map_err(|failed| failed.to_string())
    }
    fn load(&mut self, step: &Step) -> Result<(), String> {
        if self.gone {
            return Err("gone".to_owned());
        }
        self.risked.push(step.clone());
        match self.load {
            Load::Well => Ok(()),
            Load::Fatal => {
                self.gone = true;
                Err("gone".to_owned())
            }
            Load::Refused => Err("Key was rejected by service".to_owned()),
        }
    }
    fn allow(&mut self, _: &ComponentId) {}
    fn report(&mut self, report: &Report) {
        self.reports.push(report.clone());
    }
}

/// What a boot did.
#[derive(Debug)]
pub(crate) struct Booted {
    pub(crate) decision: Decision,
    pub(crate) carried: Carried,
    pub(crate) risked: Vec<Step>,
    pub(crate) reports: Vec<Report>,
}

impl Rig {
    /// Both components confirmed at version 1, and running.
    pub(crate) fn new() -> Rig {
        let now = Time(86_400_000 * 365);
        let mut rig = Rig {
            disks: BTreeMap::new(),
            now,
            ending: Ending::Clean,
            frozen: vec![],
            minimum: None,
            fault: None,
            calls: 0,
            crashes: 0,
        };
        for name in [HOST, "sensor", "rules"] {
            let disk = Disk { bytes: vec![0; FILE_BYTES], log: vec![] };
            rig.disks.insert(name.to_owned(), disk);
        }
        let first = BootRecord { sequence: 1, ..BootRecord::NEW };
        rig.write(HOST, &first.encode()).unwrap();
        for name in ["sensor", "rules"] {
            let record = Record { sequence: 1, ..confirmed(name, 1, now) };
            rig.write(name, &record.encode()).unwrap();
        }
        rig
    }

    pub(crate) fn write(
        &mut self,
        name: &str,
        copy: &[u8; COPY_BYTES],
    ) -> Result<(), StorageError<&'static str>> {
        let disk = self.disks.get_mut(name).unwrap();
        let (fault, calls) = (&self.fault, &mut self.calls);
        storage::write(&mut Access { disk, fault, calls }, copy)?;
        self.disks.get_mut(name).unwrap().log.push(Op::Acknowledged(Box::new(*copy)));
        Ok(())
    }

    fn read<T: storage::Stored>(&mut self, name: &str) -> Option<T> {
        let disk = self.disks.get_mut(name).unwrap();
        let (fault, calls) = (&self.fault, &mut self.calls);
        storage::read(&mut Access { disk, fault, calls }).ok()
    }

    fn part(&mut self, name: &str) -> Part {
        let id = ComponentId::new(name).unwrap();
        match self.read::<Record>(name) {
            Some(record) => part(record),
            None => Part {
                record: Err(RecordError::File),
                component: id,
                ..part(Record::new(component()))
            },
        }
    }

    pub(crate) fn on_disk(&mut self) -> OnDisk {
        let parts = vec![self.part("sensor"), self.part("rules")];
        OnDisk { boot: self.read(HOST), units: vec![unit("sensor", "fbsensor", parts)] }
    }

    pub(crate) fn decide(&mut self) -> Decision {
        let disk = self.on_disk();
        let freezes: Vec<_> = self.frozen.iter().map(|version| freeze(*version)).collect();
        let raise = self.minimum.map(|version| Demand::Minimum {
            component: ComponentId::new("rules").unwrap(),
            version: Version(version),
        });
        let directives: Vec<_> = raise.map(directive).into_iter().collect();
        let stops = Stops { freezes: &freezes, directives: &directives };
        let boot = BootId(self.now.0.to_le_bytes().repeat(2).try_into().unwrap());
        let seen = Seen { ending: self.ending.clone(), now: self.now, boot, stops };
        decide(&disk, &seen, &ENFORCE)
    }

    pub(crate) fn boot(&mut self, load: Load) -> Booted {
        self.now = self.now.plus(Millis::from_secs(300));
        let decision = self.decide();
        let mut guard = Guard { rig: self, load, gone: false, risked: vec![], reports: vec![] };
        let carried = carry_out(&decision, &mut guard);
        let (risked, reports) = (guard.risked, guard.reports);
        // Evidence that has not served yet is found again.
        if carried.settled {
            self.ending = Ending::Unexplained;
        }
        Booted { decision, carried, risked, reports }
    }

    /// The kernel leaves a record that names the module.
    pub(crate) fn named(&mut self) {
        self.crashes += 1;
        let text = format!("crash {} f+0x1/0x2 [fbsensor]", self.crashes);
        self.ending = Ending::Crash(Crash::read(text.as_bytes()));
    }

    /// The supervisor changes a record.
    pub(crate) fn change(&mut self, name: &str, how: impl FnOnce(&mut Record, Time)) {
        let mut record: Record = self.read(name).unwrap();
        record.sequence += 1;
        how(&mut record, self.now);
        self.write(name, &record.encode()).unwrap();
    }

    pub(crate) fn stage(&mut self, name: &str, version: u32) {
        self.change(name, |record, now| assert!(stage(record, version, now)));
    }

    /// Runs through its watch period, and then some, and is shut down in order.
    pub(crate) fn soak_and_stop(&mut self) {
        self.now = self.now.plus(Millis::from_secs(3600));
        for name in ["sensor", "rules"] {
            self.change(name, |record, now| {
                record.machine.apply(now, Event::Tick);
            });
            self.change(name, |record, now| {
                record.machine.apply(now, Event::Stopped);
            });
        }
        let boot: BootRecord = self.read(HOST).unwrap();
        self.write(HOST, &boot.at(BootPhase::Ended).encode()).unwrap();
        self.ending = Ending::Unexplained;
    }
}

fn component() -> ComponentId {
    ComponentId::new("sensor").unwrap()
}

/// A life in which everything happens that can: every kind of end, of fallback and of stop.
pub(crate) fn life() -> (Rig, Vec<Report>) {
    let (mut rig, mut told) = (Rig::new(), Vec::new());
    let mut boot = |rig: &mut Rig, load| told.extend(rig.boot(load).reports);
    rig.stage("rules", 2);
    boot(&mut rig, Load::Fatal);
    rig.named();
    boot(&mut rig, Load::Well);
    rig.soak_and_stop();
    rig.stage("rules", 3);
    for _ in 0..4 {
        boot(&mut rig, Load::Fatal);
    }
    boot(&mut rig, Load::Well);
    rig.soak_and_stop();
    rig.stage("rules", 4);
    rig.frozen = vec![4];
    boot(&mut rig, Load::Well);
    rig.frozen = vec![];
    rig.soak_and_stop();
    boot(&mut rig, Load::Well);
    rig.soak_and_stop();
    rig.minimum = Some(4);
    boot(&mut rig, Load::Well);
    rig.minimum = None;
    rig.soak_and_stop();
    rig.stage("rules", 5);
    boot(&mut rig, Load::Well);
    rig.ending = Ending::Watchdog;
    boot(&mut rig, Load::Well);
    rig.stage("rules", 6);
    boot(&mut rig, Load::Well);
    rig.soak_and_stop();
    rig.stage("sensor", 2);
    boot(&mut rig, Load::Refused);
    boot(&mut rig, Load::Fatal);
    rig.named();
    boot(&mut rig, Load::Fatal);
    rig.named();
    boot(&mut rig, Load::Well);
    (rig, told)
}
