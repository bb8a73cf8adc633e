//! What a light host does when its core says so: one function per command.
use super::light::{Light, News};
use super::service::{self, Order, Running};
use super::{clock, hooks, slots, sync};
use andon_host::{Command, HookKind, Input, Launch, Slot};
use andon_model::release::{Hook, Manifest, Probe};
use andon_model::{ComponentId, Digest};
use std::path::PathBuf;
use std::sync::Arc;

impl Light<'_> {
    /// Tells the core what happened and does what it says, until nothing is left to do.
    pub(super) async fn apply(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let mut cut = false;
            for command in self.host.apply(clock::now(), input) {
                match command {
                    Command::Journal(fact) => self.journal(&fact),
                    // A record could not be written: nothing risky happens that the next boot would
                    // not know of.
                    _ if cut => {}
                    Command::WriteRecord { component, sequence, bytes } => {
                        let written = self.disk.write_record(component.clone(), &bytes);
                        if let Err(why) = written {
                            let sequence = Some(sequence);
                            self.inputs.push_back(Input::RecordFailed { component, sequence, why });
                            cut = true;
                        }
                    }
                    other => self.obey(other).await,
                }
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Fetch { release, manifest } => self.fetch(release, manifest),
            Command::Stage { component, slot, release, manifest } => {
                let answer = self.stage(&component, slot, release, manifest);
                self.inputs.push_back(answer);
            }
            Command::SwitchCurrent { component, slot } => {
                if let Err(error) = slots::switch(&self.disk.folder, &component, slot) {
                    let id = self.id;
                    crate::output::note(format_args!("fleet: {id}: switch {component}: {error}"));
                }
            }
            Command::StartService(launch) => self.start(launch).await,
            Command::ReloadService(launch) => self.reload(launch),
            Command::StopService { component, how } => {
                let inside = self.services.get_mut(&component).is_some_and(|r| !r.stop(how));
                if inside {
                    self.services.remove(&component);
                    let exit = andon_host::Exit::Code(0);
                    self.inputs.push_back(Input::ServiceExited { component, exit });
                }
            }
            Command::RunHook { component, slot, hook, command } => {
                self.run_hook(component, slot, hook, command);
            }
            Command::RunProbe { probe } => self.run_probe(probe),
            Command::WriteRecord { .. } | Command::Journal(_) => {}
        }
    }

    fn fetch(&self, release: Digest, manifest: Arc<Manifest>) {
        let (net, tell) = (self.shared.net.clone(), self.tell.clone());
        let queue = self.shared.fetches.clone();
        tokio::spawn(async move {
            let _turn = queue.acquire().await;
            let bytes = sync::bundle(&net, &manifest).await;
            let bytes = bytes.map_err(|error| super::chain(&error));
            let _died_meanwhile = tell.send(News::Fetched(release, bytes)).await;
        });
    }

    fn stage(
        &mut self,
        component: &ComponentId,
        slot: Slot,
        release: Digest,
        manifest: Arc<Manifest>,
    ) -> Input {
        let bundle = self.bundles.remove(&release).unwrap_or_default();
        let component = component.clone();
        match self.shared.pool.stage(&self.disk.folder, slot, &manifest, &bundle) {
            Ok(()) => {
                self.disk.keep_manifest(component.clone(), slot, release, manifest);
                Input::Staged { component, release }
            }
            Err(error) => Input::StageFailed { component, release, why: super::chain(&error) },
        }
    }

    async fn start(&mut self, launch: Launch) {
        self.starts += 1;
        let start = self.starts;
        let component = launch.component.clone();
        let Some((slot, _)) = launch.program else { return self.start_inside(&launch, start) };
        let order = match self.order(&launch, slot) {
            Ok(order) => order,
            Err(why) => return self.inputs.push_back(Input::StartFailed { component, why }),
        };
        let name = component.clone();
        let news = move |start, doing| News::Service(name.clone(), start, doing);
        match service::start(&order, start, self.tell.clone(), news).await {
            Ok(running) => {
                self.services.insert(component, running);
            }
            Err(error) => {
                let why = format!("start {}: {error}", order.program.display());
                self.inputs.push_back(Input::StartFailed { component, why });
            }
        }
    }

    /// A service of the host's own packages is part of this program: the sensor without its eBPF.
    fn start_inside(&mut self, launch: &Launch, start: u64) {
        let component = launch.component.clone();
        match self.load_contents(launch) {
            Ok(()) => {
                self.services.insert(component.clone(), Running::inside(start));
                self.inputs.push_back(Input::ServiceReady { component });
            }
            Err(why) => {
                crate::output::note(format_args!("fleet: {}: {why}", self.id));
                let exit = andon_host::Exit::Code(1);
                self.inputs.push_back(Input::ServiceExited { component, exit });
            }
        }
    }

    fn reload(&mut self, launch: Launch) {
        let component = launch.component.clone();
        if launch.program.is_none() {
            let input = match self.load_contents(&launch) {
                Ok(()) => Input::ServiceReady { component },
                Err(_) => Input::ServiceExited { component, exit: andon_host::Exit::Code(1) },
            };
            return self.inputs.push_back(input);
        }
        if let Some(running) = self.services.get(&component) {
            running.reload();
        }
    }

    fn load_contents(&self, launch: &Launch) -> Result<(), String> {
        for content in &launch.contents {
            let folder = slots::folder(&self.disk.folder, &content.component, content.slot);
            self.shared.rules.judge(&content.release, &folder)?;
        }
        Ok(())
    }

    fn order(&self, launch: &Launch, slot: Slot) -> Result<Order, String> {
        let own = slots::folder(&self.disk.folder, &launch.component, slot);
        let state = self.disk.state();
        let fill = |word: &String| {
            let mut word = word.replace("{slot}", &own.to_string_lossy());
            word = word.replace("{state}", &state.to_string_lossy());
            for content in &launch.contents {
                let folder = slots::folder(&self.disk.folder, &content.component, content.slot);
                let mark = format!("{{content:{}}}", content.component);
                word = word.replace(&mark, &folder.to_string_lossy());
            }
            match word.contains("{content:") {
                true => Err(format!("{word} names content that is not there")),
                false => Ok(word),
            }
        };
        let mut words = launch.exec.iter().map(fill);
        let program = words.next().ok_or("exec is empty")??;
        let arguments = words.collect::<Result<Vec<_>, _>>()?;
        Ok(Order { program: own.join(program), arguments, state })
    }

    fn run_hook(&self, component: ComponentId, slot: Slot, hook: HookKind, command: Hook) {
        let folder: PathBuf = slots::folder(&self.disk.folder, &component, slot);
        let (state, shared, tell) = (self.disk.state(), self.shared.clone(), self.tell.clone());
        let release = self.disk.release(&component, slot);
        tokio::spawn(async move {
            let well = shared.verdicts.hook(hook, release, &command, &folder, &state).await;
            let input = Box::new(Input::HookEnded { component, slot, hook, well });
            let _died_meanwhile = tell.send(News::Told(input)).await;
        });
    }

    fn run_probe(&self, probe: Probe) {
        let (state, tell) = (self.disk.state(), self.tell.clone());
        tokio::spawn(async move {
            let well = hooks::probe(&probe.check, &state).await;
            let input = Box::new(Input::ProbeAnswered { name: probe.name, well });
            let _died_meanwhile = tell.send(News::Told(input)).await;
        });
    }
}
