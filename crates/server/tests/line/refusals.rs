//! One table over all endpoints: bad input is refused with a status and a code, and nothing changes.
use crate::rig::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{
    BEAT_BYTES_MAX, ENVELOPE_BYTES_MAX, MANIFEST_BYTES_MAX, MESSAGE_AGE_MAX, STOP_BYTES_MAX,
    TUF_BYTES_MAX,
};
use andon_model::{Digest, Millis, Time};
use andon_server::serve::Server;
use axum::http::Method;

struct Row {
    what: &'static str,
    path: String,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn row(what: &'static str, path: &str, body: Vec<u8>, status: u16, code: &'static str) -> Row {
    Row { what, path: path.to_owned(), body, status, code }
}

fn with_field(envelope: &Envelope, key: &andon_trust::sign::SigningKey) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(&envelope.payload).unwrap();
    value["surprise"] = 1.into();
    key.seal(envelope.payload_type, &serde_json::to_vec(&value).unwrap()).to_bytes()
}

fn cut(envelope: &Envelope) -> Vec<u8> {
    let bytes = envelope.to_bytes();
    bytes[..bytes.len() / 2].to_vec()
}

fn beats(now: Time) -> Vec<Row> {
    let path = "/v1/beats";
    let good = sealed(&quiet_beat(1, 9, now));
    let mut forged = good.clone();
    forged.payload[10] ^= 1;
    let stranger = host_key(77).seal(PayloadType::Beat, &good.payload).to_bytes();
    let other = host_key(2).seal(PayloadType::Beat, &good.payload).to_bytes();
    let stale = Time(now.0 - MESSAGE_AGE_MAX.0 - 1);
    let swapped = host_key(1).seal(PayloadType::Enrol, &good.payload).to_bytes();
    vec![
        row("beat cut", path, cut(&good), 400, "malformed"),
        row("beat too large", path, vec![b' '; BEAT_BYTES_MAX * 2], 413, "too_large"),
        row("beat forged", path, forged.to_bytes(), 401, "signature"),
        row("beat of a stranger", path, stranger, 401, "unknown_key"),
        row("beat for another host", path, other, 403, "not_allowed"),
        row("beat as another type", path, swapped, 400, "malformed"),
        row("beat replayed", path, sealed(&quiet_beat(1, 3, now)).to_bytes(), 409, "replayed"),
        row("beat stale", path, sealed(&quiet_beat(1, 9, stale)).to_bytes(), 410, "expired"),
        row("beat with a new field", path, with_field(&good, &host_key(1)), 400, "malformed"),
    ]
}

fn people(line: &Line, release: Digest, now: Time) -> Vec<Row> {
    let path = "/v1/commands";
    let good = line.command("x", now, start("r2", release));
    let stranger = host_key(1).seal(PayloadType::Command, &good.payload).to_bytes();
    let stale = Time(now.0 - MESSAGE_AGE_MAX.0 - 1);
    let command = |nonce: &str, at, verb| line.command(nonce, at, verb).to_bytes();
    let hold = |name: &str| andon_model::command::Verb::Resume { rollout: name.parse().unwrap() };
    vec![
        row("command cut", path, cut(&good), 400, "malformed"),
        row("command too large", path, vec![b' '; ENVELOPE_BYTES_MAX + 1], 413, "too_large"),
        row("command wrongly signed", path, stranger, 401, "signature"),
        row("command stale", path, command("y", stale, start("r2", release)), 410, "expired"),
        row("command replayed", path, command("1", now, start("r2", release)), 409, "replayed"),
        row("command with a new field", path, with_field(&good, &line.person), 400, "malformed"),
        row("rollout's name taken", path, command("z", now, start("r1", release)), 409, "conflict"),
        row(
            "release unknown",
            path,
            command("z", now, start("r2", Digest::of(b""))),
            404,
            "not_found",
        ),
        row("component busy", path, good.to_bytes(), 409, "conflict"),
        row("rollout unknown", path, command("z", now, hold("r9")), 404, "not_found"),
    ]
}

fn stops_and_policy(line: &Line, release: Digest, now: Time) -> Vec<Row> {
    let path = "/v1/stops";
    let good = crate::faults::freeze(line, release, now);
    let foreign = crate::faults::freeze(line, Digest::of(b"somebody else's"), now).to_bytes();
    let old = crate::faults::freeze(line, release, Time(now.0 - 2 * 3_600_000)).to_bytes();
    let stranger = host_key(1).seal(PayloadType::Freeze, &good.payload).to_bytes();
    let policies = "/v1/lines/operator:clinic/policy";
    let mut older = line.policy.clone();
    older.version = 0;
    let signed = |policy: &andon_model::policy::Policy| {
        line.person.seal(PayloadType::Policy, &serde_json::to_vec(policy).unwrap())
    };
    let mut other = line.policy.clone();
    other.ticket_valid = Millis(1);
    let strange =
        host_key(1).seal(PayloadType::Policy, &serde_json::to_vec(&other).unwrap()).to_bytes();
    vec![
        row("stop cut", path, cut(&good), 400, "malformed"),
        row("stop too large", path, vec![b' '; STOP_BYTES_MAX + 1], 413, "too_large"),
        row("stop wrongly signed", path, stranger, 401, "signature"),
        row("stop of another's release", path, foreign, 403, "not_allowed"),
        row("stop expired", path, old, 410, "expired"),
        row("stop with a new field", path, with_field(&good, &line.vendor), 400, "malformed"),
        row("policy rolled back", policies, signed(&older).to_bytes(), 409, "replayed"),
        row("policy changed silently", policies, signed(&other).to_bytes(), 409, "conflict"),
        row("policy wrongly signed", policies, strange, 401, "signature"),
        row(
            "policy with a new field",
            policies,
            with_field(&signed(&other), &line.person),
            400,
            "malformed",
        ),
        row("policy of another line", "/v1/lines/operator:else/policy", vec![], 404, "not_found"),
    ]
}

fn publication(line: &Line) -> Vec<Row> {
    let metadata = "/v1/releases/acme/metadata";
    let far = START.plus(Millis::from_secs(86_400));
    let role = |previous: Option<&[u8]>, path: &str, key: &andon_trust::sign::SigningKey| {
        let added = [(path.to_owned(), Digest::of(b"gone"), 4)];
        let mut role = andon_trust::repository::vendor_role(previous, far, &added).unwrap();
        role.sign(key).unwrap();
        role.to_bytes()
    };
    let now = line.role(1);
    let target = "releases/acme/rules/9.json";
    let next = |path: &str| role(now.as_deref(), path, &line.vendor);
    let objects = format!("/v1/objects/{}", Digest::of(b"right"));
    let manifests = format!("/v1/manifests/{}", Digest::of(b"{}"));
    let enrol = enrolment(8, START);
    let mut bad_token = enrol.clone();
    bad_token.payload = String::from_utf8(enrol.payload.clone())
        .unwrap()
        .replace("let me in", "let me out")
        .into_bytes();
    let bad_token = host_key(8).seal(PayloadType::Enrol, &bad_token.payload).to_bytes();
    let forged = host_key(9).seal(PayloadType::Enrol, &enrol.payload).to_bytes();
    vec![
        row("role cut", metadata, next(target)[..99].to_vec(), 400, "malformed"),
        row("role too large", metadata, vec![b' '; TUF_BYTES_MAX + 1], 413, "too_large"),
        row("role of yesterday", metadata, role(None, target, &line.vendor), 409, "conflict"),
        row(
            "role wrongly signed",
            metadata,
            role(now.as_deref(), target, &key(9)),
            403,
            "not_allowed",
        ),
        row("role without manifest", metadata, next(target), 409, "conflict"),
        row("role beyond its paths", metadata, next("releases/other/x/1.json"), 400, "malformed"),
        row("object of another digest", &objects, b"wrong".to_vec(), 400, "malformed"),
        row("object without a digest", "/v1/objects/zz", vec![], 400, "malformed"),
        row("manifest that is none", &manifests, b"{}".to_vec(), 400, "malformed"),
        row("manifest too large", &manifests, vec![b' '; MANIFEST_BYTES_MAX + 1], 413, "too_large"),
        row("enrolment cut", "/v1/enrol", cut(&enrol), 400, "malformed"),
        row("enrolment too large", "/v1/enrol", vec![b' '; 9000], 413, "too_large"),
        row("enrolment, bad token", "/v1/enrol", bad_token, 403, "not_allowed"),
        row("enrolment, another's key", "/v1/enrol", forged, 401, "signature"),
        row(
            "enrolment, new field",
            "/v1/enrol",
            with_field(&enrol, &host_key(8)),
            400,
            "malformed",
        ),
        row("no such path", "/v1/nothing", vec![], 404, "not_found"),
        row("no such method", "/healthz", vec![], 405, "method"),
    ]
}

async fn check(server: &mut Server, row: Row, before: &(String, u64, usize), line: &Line) {
    let put = row.path.starts_with("/v1/objects") || row.path.starts_with("/v1/manifests");
    let method = if put { Method::PUT } else { Method::POST };
    let (status, body) = send(server, method, &row.path, row.body).await;
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    assert_eq!(status, row.status, "{}: {told}", row.what);
    assert_eq!(told["error"]["code"], row.code, "{}: {told}", row.what);
    let text = |field: &str| told["error"][field].as_str().unwrap_or_default().len();
    assert!(text("message") > 0 && text("next") > 0, "{}: {told}", row.what);
    assert_eq!(&fingerprint(server, line), before, "{} changed something", row.what);
}

fn fingerprint(server: &Server, line: &Line) -> (String, u64, usize) {
    let files = ["objects", "manifests", "tuf"]
        .map(|folder| std::fs::read_dir(line.folder.path().join(folder)).unwrap().count());
    let heard = format!("{:?}", server.app.core().fleet.rows());
    (words(server) + &heard, line.journal.durable(), files.iter().sum())
}

#[tokio::test]
async fn bad_input_to_every_endpoint_is_refused_and_changes_nothing() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 2).await;
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    assert_eq!(tell(&mut server, &quiet_beat(1, 3, START)).await.0, 200);
    let before = fingerprint(&server, &line);
    let mut rows = beats(START);
    rows.extend(people(&line, release, START));
    rows.extend(stops_and_policy(&line, release, START));
    rows.extend(publication(&line));
    for row in rows {
        check(&mut server, row, &before, &line).await;
    }
}
