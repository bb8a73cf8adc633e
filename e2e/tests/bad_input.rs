//! Bad input to every endpoint: refused with a clear error, and nothing has changed.
use andon_e2e::bad::{Good, Spoiled};
use andon_e2e::host::{Caller, enrol_request, key};
use andon_e2e::http::{Answer, Http};
use andon_e2e::line::Line;
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::{journal, now};
use andon_model::command::{Command, Verb};
use andon_model::envelope::PayloadType;
use andon_model::limits::{ENVELOPE_BYTES_MAX, MANIFEST_BYTES_MAX, MESSAGE_AGE_MAX, TUF_BYTES_MAX};
use andon_model::policy::Lane;
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::time::Millis;
use andon_model::{Digest, HostId, RolloutId};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::path::Path;

/// A line with something on it that bad input could damage.
struct Scene {
    line: Line,
    server: Server,
    http: Http,
    host: Caller,
    release: Release,
    role: Vec<u8>,
}

impl Scene {
    fn new() -> Result<Scene> {
        let line = Line::new()?;
        let server = Server::start(&line)?;
        let http = server.http();
        let release = release::files(&line, "rules", 1, b"good rules");
        let role = release::publish(&http, &line, None, &release)?;
        let mut host = Caller::enrol(&http, &line.token, key(1))?;
        let beat = host.beat_with_charge();
        anyhow::ensure!(host.send(&http, &beat)?.well(), "the first beat was refused");
        Ok(Scene { line, server, http, host, release, role })
    }

    /// Everything that must stay: the journal, what is served, the files.
    fn state(&self) -> Result<String> {
        let mut out = String::new();
        for row in journal::rows(&self.line.journal())? {
            out += &format!("{row:?}\n");
        }
        let index = format!("/v1/lines/{}/index.json", self.line.id());
        for path in [index.as_str(), "/v1/rollouts", "/v1/releases", "/v1/tuf/timestamp.json"] {
            out += &format!("{path}: {}\n", self.http.get(path)?.text());
        }
        list(&self.line.folder.join("server"), &mut out)?;
        Ok(out)
    }

    fn try_all(&self, path: &str, table: Vec<Spoiled>) -> Result<Vec<String>> {
        let before = self.state()?;
        let mut wrong = Vec::new();
        for Spoiled { how, body, statuses } in table {
            let answer = self.http.post(path, &body)?;
            wrong.extend(judge(&format!("POST {path}, {how}"), &answer, statuses));
        }
        if self.state()? != before {
            wrong.push(format!("POST {path}: bad input has changed something"));
        }
        Ok(wrong)
    }
}

/// Names and sizes of all files but the database's own.
fn list(folder: &Path, out: &mut String) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("list {}", folder.display()))?
        .collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            list(&path, out)?;
        } else if !entry.file_name().to_string_lossy().starts_with("journal.db") {
            *out += &format!("{} {}\n", path.display(), entry.metadata()?.len());
        }
    }
    Ok(())
}

/// The status is one of those, and the body says what was wrong and what to do.
fn judge(what: &str, answer: &Answer, statuses: &[u16]) -> Option<String> {
    let body = answer.json();
    let says = |field: &str| body["error"][field].as_str().is_some_and(|text| !text.is_empty());
    if !statuses.contains(&answer.status) {
        return Some(format!(
            "{what}: {} instead of {statuses:?}: {}",
            answer.status,
            answer.text()
        ));
    }
    let clear = says("code") && says("message") && says("next");
    (!clear).then(|| format!("{what}: error without code, message or next: {}", answer.text()))
}

fn row(how: &'static str, body: Vec<u8>, statuses: &'static [u16]) -> Spoiled {
    Spoiled { how, body, statuses }
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A time so long ago, or so far ahead, that a message of it is refused.
fn stale() -> u64 {
    now().minus(MESSAGE_AGE_MAX).minus(Millis::from_secs(60)).0
}
fn ahead() -> u64 {
    now().plus(Millis::from_secs(3600)).0
}

#[test]
fn bad_enrolments_are_refused_and_change_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let fresh = key(2);
    let payload = enrol_request(&fresh, &scene.line.token, now()).payload;
    let payload = serde_json::from_slice(&payload)?;
    let good = Good { kind: PayloadType::Enrol, payload, keys: vec![fresh] };
    let mut table = good.spoiled();
    table.push(row("a wrong token", good.with("token", json!("guess")), &[401, 403]));
    table.push(row(
        "an endless token",
        good.with("token", json!("x".repeat(2000))),
        &[400, 401, 403],
    ));
    table.push(row("stale", good.with("at", json!(stale())), &[410]));
    table.push(row("from the future", good.with("at", json!(ahead())), &[400, 410]));
    let other = key(3).public();
    table.push(row("somebody else's key", good.with("key", json!(other)), &[401]));
    none(&scene.try_all("/v1/enrol", table)?);
    // Asking again with the same key gives the same id, and no second record.
    let before = scene.state()?;
    let again = Caller::enrol(&scene.http, &scene.line.token, key(1))?;
    assert_eq!(again.id, scene.host.id);
    assert_eq!(scene.state()?, before, "asking again has changed something");
    Ok(())
}

#[test]
fn bad_beats_are_refused_and_change_nothing() -> Result<()> {
    let mut scene = Scene::new()?;
    let replayed = scene.host.beat_with_charge();
    assert!(scene.host.send(&scene.http, &replayed)?.well(), "a good beat was refused");
    let beat = scene.host.beat_with_charge();
    let good = Good {
        kind: PayloadType::Beat,
        payload: serde_json::to_value(&beat)?,
        keys: vec![scene.host.key.clone()],
    };
    let mut table = good.spoiled();
    table.push(row("replayed", scene.host.seal(&replayed).to_bytes(), &[409]));
    table.push(row("number of an earlier one", good.with("sequence", json!(1)), &[409]));
    table.push(row("stale", good.with("at", json!(stale())), &[410]));
    table.push(row("from the future", good.with("at", json!(ahead())), &[400, 410]));
    let nobody = HostId::new(4242)?;
    table.push(row("of a host that is not", good.with("host", json!(nobody)), &[401, 403, 404]));
    let many = vec![beat.charges[0].clone(); 17];
    table.push(row("too many charges", good.with("charges", json!(many)), &[400]));
    none(&scene.try_all("/v1/beats", table)?);
    assert!(scene.host.send(&scene.http, &beat)?.well(), "the good beat was refused afterwards");
    Ok(())
}

#[test]
fn bad_commands_are_refused_and_change_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let lane = Lane::Emergency;
    let verb = |release: Digest| -> Result<Verb> {
        let approvals = vec![
            release::approval(&scene.line, "alice", release, lane)?,
            release::approval(&scene.line, "bob", release, lane)?,
        ];
        let component = scene.release.manifest.component.clone();
        let rollout = RolloutId::new("r1")?;
        Ok(Verb::Start { rollout, release, component, lane, approvals, seed: None })
    };
    let signed = release::command(&scene.line, "alice", 1, verb(scene.release.digest())?)?;
    let command: Command = serde_json::from_slice(&signed.payload)?;
    let (_, alice) = scene.line.person("alice")?;
    let good = Good {
        kind: PayloadType::Command,
        payload: serde_json::to_value(&command)?,
        keys: vec![alice],
    };
    let mut table = good.spoiled();
    table.push(row("stale", good.with("issued", json!(stale())), &[410]));
    table.push(row("from the future", good.with("issued", json!(ahead())), &[400, 410]));
    table.push(row("of somebody else", good.with("person", json!("bob")), &[401]));
    table.push(row("of nobody we know", good.with("person", json!("mallory")), &[401, 403]));
    table.push(row("for another line", good.with("line", json!("operator:other")), &[403]));
    let unknown = json!(verb(Digest::of(b"never published"))?);
    table.push(row("of a release that is not", good.with("verb", unknown), &[404]));
    let missing = json!(Verb::Resume { rollout: RolloutId::new("no-such")? });
    table.push(row("about a rollout that is not", good.with("verb", missing), &[404]));
    let component = json!({"start": {"rollout": "r1", "release": scene.release.digest(),
        "component": "other", "lane": "emergency"}});
    table.push(row("with the wrong component", good.with("verb", component), &[400, 409]));
    none(&scene.try_all("/v1/commands", table)?);
    // Taken once, and refused when replayed.
    let first = scene.http.post("/v1/commands", &good.envelope().to_bytes())?;
    assert!(first.well(), "the good command was refused: {}", first.text());
    let replay = scene.http.post("/v1/commands", &good.envelope().to_bytes())?;
    none(&judge("a replayed command", &replay, &[409]).into_iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn bad_stops_are_refused_and_change_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let freeze = Freeze {
        schema: 1,
        by: Party::Platform,
        scope: Scope::Release(scene.release.digest()),
        reason: Text::clipped("a test"),
        issued: now(),
        expires: now().plus(Millis::from_secs(600)),
    };
    let good = Good {
        kind: PayloadType::Freeze,
        payload: serde_json::to_value(&freeze)?,
        keys: vec![scene.line.key("platform/cord")?],
    };
    let mut table = good.spoiled();
    let long = "x".repeat(300);
    table.push(row("a long reason", good.with("reason", json!(long)), &[400, 413]));
    table.push(row("expired", good.with("expires", json!(freeze.issued.0 + 1)), &[410]));
    table.push(row("over before it begins", good.with("expires", json!(1)), &[400, 410]));
    table.push(row(
        "from the future",
        {
            let mut later = good.clone();
            later.payload["issued"] = json!(ahead());
            later.with("expires", json!(ahead() + 1000))
        },
        &[400, 410],
    ));
    let other = json!({"operator": "other"});
    table.push(row("by another operator", good.with("by", other), &[401, 403]));
    none(&scene.try_all("/v1/stops", table)?);
    let taken = scene.http.post("/v1/stops", &good.envelope().to_bytes())?;
    assert!(taken.well(), "the good freeze was refused: {}", taken.text());
    Ok(())
}

#[test]
fn bad_policies_are_refused_and_change_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let mut policy = scene.line.policy()?;
    policy.version += 1;
    let good = Good {
        kind: PayloadType::Policy,
        payload: serde_json::to_value(&policy)?,
        keys: vec![scene.line.key("operator-root/alice")?, scene.line.key("operator-root/bob")?],
    };
    let mut table = good.spoiled();
    let one = Good { keys: good.keys[..1].to_vec(), ..good.clone() };
    table.push(row("signed by one of two", one.envelope().to_bytes(), &[401, 403]));
    let daily = Good {
        keys: vec![scene.line.person("alice")?.1, scene.line.person("bob")?.1],
        ..good.clone()
    };
    table.push(row("signed with the daily keys", daily.envelope().to_bytes(), &[401, 403]));
    let mut other = good.clone();
    other.payload["holdback_min"] = json!(7);
    table.push(row(
        "the version in force, told differently",
        other.with("version", json!(1)),
        &[409],
    ));
    table.push(row("version 0", good.with("version", json!(0)), &[400, 409]));
    table.push(row("expired", good.with("expires", json!(1)), &[410]));
    table.push(row("for another line", good.with("line", json!("operator:other")), &[400, 403]));
    table.push(row(
        "with a false-alarm bound of one",
        good.with("alpha_ppm", json!(1_000_000)),
        &[400],
    ));
    let path = format!("/v1/lines/{}/policy", scene.line.id());
    none(&scene.try_all(&path, table)?);
    let taken = scene.http.post(&path, &good.envelope().to_bytes())?;
    assert!(taken.well(), "the good policy was refused: {}", taken.text());
    Ok(())
}

#[test]
fn bad_metadata_objects_and_manifests_are_refused_and_change_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let next = release::files(&scene.line, "rules", 2, b"better rules");
    let role = release::role(&scene.line, Some(&scene.role), &next)?;
    let bytes = role.to_bytes();
    let mut one: serde_json::Value = serde_json::from_slice(&bytes)?;
    if let Some(list) = one["signatures"].as_array_mut() {
        list.truncate(1);
    }
    let mut altered: serde_json::Value = serde_json::from_slice(&bytes)?;
    altered["signed"]["expires"] = json!("2999-01-01T00:00:00Z");
    let mut long = bytes.clone();
    long.resize(TUF_BYTES_MAX + 1, b' ');
    let path = format!("/v1/releases/{}/metadata", scene.line.vendor());
    let table = vec![
        row("empty", vec![], &[400]),
        row("truncated", bytes[..bytes.len() / 2].to_vec(), &[400]),
        row("oversized", long, &[413]),
        row("signed by one of two", one.to_string().into_bytes(), &[401, 403]),
        row("altered after signing", altered.to_string().into_bytes(), &[401, 403]),
        row("the version in force", scene.role.clone(), &[409]),
        row("with a manifest that was not put", bytes, &[400, 404, 409]),
    ];
    none(&scene.try_all(&path, table.clone())?);
    none(&scene.try_all(
        "/v1/releases/nobody/metadata",
        vec![row("of nobody", scene.role.clone(), &[401, 403, 404])],
    )?);

    let before = scene.state()?;
    let digest = Digest::of(b"something else");
    let mut wrong = Vec::new();
    let mut put = |what: &str, path: String, body: &[u8], statuses: &[u16]| -> Result<()> {
        let answer = scene.http.put(&path, body)?;
        wrong.extend(judge(&format!("PUT {path}, {what}"), &answer, statuses));
        Ok(())
    };
    put("another digest", format!("/v1/objects/{digest}"), b"bytes", &[400])?;
    put("no digest", "/v1/objects/abc".to_owned(), b"bytes", &[400, 404])?;
    put("another digest", format!("/v1/manifests/{digest}"), &next.bytes(), &[400])?;
    let junk = b"{\"schema\":1}";
    put("no manifest", format!("/v1/manifests/{}", Digest::of(junk)), junk, &[400])?;
    let long = vec![b' '; MANIFEST_BYTES_MAX + 1];
    put("oversized", format!("/v1/manifests/{}", Digest::of(&long)), &long, &[413])?;
    none(&wrong);
    assert_eq!(scene.state()?, before, "bad uploads have changed something");
    Ok(())
}

#[test]
fn paths_outside_the_plane_lead_nowhere() -> Result<()> {
    let scene = Scene::new()?;
    let line = scene.line.id();
    for path in [
        "/v1/tuf/../../keys/online.json".to_owned(),
        "/v1/tuf/%2e%2e%2f%2e%2e%2fkeys%2fonline.json".to_owned(),
        "/v1/objects/..%2f..%2fandond.toml".to_owned(),
        format!("/v1/lines/{line}/tickets/..%2fpolicy.json"),
        format!("/v1/lines/{line}/stops/%2e%2e%2f%2e%2e%2fandond.toml"),
        "/v1/lines/operator:other/index.json".to_owned(),
        "/v1/hosts/h0000009999".to_owned(),
        "/v1/hosts/17".to_owned(),
        "/v1/rollouts/no-such".to_owned(),
        "/v1/rollouts/no-such/journal".to_owned(),
        "/v1/nothing".to_owned(),
    ] {
        let answer = scene.http.get(&path)?;
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("private"), "{path} leaks a key");
    }
    let bell = scene.http.get(&format!("/v1/lines/{line}/bell?since=nonsense"))?;
    assert_eq!(bell.status, 400, "a bell of nonsense: {}", bell.text());
    let large = vec![b' '; ENVELOPE_BYTES_MAX + 1];
    assert!([404, 405, 413].contains(&scene.http.post("/healthz", &large)?.status));
    assert_eq!(scene.http.get("/healthz")?.status, 200, "the server does not live any more");
    assert!(scene.server.stop()?.success(), "the server ended badly");
    Ok(())
}
