//! `andon tuf-client`: a TUF client for anybody's repository, with the commands of the public
//! conformance suite (docs/spec/tuf-client.md).
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::tuf::{Address, Downloads, Folder, Http, Obtained, hold, provide_all};
use crate::{clock, output};
use andon_model::limits::TUF_BYTES_MAX;
use andon_trust::client::{ClientError, Refreshed, check_root, refresh};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  andon tuf-client --metadata-dir trusted init root.json
  andon tuf-client --metadata-dir trusted --metadata-url http://HOST/metadata refresh
  andon tuf-client --metadata-dir trusted --metadata-url http://HOST/metadata \\
    --target-base-url http://HOST/targets --target-dir files --target-name tool/1.0/tool.tar download
Exit codes: 0 all of it was done, 1 anything was refused or failed, 2 wrong command line.";

/// Options of `andon tuf-client`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folder of trusted metadata: root.json and, after a refresh, every role as it was signed
    #[arg(long, global = true, value_name = "DIR")]
    metadata_dir: Option<PathBuf>,
    /// Address of the repository's metadata (http)
    #[arg(long, global = true, value_name = "URL")]
    metadata_url: Option<String>,
    /// File to download, as the repository names it; may be repeated, done in this order
    #[arg(long = "target-name", global = true, value_name = "NAME", allow_hyphen_values = true)]
    names: Vec<String>,
    /// Address of the repository's files (http)
    #[arg(long = "target-base-url", global = true, value_name = "URL")]
    base_url: Option<String>,
    /// Folder that files are put into, under their names
    #[arg(long = "target-dir", global = true, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// What `andon tuf-client` does.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Trust this root from now on; asks nobody
    Init {
        /// A root.json that you have from a source you trust
        root: PathBuf,
    },
    /// Bring root, timestamp, snapshot and targets up to date
    Refresh,
    /// Refresh, then fetch files that some role vouches for
    Download,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    provide_all();
    let folder = wanted(args.metadata_dir.as_deref(), "--metadata-dir")?;
    match &args.command {
        Command::Init { root } => {
            init(folder, root)?;
            output::note(format_args!("trusts {} in {}", root.display(), folder.display()));
        }
        Command::Refresh => {
            let _held = hold(folder)?;
            let mut metadata = metadata(args)?;
            let refreshed = brought_up(&mut metadata, &mut Folder(folder.to_owned()))?;
            let versions = versions(&refreshed);
            output::either(context.form(), &versions, || output::line(words(&versions)))?;
        }
        Command::Download => download(context, args, folder)?,
    }
    Ok(Exit::Ok)
}

fn init(folder: &Path, root: &Path) -> Result<(), Failure> {
    let bytes = files::read(root, TUF_BYTES_MAX as u64)?;
    check_root(&bytes).map_err(advised)?;
    let place = folder.join("root.json");
    files::create(&place, &bytes, Access::Public).map_err(|error| {
        Failure::from(error).next(format!(
            "to trust another root, begin with another folder than {}",
            folder.display()
        ))
    })
}

fn download(context: &Context, args: &Args, trusted: &Path) -> Result<(), Failure> {
    if args.names.is_empty() {
        return Err(Failure::usage("download needs --target-name, at least once"));
    }
    let folder = wanted(args.folder.as_deref(), "--target-dir")?;
    let base = Address::parse(wanted(args.base_url.as_deref(), "--target-base-url")?)?;
    let _held = hold(trusted)?;
    let mut metadata = metadata(args)?;
    std::fs::create_dir_all(folder)?;
    apart(trusted, folder)?;
    let downloads = Downloads::new(metadata.at(base), folder)?;
    let mut shelf = Folder(trusted.to_owned());
    let mut refreshed = brought_up(&mut metadata, &mut shelf)?;
    let mut files = Vec::new();
    let found = args.names.iter().try_for_each(|name| -> Result<(), Failure> {
        files.push(refreshed.find(&mut metadata, &mut shelf, name).map_err(advised)?);
        Ok(())
    });
    // What comes before a name that nobody vouches for is fetched all the same.
    let obtained = downloads.obtain(&files)?;
    found?;
    downloads.clear()?;
    let rows: Vec<Value> = args.names.iter().zip(files.iter().zip(&obtained)).map(|(name, (file, how))| {
        let fetched = *how == Obtained::Fetched;
        json!({"name": name, "file": downloads.place(file), "bytes": file.length(), "fetched": fetched})
    }).collect();
    let all = json!({"metadata": versions(&refreshed), "files": &rows});
    output::either(context.form(), &all, || {
        let places = rows.iter().filter_map(|row| row["file"].as_str());
        places.for_each(output::line);
    })
}

/// A file named `root.json` must never land among trusted metadata.
fn apart(trusted: &Path, folder: &Path) -> Result<(), Failure> {
    if trusted.canonicalize()?.starts_with(folder.canonicalize()?) {
        return Err(Failure::usage(format!(
            "{} holds the trusted metadata: files need a folder of their own",
            folder.display()
        )));
    }
    Ok(())
}

fn brought_up(metadata: &mut Http, shelf: &mut Folder) -> Result<Refreshed, Failure> {
    refresh(metadata, shelf, clock::now()).map_err(advised)
}

fn metadata(args: &Args) -> Result<Http, Failure> {
    let url = wanted(args.metadata_url.as_deref(), "--metadata-url")?;
    Ok(Http::new(Address::parse(url)?))
}

fn wanted<'a, T: ?Sized>(value: Option<&'a T>, option: &str) -> Result<&'a T, Failure> {
    value.ok_or_else(|| Failure::usage(format!("{option} is needed here")))
}

/// What to do next about an error of the workflow.
fn advised(error: ClientError) -> Failure {
    let next = match &error {
        ClientError::NoRoot => "andon tuf-client --metadata-dir DIR init ROOT",
        ClientError::Fetch(..) | ClientError::Missing(_) => {
            "check --metadata-url; if it is right, the repository is incomplete: tell its owner"
        }
        ClientError::Rotations => "run the same command again",
        ClientError::Read(..) | ClientError::Keep(..) | ClientError::Clock => {
            "mend this machine's disk or clock, then run the same command again"
        }
        ClientError::NotFound(_) | ClientError::Delegations(_) => {
            "check the name; it is the whole path that the repository lists"
        }
        _ => "nothing was taken from this file; tell the repository's owner",
    };
    Failure::from(error).next(next)
}

fn versions(refreshed: &Refreshed) -> Value {
    let [root, timestamp, snapshot, targets] = refreshed.versions();
    json!({"root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets})
}

fn words(versions: &Value) -> String {
    let of = |role: &str| format!("{role} {}", versions[role]);
    ["root", "timestamp", "snapshot", "targets"].map(of).join(", ")
}
