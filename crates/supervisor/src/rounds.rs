//! One look at everything: what services said, what ended, what is late, what the child said.
use crate::child::{Check, Heard};
use crate::looped::Supervisor;
use crate::obey::Task;
use crate::process::{WATCHDOG, Word};
use crate::{now, told};
use andon_host::Input;
use andon_model::id::ComponentId;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Pause before a lost child is started again: doubles up to the second value.
const CHILD_PAUSE: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];

impl Supervisor {
    /// Looks at everything once. Words before ends, ends before time: nothing that a service said in
    /// time is judged late.
    pub(crate) fn look(&mut self) {
        let mut bytes = [0; 64];
        while rustix::io::read(&self.woken, &mut bytes).is_ok_and(|length| length > 0) {}
        self.look_at_services();
        self.look_at_tasks();
        while let Ok(done) = self.staged.try_recv() {
            let (component, release) = (done.component, done.release);
            self.feed(match done.why {
                None => Input::Staged { component, release },
                Some(why) => Input::StageFailed { component, release, why },
            });
        }
        self.look_at_check();
        for news in self.spool.news() {
            self.feed(news);
        }
        if self.host.deadline().is_some_and(|at| at <= now()) {
            self.feed(Input::Tick);
        }
        self.talk();
    }

    fn look_at_services(&mut self) {
        let names: Vec<ComponentId> = self.running.keys().cloned().collect();
        for component in names {
            let Some(running) = self.running.get_mut(&component) else { continue };
            let words = running.words();
            let exit = running.process.ended();
            let here = Instant::now();
            running.bound_log();
            if !words.is_empty() && running.kill_at.is_none() {
                let armed = running.watchdog_until.is_some() || words.contains(&Word::Ready);
                running.watchdog_until = armed.then_some(here + WATCHDOG);
            }
            let hung = running.watchdog_until.is_some_and(|until| until <= here);
            if hung {
                running.watchdog_until = None;
            }
            if running.kill_at.is_some_and(|at| at <= here) {
                running.process.signal(Signal::KILL);
                running.kill_at = None;
            }
            if words.contains(&Word::Ready) {
                self.feed(Input::ServiceReady { component: component.clone() });
            }
            if let Some(exit) = exit {
                self.running.remove(&component);
                self.feed(Input::ServiceExited { component, exit });
            } else if hung {
                self.feed(Input::ServiceHung { component });
            }
        }
    }

    fn look_at_tasks(&mut self) {
        let here = Instant::now();
        let mut answers = Vec::new();
        let mut waiting = Vec::new();
        for mut task in std::mem::take(&mut self.tasks) {
            match task.process.ended() {
                Some(exit) => {
                    let well = exit == andon_host::Exit::Code(0);
                    answers.push(task.asked.clone().answered(well));
                }
                // Dropping the task kills its group.
                None if task.until <= here => answers.push(task.asked.clone().answered(false)),
                None => waiting.push(Task { ..task }),
            }
        }
        self.tasks = waiting;
        for answer in answers {
            self.feed(answer);
        }
    }

    fn look_at_check(&mut self) {
        let Some(check) = &mut self.check else { return self.start_check() };
        match check.look() {
            Heard::Said(said) => {
                for one in said {
                    self.heard(one);
                }
            }
            Heard::Lost(why) => self.lost_check(&why),
        }
    }

    fn lost_check(&mut self, why: &str) {
        eprintln!("andon-supervisor: {why}");
        self.check = None;
        self.beats_out = 0;
        let pause = CHILD_PAUSE[0] * 2u32.saturating_pow(self.check_losses.min(10));
        self.check_losses += 1;
        self.check_again = Instant::now() + pause.min(CHILD_PAUSE[1]);
        for release in std::mem::take(&mut self.fetching) {
            let why = "andon-check ended".to_owned();
            self.feed(Input::FetchFailed { release, why });
        }
    }

    fn start_check(&mut self) {
        if self.leaving.is_some() || Instant::now() < self.check_again {
            return;
        }
        match Check::start(&self.setup) {
            Ok(check) => {
                self.check = Some(check);
                self.sync_next = Instant::now();
                self.beat_next = Instant::now();
            }
            Err(failed) => {
                let program = self.setup.program.display();
                self.lost_check(&format!("start {program}: {}", told(&failed)));
            }
        }
    }
}
