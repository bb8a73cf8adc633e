//! A minimal rig: runs a release on this machine, behind walls, as hosts of its class would, and says what
//! came of it as in-toto statements (docs/spec/attestations.md, section 5). What it is not: a virtual
//! machine. A class that is not this machine's own is refused, never guessed.
mod bench;
pub(crate) mod inside;
mod sandbox;

use crate::files::FileError;
use crate::keys::KeyError;
use crate::ops::release::Release;
use andon_model::attestation::*;
use andon_model::facts::{FactName, Facts};
use andon_model::limits::{HOOK_TIMEOUT_MAX, READY_WAIT_MAX};
use andon_model::release::{ComponentKind, Hook, Manifest, ReleaseError};
use andon_model::text::Text;
use andon_model::{Digest, Time};
use bench::{Bench, Ended, What};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why nothing was run, or nothing can be said about the component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RigError {
    /// another class than this machine's
    #[error("cannot run class {asked} here: this machine is {own}")]
    Class {
        /// asked for
        asked: AttestedClass,
        /// what this is
        own: String,
    },
    /// the release itself
    #[error("stage release")]
    Release(#[from] ReleaseError),
    /// not for this architecture
    #[error("the release is not made for architecture {0}")]
    Architecture(String),
    /// there is nothing that could fail
    #[error("the release has nothing that can be run here: {0}")]
    Nothing(&'static str),
    /// the walls do not stand
    #[error("the component was not run, the sandbox failed: {0}")]
    Sandbox(String),
    /// the bench
    #[error("run component in {0}")]
    Run(PathBuf, #[source] io::Error),
    /// no name for the bench
    #[error("make bench")]
    Random(#[from] KeyError),
    /// files of the bench
    #[error("make bench")]
    File(#[from] FileError),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// tests that passed, by name
    pub(crate) passed: Vec<String>,
    /// the test that failed, and why
    pub(crate) failed: Option<(String, String)>,
}

/// How much a component may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    /// bytes of memory
    pub(crate) memory: u64,
    /// longest for each command, and until a service is ready
    pub(crate) time: Duration,
}

/// The class of this machine, whose model its owner names, with the kernel that runs here, and with the
/// sensor's build and rung if its owner names them, in the class or beside it.
/// # Errors
/// [`RigError::Class`] when `asked` is another one, or a fact is named twice and differs.
pub(crate) fn class(
    asked: &AttestedClass,
    (sensor, rung): (&Option<FactName>, &Option<FactName>),
) -> Result<AttestedClass, RigError> {
    let arch = rustix::system::uname().machine().to_string_lossy().into_owned();
    let os = crate::fleet::os();
    let own = Facts { kernel: crate::fleet::kernel(), sensor: sensor.clone(), rung: rung.clone() };
    let said = &asked.facts;
    let kernel = said.kernel.is_none() || said.kernel == own.kernel;
    let agree = |said: &Option<FactName>, own: &Option<FactName>| {
        said.is_none() || own.is_none() || said == own
    };
    let facts = agree(&said.sensor, &own.sensor) && agree(&said.rung, &own.rung);
    if asked.arch.as_str() != arch || asked.os != os || !kernel || !facts {
        let own: String = own.named().map(|(name, fact)| format!(", {name} {fact}")).collect();
        return Err(RigError::Class { asked: asked.clone(), own: format!("{arch}/{os}{own}") });
    }
    Ok(asked.clone().running(Facts {
        kernel: own.kernel,
        sensor: own.sensor.or_else(|| said.sensor.clone()),
        rung: own.rung.or_else(|| said.rung.clone()),
    }))
}

/// Runs it. One bench for all of its tests, the first that fails ends it.
/// # Errors
/// [`RigError`]: then there is nothing to sign.
pub(crate) fn run(
    release: &Release,
    class: &AttestedClass,
    means: Means,
) -> Result<Report, RigError> {
    let manifest = &release.manifest;
    let fits = &manifest.architectures;
    if !fits.is_empty() && !fits.iter().any(|arch| arch == class.arch.as_str()) {
        return Err(RigError::Architecture(class.arch.to_string()));
    }
    let bench = Bench::new(means.memory)?;
    stage(&bench.slot(), release)?;
    let mut report = Report { passed: Vec::new(), failed: None };
    for (name, what, time) in tests(manifest, &bench, means)? {
        match bench.run(&what, time)? {
            Ended::Well => report.passed.push(name.to_owned()),
            Ended::Badly(why) => {
                report.failed = Some((name.to_owned(), why));
                break;
            }
        }
    }
    Ok(report)
}

fn stage(slot: &Path, release: &Release) -> Result<(), RigError> {
    for (entry, bytes) in release.manifest.split(&release.bundle)? {
        let path = slot.join(&entry.path);
        let failed = |source| RigError::Run(path.clone(), source);
        std::fs::create_dir_all(path.parent().unwrap_or(slot)).map_err(failed)?;
        std::fs::write(&path, bytes).map_err(failed)?;
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).map_err(failed)?;
    }
    Ok(())
}

/// What hosts would do with it before and while it takes effect, as far as it touches nothing but itself.
fn tests(
    manifest: &Manifest,
    bench: &Bench,
    means: Means,
) -> Result<Vec<(&'static str, What, Duration)>, RigError> {
    let mut tests = Vec::new();
    if let Some(Hook { argv, timeout }) = &manifest.hooks.validate {
        let argv = argv.iter().map(|word| placed(word, bench)).collect();
        tests.push(("validate", What::Hook(argv), means.time.min(timeout.std())));
    }
    match manifest.kind {
        ComponentKind::Content => {
            let rules = manifest
                .files
                .iter()
                .any(|file| file.path.ends_with(".yml") || file.path.ends_with(".yaml"));
            let ours = manifest.consumer.as_ref().is_some_and(|it| it.as_str().contains("sensor"));
            if ours && rules {
                tests.push(("load-rules", What::Rules, means.time));
            }
        }
        ComponentKind::Service => {
            if manifest.exec.iter().any(|word| word.contains("{content:")) {
                return Err(RigError::Nothing("the service needs content of other releases"));
            }
            let mut argv: Vec<String> =
                manifest.exec.iter().map(|word| placed(word, bench)).collect();
            if let Some(program) = argv.first_mut() {
                *program = bench.slot().join(&*program).display().to_string();
            }
            let well = manifest.soak.min(HOOK_TIMEOUT_MAX).std();
            let ready = means.time.min(READY_WAIT_MAX.std());
            tests.push(("run-service", What::Service(argv, well), ready));
        }
        // A module needs a kernel of its own to run in: a virtual machine.
        ComponentKind::Files | ComponentKind::Kmod => {}
    }
    if tests.is_empty() {
        let why = "it is no service, no rules for the sensor, and has no validate hook";
        return Err(RigError::Nothing(why));
    }
    Ok(tests)
}

fn placed(word: &str, bench: &Bench) -> String {
    let slot = bench.slot().display().to_string();
    word.replace("{slot}", &slot).replace("{state}", &bench.state().display().to_string())
}

/// What a rig signs: the result of the tests, and the verification if all of them passed.
pub(crate) fn statements(
    release: &Release,
    class: &AttestedClass,
    report: &Report,
    rig: &str,
    now: Time,
) -> Vec<Statement> {
    let manifest = &release.manifest;
    let name = format!("{} {} version {}", manifest.vendor, manifest.component, manifest.version);
    let about = |predicate| {
        let digest = DigestSet { sha256: Digest::of(&release.manifest_bytes) };
        let subject = vec![Subject { name: name.clone(), digest }];
        Statement { kind: StatementType::V1, subject, predicate }
    };
    let failed = report.failed.iter();
    let failed = failed.map(|(name, why)| Text::clipped(&format!("{name}: {why}")));
    let outcome = if report.failed.is_none() { TestOutcome::Passed } else { TestOutcome::Failed };
    let result = about(Predicate::TestResult(TestResult {
        result: outcome,
        configuration: vec![Configuration::of_class(class)],
        url: None,
        passed_tests: report.passed.clone(),
        warned_tests: Vec::new(),
        failed_tests: failed.map(|text| text.as_str().to_owned()).collect(),
    }));
    let mut statements = vec![result];
    if outcome == TestOutcome::Passed {
        statements.push(about(Predicate::Svr(Svr {
            verifier: SvrVerifier { id: format!("urn:andon:rig:{rig}") },
            time_created: now.to_string(),
            properties: vec![format!("{PREFLIGHT_PROPERTY}{class}")],
        })));
    }
    statements
}
