//! `andon rollout`: start, watch, steer.
use crate::client::Client;
use crate::clock;
use crate::commands::picture;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::ops::release::Release;
use crate::ops::rollout::{self, APPROVAL_VALID, StartRequest};
use crate::output::{self, Form, Paint};
use crate::span::Span;
use andon_model::command::Verb;
use andon_model::envelope::Envelope;
use andon_model::limits::{ENVELOPE_BYTES_MAX, MANIFEST_BYTES_MAX};
use andon_model::policy::Lane;
use andon_model::release::Manifest;
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, RolloutId};
use andon_rollout::explain::{Explanation, StateName};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a watched rollout is asked for.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// How many times in a row a watched server may not answer: it may be restarting.
const WATCH_LOST_MAX: u32 = 20;

/// What `andon rollout` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Roll a published release out
    Start(Start),
    /// Sign an approval: of a waiting rollout, or beforehand into a file
    Approve(Approve),
    /// Where it stands and why; exit code 6 if it was halted
    Get(Get),
    /// All rollouts of the line
    List,
    /// Stop widening until resumed
    Hold(Steer),
    /// Go on after a hold
    Resume {
        /// which
        id: RolloutId,
        /// key of a person
        #[arg(long, value_name = "KEY")]
        key: String,
    },
    /// Stop for good
    Halt(Steer),
    /// Every recorded event, as JSON lines
    Journal {
        /// which
        id: RolloutId,
    },
}

/// Options of `andon rollout start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// Folder of the release, or its digest
    #[arg(long, value_name = "DIR|DIGEST")]
    release: String,
    #[arg(long, value_enum, default_value = "routine")]
    lane: LaneWord,
    /// Key of the person who starts it
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Approval signed beforehand; may be repeated
    #[arg(long = "approval", value_name = "FILE")]
    approvals: Vec<PathBuf>,
    /// Seed of the random order, 64 hexadecimal digits; the server draws one if absent
    #[arg(long)]
    seed: Option<Digest>,
    /// Name of the rollout; made from component, version and time if absent
    #[arg(long)]
    id: Option<RolloutId>,
    /// Watch it until it ends
    #[arg(short, long)]
    watch: bool,
}

/// Options of `andon rollout approve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// the waiting rollout
    #[arg(required_unless_present = "release")]
    id: Option<RolloutId>,
    /// Key of the person who approves
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Beforehand: folder of the release, or its digest
    #[arg(long, value_name = "DIR|DIGEST", requires = "output", conflicts_with = "id")]
    release: Option<String>,
    #[arg(long, value_enum, default_value = "emergency")]
    lane: LaneWord,
    /// Beforehand: file to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How long the approval holds
    #[arg(long, default_value_t = Span(APPROVAL_VALID), value_name = "TIME")]
    valid: Span,
}

/// Options of `andon rollout get`.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// which
    id: RolloutId,
    /// Follow it until it is completed or halted
    #[arg(short, long)]
    watch: bool,
    /// Stop following after this time, with exit code 1
    #[arg(long, value_name = "TIME", requires = "watch")]
    timeout: Option<Span>,
}

/// Options of hold and halt.
#[derive(Debug, clap::Args)]
pub(crate) struct Steer {
    /// which
    id: RolloutId,
    /// why; people will read it
    #[arg(long)]
    reason: String,
    /// key of a person
    #[arg(long, value_name = "KEY")]
    key: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LaneWord {
    Routine,
    Emergency,
}

impl From<LaneWord> for Lane {
    fn from(word: LaneWord) -> Lane {
        match word {
            LaneWord::Routine => Lane::Routine,
            LaneWord::Emergency => Lane::Emergency,
        }
    }
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Start(args) => start(context, args).await,
        Command::Approve(args) => approve(context, args).await,
        Command::Get(args) => get(context, &args).await,
        Command::List => list(context).await,
        Command::Hold(Steer { id, reason, key }) => {
            let reason = Text::try_from(reason)?;
            steer(context, &key, Verb::Hold { rollout: id, reason }).await
        }
        Command::Resume { id, key } => steer(context, &key, Verb::Resume { rollout: id }).await,
        Command::Halt(Steer { id, reason, key }) => {
            let reason = Text::try_from(reason)?;
            steer(context, &key, Verb::Halt { rollout: id, reason }).await
        }
        Command::Journal { id } => {
            let client = context.client()?;
            let mut after = Some(0);
            while let Some(from) = after {
                let (page, last) = rollout::journal_page(&client, &id, from).await?;
                let _closed_pipe = std::io::stdout().lock().write_all(&page);
                after = last;
            }
            Ok(Exit::Ok)
        }
    }
}

async fn start(context: &Context, args: Start) -> Outcome {
    let client = context.client()?;
    let (release, component, version) = named(context, &client, &args.release).await?;
    let now = clock::now();
    let signer = context.signer(&args.key)?;
    let approvals = args.approvals.iter().map(|path| {
        let bytes = files::read(path, ENVELOPE_BYTES_MAX as u64)?;
        Ok::<_, Failure>(Envelope::parse(&bytes)?)
    });
    let request = StartRequest {
        rollout: match args.id {
            Some(id) => id,
            None => name(&component, version, now.0 / 1000)?,
        },
        release,
        component,
        lane: args.lane.into(),
        approvals: approvals.collect::<Result<_, _>>()?,
        seed: args.seed,
    };
    let id = rollout::start(&client, &signer, request, now).await?;
    if args.watch {
        output::note(format_args!("started {id}"));
        return watch(context, &client, &id, None).await;
    }
    // It is started, whether or not the server can say more about it.
    let told = rollout::get(&client, &id).await;
    let cannot_see = told.map(|it| it.cannot_see).unwrap_or_default();
    let value = json!({"rollout": id, "release": release, "cannot_see": cannot_see});
    output::either(context.form(), &value, || {
        output::line(format_args!("Started {id}."));
        for line in &cannot_see {
            output::line(format_args!("cannot see  {}", output::clean(line)));
        }
        output::note(format_args!("next: andon rollout get {id} -w"));
    })?;
    Ok(Exit::Ok)
}

/// A short name that says what it is; the time keeps it unique.
fn name(component: &ComponentId, version: u32, seconds: u64) -> Result<RolloutId, Failure> {
    let component: String = component.as_str().chars().take(30).collect();
    Ok(RolloutId::new(&format!("{component}-{version}-{seconds:x}"))?)
}

/// A release by folder or digest: its digest, component and version.
async fn named(
    context: &Context,
    client: &Client,
    word: &str,
) -> Result<(Digest, ComponentId, u32), Failure> {
    if let Ok(digest) = word.parse::<Digest>() {
        let manifest = published(context, client, digest).await?;
        return Ok((digest, manifest.component, manifest.version.0));
    }
    if !Path::new(word).is_dir() {
        let text = format!("release {word:?} is neither a folder nor a digest");
        return Err(Failure::usage(text).next("andon release list shows what is published"));
    }
    let made = Release::read(Path::new(word))?;
    Ok((made.digest(), made.manifest.component.clone(), made.manifest.version.0))
}

/// The manifest of a published release, checked against its digest.
async fn published(
    context: &Context,
    client: &Client,
    release: Digest,
) -> Result<Manifest, Failure> {
    let missing = || {
        Failure::not_found(format_args!("release {release} is not published on {}", client.base()))
            .next("andon release publish DIR")
    };
    let known: serde_json::Value = client.json("/v1/releases").await?;
    let list = known.as_array().or_else(|| known.as_object()?.values().find_map(|v| v.as_array()));
    let text = release.to_string();
    let is_it = |item: &&serde_json::Value| item["release"] == *text || item["digest"] == *text;
    let item = list.into_iter().flatten().find(is_it).ok_or_else(missing)?;
    let word = |key: &str| item[key].as_str().map(str::to_owned).ok_or_else(missing);
    let version = item["version"].as_u64().ok_or_else(missing)?;
    let folder = format!("releases/{}/{}", word("vendor")?, word("component")?);
    let path = format!("/v1/targets/{folder}/{release}.{version}.json");
    let bytes = client.bytes(&path, MANIFEST_BYTES_MAX).await?;
    if Digest::of(&bytes) != release {
        return Err(Failure::from(anyhow::anyhow!("{path} is not what its digest says")));
    }
    let _line_exists = context.line()?;
    Ok(Manifest::parse(&bytes)?)
}

async fn approve(context: &Context, args: Approve) -> Outcome {
    let signer = context.signer(&args.key)?;
    let now = clock::now();
    if let (Some(word), Some(path)) = (&args.release, &args.output) {
        let release = match word.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => Release::read(Path::new(word))?.digest(),
        };
        let envelope = signer.approval(release, args.lane.into(), now, args.valid.0)?;
        files::create(path, &envelope.to_bytes(), files::Access::Public)?;
        let value = json!({"approval": path, "person": signer.person, "release": release});
        output::either(context.form(), &value, || {
            output::line(format_args!("{} approves {release}: {}", signer.person, path.display()));
        })?;
        return Ok(Exit::Ok);
    }
    let Some(id) = &args.id else { return Err(Failure::usage("name the rollout to approve")) };
    rollout::approve(&context.client()?, &signer, id, now).await?;
    let value = json!({"rollout": id, "approved_by": signer.person});
    output::either(context.form(), &value, || {
        output::line(format_args!("{} approves {id}.", signer.person));
    })?;
    Ok(Exit::Ok)
}

async fn steer(context: &Context, key: &str, verb: Verb) -> Outcome {
    let client = context.client()?;
    let accepted = rollout::ask(&client, &context.signer(key)?, verb, clock::now()).await?;
    let value = json!({"rollout": accepted.rollout, "accepted": true});
    output::either(context.form(), &value, || {
        output::line(format_args!("{}: recorded.", accepted.rollout));
        output::note(format_args!("next: andon rollout get {}", accepted.rollout));
    })?;
    Ok(Exit::Ok)
}

async fn get(context: &Context, args: &Get) -> Outcome {
    let client = context.client()?;
    if args.watch {
        return watch(context, &client, &args.id, args.timeout.map(|span| span.0)).await;
    }
    let it = rollout::get(&client, &args.id).await?;
    show(context.form(), &it)?;
    Ok(exit_of(it.state))
}

fn show(form: Form, it: &Explanation) -> Result<(), Failure> {
    output::either(form, it, || {
        output::line(picture::rollout(it, Paint::stdout()).trim_end());
        next(it);
    })
}

fn next(it: &Explanation) {
    for command in &it.next {
        output::note(format_args!("next: {}", output::clean(command)));
    }
}

fn exit_of(state: StateName) -> Exit {
    if state == StateName::Halted { Exit::Halted } else { Exit::Ok }
}

/// Follows a rollout to its end. On a terminal the picture is redrawn; elsewhere a line is printed
/// when something changed; as JSON only the end is printed.
async fn watch(
    context: &Context,
    client: &Client,
    id: &RolloutId,
    timeout: Option<Millis>,
) -> Outcome {
    let begun = tokio::time::Instant::now();
    let live = context.form() == Form::People && output::live();
    let (mut drawn, mut said, mut lost) = (0, String::new(), 0);
    loop {
        let it = match rollout::get(client, id).await {
            Ok(it) => it,
            Err(error) => {
                let failure = Failure::from(error);
                lost += 1;
                if failure.exit != Exit::Unreachable || lost > WATCH_LOST_MAX {
                    return Err(failure);
                }
                tokio::time::sleep(WATCH_EVERY).await;
                continue;
            }
        };
        lost = 0;
        let over = matches!(it.state, StateName::Halted | StateName::Completed);
        if live {
            drawn = redraw(&output::fit(&picture::rollout(&it, Paint::stdout())), drawn);
        } else if context.form() == Form::People {
            let line = picture::one_line(&it);
            if line != said {
                output::line(&line);
                said = line;
            }
        }
        if over {
            if live {
                next(&it);
            } else {
                show(context.form(), &it)?;
            }
            return Ok(exit_of(it.state));
        }
        if timeout.is_some_and(|limit| begun.elapsed() > limit.std()) {
            if context.form() == Form::Json {
                output::json(&it)?;
            }
            let text = format!("{id} is still {}", picture::state_word(it.state));
            return Err(
                Failure::from(anyhow::anyhow!(text)).next(format!("andon why rollout {id}"))
            );
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Writes over the `before` lines drawn last; returns how many lines stand there now.
fn redraw(text: &str, before: usize) -> usize {
    let mut stdout = std::io::stdout().lock();
    let up = if before > 0 { format!("\x1b[{before}A\r") } else { String::new() };
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    let _closed_pipe = write!(stdout, "{up}{lines}\x1b[J");
    let _closed_pipe = stdout.flush();
    text.lines().count()
}

async fn list(context: &Context) -> Outcome {
    let value = rollout::list(&context.client()?).await?;
    output::either(context.form(), &value, || {
        let items = value.as_array().or_else(|| value["rollouts"].as_array());
        let parsed: Option<Vec<Explanation>> = items.and_then(|items| {
            items.iter().map(|item| serde_json::from_value(item.clone()).ok()).collect()
        });
        let Some(parsed) = parsed else {
            output::line(picture::generic_table(&value));
            return;
        };
        let row = |it: &Explanation| {
            vec![
                it.rollout.to_string(),
                format!("{} {}", it.component, it.version),
                picture::state_word(it.state).to_owned(),
                format!("{}/{}", it.handed, it.hosts),
                it.crashed.to_string(),
                picture::reason(it),
            ]
        };
        let header = ["rollout", "release", "state", "handed", "bad", "why"];
        output::line(output::table(&header, parsed.iter().map(row).collect()));
    })?;
    Ok(Exit::Ok)
}
