//! Does what the core says, command by command, in order.
use crate::looped::{StageDone, Supervisor};
use crate::process::{Order, Running, start_task};
use crate::{slots, told};
use andon_host::{Command, Input, Launch, Slot, StopHow};
use andon_model::handover::ToCheck;
use andon_model::id::ComponentId;
use andon_model::release::{Hook, Manifest, Probe, ProbeCheck};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Longest a file probe or an absent answer may take: it is asked within the loop.
const TASKS_MAX: usize = 128;

/// A hook or probe that runs.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) process: crate::process::Process,
    pub(crate) until: Instant,
    pub(crate) asked: Asked,
}

/// Who waits for the answer.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Hook { component: ComponentId, slot: Slot, hook: andon_host::HookKind },
    Probe { name: ComponentId },
}

impl Asked {
    pub(crate) fn answered(self, well: bool) -> Input {
        match self {
            Asked::Hook { component, slot, hook } => {
                Input::HookEnded { component, slot, hook, well }
            }
            Asked::Probe { name } => Input::ProbeAnswered { name, well },
        }
    }
}

impl Supervisor {
    /// Applies an input and everything that follows from it.
    pub(crate) fn feed(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let batch = self.host.apply(crate::now(), input);
            self.obey(batch);
        }
    }

    /// When a record cannot be written, nothing that relies on it happens.
    fn obey(&mut self, batch: Vec<Command>) {
        let mut broken = false;
        for command in batch {
            match command {
                Command::Journal(fact) => self.journal.write(self.host_id(), fact),
                _ if broken => {}
                Command::WriteRecord { component, sequence, bytes } => {
                    let written = crate::records::write(&self.state, &component, &bytes);
                    if let Err(failed) = written {
                        broken = true;
                        let why = failed.to_string();
                        let sequence = Some(sequence);
                        self.inputs.push_back(Input::RecordFailed { component, sequence, why });
                    }
                }
                Command::SwitchCurrent { component, slot } => {
                    if let Err(failed) = slots::switch(&self.state, &component, slot) {
                        broken = true;
                        let (sequence, why) = (None, format!("switch current: {failed}"));
                        self.inputs.push_back(Input::RecordFailed { component, sequence, why });
                    }
                }
                other => self.act(other),
            }
        }
    }

    fn act(&mut self, command: Command) {
        match command {
            Command::Fetch { release, .. } => self.fetch(release),
            Command::Stage { component, slot, release, manifest } => {
                self.stage(component, slot, release, manifest);
            }
            Command::StartService(launch) => self.start(&launch),
            Command::ReloadService(launch) => {
                if let Some(running) = self.running.get(&launch.component) {
                    running.process.signal(Signal::HUP);
                }
            }
            Command::StopService { component, how } => {
                if let Some(running) = self.running.get_mut(&component) {
                    match how {
                        StopHow::Gently => running.stop(),
                        StopHow::AtOnce => running.process.signal(Signal::KILL),
                    }
                }
            }
            Command::RunHook { component, slot, hook, command } => {
                let folder = slots::files(&self.state, &component, slot);
                let asked = Asked::Hook { component, slot, hook };
                self.start_hook(&command, Some(&folder), asked);
            }
            Command::RunProbe { probe } => self.probe(probe),
            Command::Journal(_) | Command::WriteRecord { .. } | Command::SwitchCurrent { .. } => {}
        }
    }

    fn fetch(&mut self, release: andon_model::Digest) {
        match &mut self.check {
            Some(check) => {
                self.fetching.insert(release);
                check.say(&ToCheck::Fetch { release });
            }
            None => {
                let why = "andon-check is not running".to_owned();
                self.inputs.push_back(Input::FetchFailed { release, why });
            }
        }
    }

    /// Copying and flushing take a while: on a thread, so that watching goes on.
    fn stage(
        &mut self,
        component: ComponentId,
        slot: Slot,
        release: andon_model::Digest,
        manifest: Arc<Manifest>,
    ) {
        let (state, tell, wake) = (self.state.clone(), self.staged_tell.clone(), self.wake.clone());
        std::thread::spawn(move || {
            let result = slots::stage(&state, slot, release, &manifest);
            let why = result.err().map(|failed| told(&failed));
            if tell.send(StageDone { component, release, why }).is_ok() {
                // The pipe is full only when the loop has been woken already.
                let _woken = rustix::io::write(&*wake, &[1]);
            }
        });
    }

    fn start(&mut self, launch: &Launch) {
        let component = launch.component.clone();
        // An older process of the same service is never left beside the new one.
        self.running.remove(&component);
        match self.order(launch).and_then(|(program, arguments)| {
            let (name, state) = (component.as_str(), self.state.folder.as_path());
            Running::start(&Order { name, program, arguments, state }).map_err(|e| e.to_string())
        }) {
            Ok(running) => drop(self.running.insert(component, running)),
            Err(why) => self.inputs.push_back(Input::StartFailed { component, why }),
        }
    }

    /// The command line with its places filled in.
    fn order(&self, launch: &Launch) -> Result<(PathBuf, Vec<String>), String> {
        let own =
            launch.program.map(|(slot, _)| slots::files(&self.state, &launch.component, slot));
        let mut words = Vec::new();
        for word in &launch.exec {
            let mut word = self.filled(word, own.as_deref());
            for content in &launch.contents {
                let folder = slots::current(&self.state, &content.component);
                let place = format!("{{content:{}}}", content.component);
                word = word.replace(&place, &folder.to_string_lossy());
            }
            words.push(word);
        }
        let mut words = words.into_iter();
        let program = PathBuf::from(words.next().ok_or("exec is empty")?);
        Ok((own.map_or(program.clone(), |own| own.join(program)), words.collect()))
    }

    fn filled(&self, word: &str, slot: Option<&Path>) -> String {
        let word = word.replace("{state}", &self.state.folder.to_string_lossy());
        match slot {
            Some(slot) => word.replace("{slot}", &slot.to_string_lossy()),
            None => word,
        }
    }

    fn start_hook(&mut self, hook: &Hook, slot: Option<&Path>, asked: Asked) {
        let words: Vec<String> = hook.argv.iter().map(|word| self.filled(word, slot)).collect();
        if self.tasks.len() >= TASKS_MAX {
            return self.inputs.push_back(asked.answered(false));
        }
        match start_task(&words, &self.state.folder) {
            Ok(process) => {
                let until = Instant::now() + hook.timeout.std();
                self.tasks.push(Task { process, until, asked });
            }
            Err(failed) => {
                let command = words.first().map_or("", String::as_str);
                eprintln!("andon-supervisor: start {command}: {failed}");
                self.inputs.push_back(asked.answered(false));
            }
        }
    }

    fn probe(&mut self, probe: Probe) {
        let asked = Asked::Probe { name: probe.name };
        match probe.check {
            ProbeCheck::Command(hook) => self.start_hook(&hook, None, asked),
            ProbeCheck::FileReadable(path) => {
                let path = self.filled(&path, None);
                // The kind is asked before opening: opening a pipe or a device could wait for ever.
                let regular = std::fs::metadata(&path).is_ok_and(|file| file.is_file());
                let well = regular && std::fs::File::open(&path).is_ok();
                self.inputs.push_back(asked.answered(well));
            }
        }
    }
}
