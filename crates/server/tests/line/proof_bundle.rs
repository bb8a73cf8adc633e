//! Proof bundles as the server hands them out: what is published at that moment, believed by a stranger.
use crate::rig::*;
use andon_model::proof_bundle::{Believed, ProofBundle};
use andon_model::{Digest, Millis};
use andon_server::serve::Server;
use andon_trust::proof_bundle::{Logging, ProvenRelease, Terms, open, verify};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use tower::ServiceExt as _;

fn path(release: Digest) -> String {
    format!("/v1/proof-bundles/{release}")
}

async fn fetch(server: &mut Server, path: &str) -> ProofBundle {
    let (status, bytes) = send(server, Method::GET, path, vec![]).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    open(&bytes).unwrap()
}

fn believe(line: &Line, server: &Server, bundle: &ProofBundle) -> ProvenRelease {
    let (anchor, believed) = (&line.inputs.anchor, Believed::default());
    let policy = Some(&line.inputs.policy);
    let terms = Terms { anchor, policy, now: server.app.now(), believed: &believed };
    verify(bundle, &terms).unwrap()
}

#[tokio::test]
async fn a_published_release_is_proven_by_one_request() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let first = line.publish(&mut server, 1).await;
    let bundle = fetch(&mut server, &path(first)).await;
    let proven = believe(&line, &server, &bundle);
    assert_eq!((proven.release, proven.newest.0), (first, 1));
    assert_eq!((&proven.logging, bundle.log_proof), (&Logging::NotDemanded, None));
    // What is published next is in the next one, of either release, and after a restart too.
    let second = line.publish(&mut server, 2).await;
    let mut server = line.restart(server).await;
    for (release, version) in [(first, 1), (second, 2)] {
        let bundle = fetch(&mut server, &path(release)).await;
        let proven = believe(&line, &server, &bundle);
        assert_eq!((proven.release, proven.manifest.version.0), (release, version));
        assert_eq!((proven.newest.0, proven.believed.roles.values().max()), (2, Some(&2)));
        // Every byte as it is served one by one.
        let (_, timestamp) = send(&mut server, Method::GET, "/v1/tuf/timestamp.json", vec![]).await;
        assert_eq!(bundle.timestamp.as_bytes(), timestamp);
    }
}

/// Anybody may ask, with any number: it must not push out what a fleet that starts asks for.
/// Mutant: proof-bundle-for-each-number.
#[tokio::test]
async fn whoever_lacks_no_root_gets_the_same_kept_bundle_whatever_number_it_gives() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let own = fetch(&mut server, &path(release)).await;
    for root in [1, 2, 7, 1000, u64::MAX] {
        let other = fetch(&mut server, &format!("{}?root={root}", path(release))).await;
        assert_eq!(other, own, "root {root}");
    }
    assert_eq!(server.app.proof_bundles.count(), 1);
}

/// Mutants: proof-bundle-served-unchecked, proof-bundle-kept-too-long.
#[tokio::test]
async fn what_is_not_published_or_not_believed_has_no_proof_bundle() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    for (path, status, words) in [
        (path(Digest::of(b"unknown")), 404, "no such release is published"),
        ("/v1/proof-bundles/nonsense".to_owned(), 400, "path"),
        (format!("{}?root=x", path(release)), 400, "whole number"),
        (format!("{}?more=1", path(release)), 400, "whole number"),
    ] {
        let (got, body) = send(&mut server, Method::GET, &path, vec![]).await;
        let said = String::from_utf8_lossy(&body).into_owned();
        assert!(got == status && said.contains(words), "{path}: {got} {said}");
    }
    fetch(&mut server, &format!("{}?root={}", path(release), u64::MAX)).await;
    fetch(&mut server, &path(release)).await;
    // Nothing was signed anew for a year, as when the signing key is gone: hosts would refuse it.
    server.app.clock.set(START.plus(Millis::from_secs(86_400 * 400)));
    let (got, body) = send(&mut server, Method::GET, &path(release), vec![]).await;
    let said = String::from_utf8_lossy(&body);
    assert!(got == 410 && said.contains("expired"), "{got} {said}");
}

/// Mutant: proof-bundle-kept-unchanged.
#[tokio::test]
async fn who_has_the_newest_one_is_told_so_until_something_is_published() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let router = andon_server::api::router(std::sync::Arc::clone(&server.app));
    let ask = |tag: Option<String>| {
        let mut request = Request::builder().uri(path(release));
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let answer = ask(None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-cache");
    let tag = answer.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(ask(Some(tag.clone())).await.unwrap().status(), StatusCode::NOT_MODIFIED);
    line.publish(&mut server, 2).await;
    assert_eq!(ask(Some(tag)).await.unwrap().status(), StatusCode::OK);
}
