//! `andon keys list`.
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::layout::Layout;
use crate::ops::keyring::{self, Form, Listed};
use crate::ops::trust;
use crate::output;
use andon_trust::theft::Key;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Options of `andon keys list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the keys; without it that of andon init
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Outcome {
    let dir = match &args.folder {
        Some(dir) => dir.as_path(),
        None => context.folder()?.dir(),
    };
    let found = keyring::list(dir)?;
    let line = line(context, dir, args.folder.is_none()).await;
    let values: Vec<Value> = found.iter().map(|it| value(it, line.as_deref())).collect();
    for key in &found {
        warn(key);
    }
    output::either(context.form(), &values, || {
        let rows = found.iter().map(|it| row(it, line.as_deref())).collect();
        output::line(output::table(&["key", "id", "form", "mode", "made", "may sign"], rows));
    })?;
    Ok(Exit::Ok)
}

/// Who may sign what, if the folder says it, or the line that was named does. A list is of use without it.
async fn line(context: &Context, dir: &Path, named: bool) -> Option<Vec<Key>> {
    let layout = Layout::new(dir);
    let read = if layout.anchor().is_file() {
        let anchor = context.anchor_of(&layout);
        let line = async { Ok::<_, Failure>(trust::of_folder(&layout, &anchor?).await?) };
        line.await
    } else if !named && let Some(layout) = context.layout() {
        let line = async { Ok(trust::of_folder(layout, &context.anchor()?).await?) };
        line.await
    } else {
        return None;
    };
    match read {
        Ok(line) => Some(line.keys()),
        Err(why) => {
            output::note(format_args!("what each key may sign is not known: {:#}", why.cause));
            None
        }
    }
}

fn warn(key: &Listed) {
    let file = key.file.display();
    if key.is_exposed() {
        output::note(format_args!("warning: {file} can be read by others; chmod 600 it"));
    }
    if key.form == Form::Encrypted && key.public.is_none() {
        output::note(format_args!(
            "{file} is encrypted and has no public half ({}) beside it: whose it is, is not known",
            crate::keys::PublicHalf::beside(&key.file).display()
        ));
    }
}

fn value(key: &Listed, line: Option<&[Key]>) -> Value {
    json!({
        "key": key.key, "name": key.name, "role": key.role,
        "keyid": key.public.map(|public| public.id()),
        "public": key.public, "algorithm": "ed25519",
        "form": key.form.word(), "encrypted": key.form == Form::Encrypted,
        "mode": format!("{:04o}", key.mode), "exposed": key.is_exposed(),
        "created": key.created, "retired": key.retired,
        "may": line.map(|line| key.may(line)), "file": key.file,
    })
}

fn row(key: &Listed, line: Option<&[Key]>) -> Vec<String> {
    let may = match line {
        _ if key.retired => "retired: destroy it".to_owned(),
        None => key.role.clone().unwrap_or_else(|| "?".to_owned()),
        Some(line) => match key.may(line) {
            may if may.is_empty() => "nothing on this line".to_owned(),
            may => may.join("; "),
        },
    };
    let day = |made: andon_model::Time| made.to_string().chars().take(10).collect();
    vec![
        key.key.clone(),
        key.public.map_or("?".to_owned(), |public| public.id().0.short()),
        key.form.word().to_owned(),
        format!("{:04o}", key.mode),
        key.created.map_or("?".to_owned(), day),
        may,
    ]
}
