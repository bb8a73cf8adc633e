//! The fleet as a field of hosts, redrawn in place on a terminal, plain lines elsewhere. Hosts stand
//! in the order of the rollout, so a wave is seen to fill the field from its beginning.
use crate::output::Paint;
use andon_rollout::{Decision, Explanation, HaltReason, StateName};
use std::io::Write;
use std::time::Instant;

/// Narrowest and widest field drawn.
const WIDTH_MIN: usize = 20;
const WIDTH_MAX: usize = 120;
/// Width of the evidence bar in characters.
const BAR: usize = 30;

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// one letter per host (`fleet` tells which), in the order of the rollout
    pub(super) letters: Vec<u8>,
    /// what the server says
    pub(super) explanation: Option<Explanation>,
    /// a sentence about this moment
    pub(super) now: String,
}

/// Draws on standard output.
#[derive(Debug)]
pub(super) struct Screen {
    live: bool,
    quiet: bool,
    paint: Paint,
    drawn: usize,
    said: usize,
    begun: Instant,
}

impl Screen {
    /// `quiet`: nothing at all but the final word (`--json`).
    pub(super) fn new(quiet: bool) -> Screen {
        let live = crate::output::live() && !quiet;
        let begun = Instant::now();
        Screen { live, quiet, paint: Paint::stdout(), drawn: 0, said: 0, begun }
    }

    /// A heading: a new act.
    pub(super) fn act(&mut self, title: &str) {
        self.said = 0;
        self.settle();
        self.put("");
        let title = self.paint.strong(title);
        self.put(&title);
    }

    /// A sentence of the story.
    pub(super) fn say(&mut self, sentence: &str) {
        self.erase();
        let at = self.paint.faint(format_args!("{:6.1} s", self.begun.elapsed().as_secs_f64()));
        self.put(&format!("{at}  {sentence}"));
    }

    fn put(&self, line: &str) {
        if !self.quiet {
            crate::output::line(line);
        }
    }

    /// Takes the picture away, so that a sentence stands under the sentences before it.
    fn erase(&mut self) {
        if self.drawn > 0 {
            let mut out = std::io::stdout().lock();
            let _closed_pipe = out.write_all(format!("\x1b[{}A\x1b[0J", self.drawn).as_bytes());
            let _closed_pipe = out.flush();
            self.drawn = 0;
        }
    }

    /// Leaves the picture where it is; what follows is written below.
    fn settle(&mut self) {
        self.drawn = 0;
    }

    /// Tells decisions that were not told yet; on a terminal the field is redrawn below them.
    pub(super) fn show(&mut self, scene: &Scene) {
        let decisions = scene.explanation.as_ref().map_or(&[][..], |it| &it.decisions);
        let fresh: Vec<String> =
            decisions.iter().skip(self.said).map(|dated| words(&dated.decision)).collect();
        self.said = self.said.max(decisions.len());
        for line in fresh {
            self.say(&line);
        }
        if self.live {
            self.redraw(scene);
        }
    }

    fn redraw(&mut self, scene: &Scene) {
        let width = field_width();
        let mut lines: Vec<String> = scene
            .letters
            .chunks(width)
            .map(|row| format!("  {}", row.iter().map(|l| self.cell(*l)).collect::<String>()))
            .collect();
        if let Some(it) = &scene.explanation {
            lines.push(format!("  {}", self.evidence(it)));
            // the figure that every operator wants first
            let most = it.worst_case.hosts;
            lines.push(format!("  if it is bad right now: at most {most} hosts"));
        }
        lines.push(format!("  {}", clipped(&self.sums(scene), width)));
        let mut out = std::io::stdout().lock();
        let up = match self.drawn {
            0 => String::new(),
            n => format!("\x1b[{n}A"),
        };
        let body: String = lines.iter().map(|line| format!("\x1b[2K{line}\n")).collect();
        let _closed_pipe = out.write_all(format!("{up}{body}\x1b[0J").as_bytes());
        let _closed_pipe = out.flush();
        self.drawn = lines.len();
    }

    fn cell(&self, letter: u8) -> String {
        match letter {
            b'p' => self.paint.warn('◧'),
            b'c' => self.paint.good('▣'),
            b'x' => self.paint.bad('✕'),
            b'r' => self.paint.strong('↺'),
            b'.' => self.paint.faint('·'),
            _ => self.paint.faint('▢'),
        }
    }

    fn evidence(&self, it: &Explanation) -> String {
        let share =
            (it.evidence.e.max(1.0).ln() / it.evidence.threshold.max(2.0).ln()).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a short bar"
        )]
        let full = (share * BAR as f64).round() as usize;
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
        let bar = if full == BAR { self.paint.bad(bar) } else { bar };
        let e = match it.evidence.e {
            e if e < 1e6 => format!("{e:.2}"),
            _ => "over 1,000,000".to_owned(),
        };
        format!("evidence {bar} E = {e}, halts at {:.0}", it.evidence.threshold)
    }

    fn sums(&self, scene: &Scene) -> String {
        let count = |letter: u8| scene.letters.iter().filter(|l| **l == letter).count();
        format!(
            "{:5.1} s  {} trying, {} confirmed, {} down, {} back   {}",
            self.begun.elapsed().as_secs_f64(),
            count(b'p'),
            count(b'c'),
            count(b'x'),
            count(b'r'),
            scene.now
        )
    }
}

fn field_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let columns = size.map_or(80, |size| usize::from(size.ws_col));
    columns.saturating_sub(4).clamp(WIDTH_MIN, WIDTH_MAX)
}

fn clipped(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// A decision in words.
pub(super) fn words(decision: &Decision) -> String {
    match decision {
        Decision::Widened { generation, handed, asked_again } => {
            let why = if *asked_again { " (asking again)" } else { "" };
            format!("wave {generation}: {handed} hosts in all{why}")
        }
        Decision::LateWidened { late, .. } => format!("{late} hosts that enrolled later"),
        Decision::Held { .. } => "on hold: something is in doubt".to_owned(),
        Decision::Resumed { by } => format!("{by} lets it go on"),
        Decision::Halted { reason: HaltReason::Gate { e, threshold, channel, .. } } => {
            let e = e.min(1e12);
            format!("the gate halts it: E = {e:.0} ≥ {threshold:.0}, most by {channel:?}")
                .to_lowercase()
        }
        Decision::Halted { reason: HaltReason::Person { by, .. } } => format!("{by} halts it"),
        Decision::Halted { reason: HaltReason::Frozen { by, .. } } => format!("frozen by {by}"),
        Decision::Completed { confirmed, hosts } => {
            format!("complete: {confirmed} of {hosts} hosts confirmed")
        }
    }
}

/// Whether nothing more will happen.
pub(super) fn is_over(it: &Explanation) -> bool {
    matches!(it.state, StateName::Halted | StateName::Completed)
}
