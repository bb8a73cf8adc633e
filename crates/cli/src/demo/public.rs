//! The line's public log in the demo: three witnesses, and at the end every release proven from one file, as
//! a stranger would.
use super::line::Line;
use super::report::LogFigures;
use super::setting::WITNESSES;
use super::stage::{self, Player, StageError};
use crate::keys;
use crate::ops::init_log::{self, WitnessOption};
use crate::ops::release::Release;
use andon_model::LineId;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::proof_bundle::Believed;
use andon_trust::log::{KeyKind, VerifierKey};
use andon_trust::proof_bundle::{Logging, Terms, open, verify};
use anyhow::Context;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// A witness that has a key and an address, and does not run yet: the line's configuration names it before
/// it can know the line's log.
#[derive(Debug)]
pub(super) struct Appointed {
    folder: PathBuf,
    address: String,
    /// for the line that is laid out
    pub(super) option: WitnessOption,
}

/// Keys and free ports for all of them.
/// # Errors
/// When a key cannot be made or no port is free.
pub(super) fn appoint(folder: &Path) -> anyhow::Result<Vec<Appointed>> {
    let one = |number: usize| {
        let folder = folder.join(format!("witness-{number}"));
        crate::files::make_private_folder(&folder)?;
        let name = format!("demo/witness-{number}");
        let key = keys::make_note(&folder.join("key"), &name, KeyKind::Witness)?;
        let free = TcpListener::bind("127.0.0.1:0").context("find a port for a witness")?;
        let address = free.local_addr()?.to_string();
        let option = format!("{}@http://{address}", key.verifier());
        let option = option.parse().map_err(|why| anyhow::anyhow!("name a witness: {why}"))?;
        Ok(Appointed { folder, address, option })
    };
    (1..=WITNESSES).map(one).collect()
}

/// Starts them on the line's log.
/// # Errors
/// [`StageError`].
pub(super) async fn start(
    appointed: &[Appointed],
    log: &VerifierKey,
    logs: &Path,
) -> Result<Vec<Player>, StageError> {
    let mut players = Vec::new();
    for (number, one) in (1..).zip(appointed) {
        let path = |name: &str| one.folder.join(name);
        let words = [
            "witness".into(),
            "--key".into(),
            path("key"),
            "--log".into(),
            log.to_string().into(),
            "--listen".into(),
            PathBuf::from(&one.address),
            "--data".into(),
            path("data"),
        ];
        let said = logs.join(format!("witness-{number}.log"));
        players
            .push(stage::serving("andon witness", "andon", &words, &path("ready"), &said).await?);
    }
    Ok(players)
}

/// The name of the line's log.
pub(super) fn name(line: &LineId) -> String {
    init_log::name(line)
}

/// Fetches the proof bundle of every release and believes it from the anchor and the policy alone; the files
/// are left in `folder`.
/// # Errors
/// When one cannot be fetched or is not believed.
pub(super) async fn prove(
    line: &Line,
    (anchor, policy): (&Anchor, &Envelope),
    releases: &[Release],
    folder: &Path,
) -> anyhow::Result<LogFigures> {
    std::fs::create_dir_all(folder)?;
    let believed = Believed::default();
    let mut figures = LogFigures { releases: releases.len(), ..LogFigures::default() };
    for release in releases {
        let digest = release.digest();
        let bytes = line.proof_bundle(&digest).await?;
        std::fs::write(folder.join(format!("{digest}.bundle")), &bytes)?;
        let now = crate::clock::now();
        let terms = Terms { anchor, policy: Some(policy), now, believed: &believed };
        let proven = verify(&open(&bytes)?, &terms)?;
        let logged = matches!(proven.logging, Logging::Logged(_));
        figures.proven += usize::from(logged && proven.release == digest);
        figures.bytes_max = figures.bytes_max.max(bytes.len());
    }
    Ok(figures)
}
