//! `andon verifier`: follows a server's journal and cosigns the tickets that it calls for.
use crate::client::{ANSWER_BYTES_MAX, Client, ClientError};
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access, FileError};
use crate::output::{self, Form};
use crate::own_folder::OwnFolder;
use andon_model::enrol::Anchor;
use andon_model::limits::BELL_WAIT_MAX;
use andon_model::ticket::Ticket;
use andon_model::{LineId, Millis};
use andon_server::pooled::kept::TALLY_ENVELOPE_MAX;
use andon_server::verifier::record::{Asked, AskedTicket, Memory};
use andon_server::verifier::{Named, Refused, Verifier};
use andon_trust::sign::SigningKey;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Run it on another machine than the server, with a key that the policy names under [verifiers] (`andon
keys verifier` makes one). It calls the server, never the other way round. One key belongs to one data
folder: without its memory a verifier would believe a journal that was rewritten. Take a new key then.
Ends with 1 when the journal cannot be believed any more: somebody has to look.";

/// Largest memory file: all rollouts that go on, all their generations.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Pause before a server that does not answer is asked again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];

/// Options of `andon verifier`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Its key: a file, or a name in the folder such as verifiers/v1
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Folder that remembers which journal was seen
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Write this file once the journal has been read to its end for the first time
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Outcome {
    let key = context.key(&args.key)?.key;
    let anchor = context.anchor()?;
    let folder = OwnFolder::open(&args.data, "verifier")?;
    let path = folder.file("memory.json");
    let memory = load(&path, &anchor)?;
    let mut watch = Watch {
        client: context.client()?,
        line: anchor.line.clone(),
        kept: memory.seq,
        verifier: Verifier::new(anchor, memory),
        path,
        form: context.form(),
        key,
        said: None,
    };
    let mut ready = args.ready_file;
    let (mut seen, mut pause) = (Seen::default(), PAUSES[0]);
    loop {
        match watch.round(&seen).await {
            Ok(now) => {
                (seen, pause) = (now, PAUSES[0]);
                if let Some(file) = ready.take() {
                    files::replace(&file, b"ready\n", Access::Public)?;
                }
            }
            Err(why) if why.exit == Exit::Unreachable => {
                output::note(format_args!("{:#}; asking again in {pause:?}", why.cause));
                tokio::time::sleep(pause).await;
                seen = Seen::default();
                pause = (pause * 2).min(PAUSES[1]);
            }
            Err(why) => return Err(why),
        }
    }
}

fn load(path: &std::path::Path, anchor: &Anchor) -> Result<Memory, Failure> {
    let bytes = match files::read(path, MEMORY_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Memory::new(anchor.line.clone()));
        }
        Err(why) => return Err(why.into()),
    };
    let read = serde_json::from_slice(&bytes);
    let memory: Memory = read.map_err(|why| {
        Failure::from(anyhow::Error::new(why).context(format!("read {}", path.display())))
            .next("take a new key and a new folder; this one has lost its memory")
    })?;
    if memory.line == anchor.line && memory.schema == 1 {
        return Ok(memory);
    }
    let text = format!("{} is the memory of {}", path.display(), memory.line);
    Err(Failure::usage(text).next("give another --data folder"))
}

/// Which list of tickets was seen, and after how long one of them is to be looked at again.
#[derive(Debug, Default)]
struct Seen {
    version: u64,
    left: Option<Millis>,
}

struct Watch {
    client: Client,
    line: LineId,
    verifier: Verifier,
    path: PathBuf,
    form: Form,
    key: SigningKey,
    /// number of the last record in the memory that is on disk
    kept: u64,
    /// the last refusal said: the same ticket is asked for again and again
    said: Option<String>,
}

impl Watch {
    /// Waits for other tickets than those seen, or until one of these is old enough, and looks at each.
    async fn round(&mut self, seen: &Seen) -> Result<Seen, Failure> {
        self.follow(None).await?;
        self.verifier.at_end()?;
        self.keep()?;
        let asked = self.waiting(seen.version);
        let asked = match seen.left {
            // A ticket that came too soon must not keep another one waiting.
            Some(left) => match tokio::time::timeout(left.std(), asked).await {
                Ok(asked) => asked?,
                Err(_) => self.waiting(0).await?,
            },
            None => asked.await?,
        };
        let mut left: Option<Millis> = None;
        for ticket in &asked.tickets {
            self.follow(Some(ticket.seq)).await?;
            match self.verifier.judge(ticket, clock::now()) {
                Ok(judged) => self.cosign(ticket, &judged).await?,
                Err(Refused::TooSoon(more)) => {
                    let more = more.min(BELL_WAIT_MAX);
                    left = Some(left.map_or(more, |before| before.min(more)));
                }
                Err(why) => self.refuse(ticket, &why),
            }
        }
        Ok(Seen { version: asked.version, left })
    }

    /// The tickets that wait, as soon as their list has another version than this one.
    async fn waiting(&self, version: u64) -> Result<Asked, Failure> {
        let path = format!("/v1/lines/{}/waiting?since={version}", self.line);
        Ok(self.client.json(&path).await?)
    }

    /// Reads the journal up to this record, or to its end.
    async fn follow(&mut self, until: Option<u64>) -> Result<(), Failure> {
        while until.is_none_or(|until| self.verifier.seq() < until) {
            let path = format!("/v1/journal?after={}", self.verifier.seq());
            let page = self.client.bytes(&path, ANSWER_BYTES_MAX).await?;
            let text = std::str::from_utf8(&page)?;
            if text.is_empty() {
                return Ok(());
            }
            for line in text.lines() {
                if until.is_some_and(|until| self.verifier.seq() >= until) {
                    break;
                }
                self.fetch_tallies(line).await?;
                let read = self.verifier.follow(line, clock::now());
                read.map_err(|why| Failure::from(why).next(SOMEBODY_HAS_TO_LOOK))?;
            }
        }
        Ok(())
    }

    /// On a vendor line: the members' tallies that this line of the journal rests on. One that is not
    /// there is waited for; until it comes nothing is cosigned.
    async fn fetch_tallies(&mut self, line: &str) -> Result<(), Failure> {
        for named in self.verifier.rests_on(line)? {
            let path = named.path();
            let bytes = self.client.bytes_if_there(&path, TALLY_ENVELOPE_MAX).await?;
            let Some(bytes) = bytes else { return Err(missing(&named)) };
            let brought = self.verifier.bring(&named, &bytes);
            brought.map_err(|why| Failure::from(why).next(SOMEBODY_HAS_TO_LOOK))?;
        }
        Ok(())
    }

    /// What was seen is on disk before anything is signed that rests on it.
    fn keep(&mut self) -> Result<(), Failure> {
        let memory = self.verifier.memory();
        if memory.seq > self.kept {
            let bytes = serde_json::to_vec(memory)?;
            files::replace(&self.path, &bytes, Access::Public)?;
            self.kept = memory.seq;
        }
        Ok(())
    }

    async fn cosign(&mut self, ticket: &AskedTicket, judged: &Ticket) -> Result<(), Failure> {
        self.keep()?;
        let mut envelope = ticket.envelope.clone();
        let id = self.key.public().id();
        if envelope.signatures.iter().any(|signature| signature.keyid == id) {
            return Ok(());
        }
        envelope.signatures.clear();
        self.key.add(&mut envelope);
        let path = format!("/v1/lines/{}/cosignatures", self.line);
        match self.client.post::<serde_json::Value>(&path, &envelope).await {
            Ok(answer) => {
                let (rollout, generation) = (&ticket.rollout, judged.generation);
                let handed = judged.steps.last().map_or(0, |step| step.handed);
                let (have, needed) = (&answer["have"], &answer["needed"]);
                let value = json!({"cosigned": rollout, "generation": generation, "handed": handed,
                    "seq": ticket.seq, "have": have, "needed": needed});
                let have = have.as_array().map_or(0, Vec::len);
                self.say(&value, || {
                    format!(
                        "cosigned {rollout}: ticket {generation}, {handed} hosts in all; {have} of {needed} have"
                    )
                });
                self.said = None;
            }
            // It was made again or withdrawn meanwhile.
            Err(ClientError::Refused { status: 409, .. }) => {}
            Err(ClientError::Refused { status: 401, message, .. }) => {
                self.refuse(ticket, &message);
            }
            Err(why) => return Err(why.into()),
        }
        Ok(())
    }

    fn refuse(&mut self, ticket: &AskedTicket, why: &dyn std::fmt::Display) {
        let text = why.to_string();
        let said = format!("{} {text}", ticket.rollout);
        if self.said.as_ref() != Some(&said) {
            let value = json!({"refused": ticket.rollout, "seq": ticket.seq, "why": text});
            self.say(&value, || format!("refused {}: {text}", ticket.rollout));
            self.said = Some(said);
        }
    }

    /// One line: for people, or JSON for scripts.
    fn say(&self, value: &serde_json::Value, people: impl FnOnce() -> String) {
        match self.form {
            Form::Json => output::line(value),
            Form::People => output::line(people()),
        }
    }
}

/// As if the server did not answer: it is asked again after a pause.
fn missing(named: &Named) -> Failure {
    let Named { rollout, due, operator, .. } = named;
    let text = format!(
        "the server has no tally of operator {operator} for rollout {rollout}, round {}; nothing is cosigned \
         before it is there",
        due.round
    );
    let next = "put the tally back into the server's data folder, from its archive";
    Failure { exit: Exit::Unreachable, cause: anyhow::anyhow!(text), next: Some(next.to_owned()) }
}

const SOMEBODY_HAS_TO_LOOK: &str = "nothing more is cosigned; find out who changed the journal, or take a new key for a new server";
