//! `andon keys show`: which keys the folder holds, without their private halves.
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::keys;
use crate::output;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What `andon keys` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the keys of the folder by the name that --key takes
    Show,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    let Command::Show = command;
    let layout = context.folder()?;
    let mut found = Vec::new();
    list(&layout.keys(), 0, &mut found)?;
    let mut values = Vec::new();
    let mut rows = Vec::new();
    for path in found {
        let held = keys::read(&path)?;
        let short = path.strip_prefix(layout.keys()).unwrap_or(&path).with_extension("");
        let short = short.strip_prefix("people").unwrap_or(&short).display().to_string();
        let public = held.key.public();
        let id = public.id().0;
        values.push(json!({"key": short, "name": held.name, "role": held.role,
            "public": public, "id": id, "file": path}));
        rows.push(vec![short, id.short(), held.role]);
    }
    output::either(context.form(), &values, || {
        output::line(output::table(&["key", "id", "for"], rows));
    })?;
    Ok(Exit::Ok)
}

/// Key files below `dir`, three folders deep at most.
fn list(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |e| anyhow::Error::new(e).context(format!("read {}", dir.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() && depth < 3 {
            list(&path, depth + 1, found)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
    Ok(())
}
