//! One vendor's fault is that vendor's outage: seven faults of v00, and v01's file still comes.
use crate::vendors;
use andon_e2e::zoo::{Client, PAST, Signer, Zoo};
use serde_json::json;

/// SHA-512 of `tool of v00`.
const TOOL_SHA512: &str = "e7a48808ba0137d43fe7604e82c7afb36174a5c849b0fa199f7669034289bcb0de553f8ae4904938b9252ffc86db42317bccfda84ce9d1e9f93de70d86eb0283";

/// Breaks v00 with `fault`; its own file must come, or be refused with these words.
fn isolated(own: Result<(), &str>, fault: impl FnOnce(&mut Zoo)) {
    let mut zoo = vendors(&["v00", "v01", "v02"]);
    fault(&mut zoo);
    let client = Client::new(&zoo).unwrap();
    let other = client.download(&zoo, &["v01/tool"]).unwrap();
    assert!(other.well(), "{}", other.said);
    assert_eq!(client.file("v01/tool").unwrap(), b"tool of v01");
    let ran = client.download(&zoo, &["v00/tool"]).unwrap();
    match own {
        Ok(()) => assert!(ran.well(), "{}", ran.said),
        Err(words) => assert!(ran.refused(words), "{ran:?}"),
    }
    // In one run too, before and behind the broken one.
    let ran = client.download(&zoo, &["v02/tool", "v00/tool"]).unwrap();
    assert_eq!(ran.well(), own.is_ok(), "{}", ran.said);
    assert_eq!(client.file("v02/tool").unwrap(), b"tool of v02");
}

#[test]
fn a_vendor_that_lists_anothers_file_is_not_asked_about_it() {
    isolated(Ok(()), |zoo| {
        zoo.add_file("v00", "v01/tool", b"not by v01");
        zoo.bump("v00");
        zoo.publish();
    });
}

#[test]
fn an_expired_role() {
    isolated(Err("metadata expired"), |zoo| {
        zoo.signed("v00")["expires"] = json!(PAST);
        zoo.bump("v00");
        zoo.publish();
    });
}

#[test]
fn a_wrong_signature() {
    isolated(Err("threshold not met"), |zoo| {
        zoo.signers("v00", &[Signer::new(99).alias(&Signer::new(20).id)]);
        zoo.bump("v00");
        zoo.publish();
    });
}

#[test]
fn a_missing_role() {
    isolated(Err("1.v00.json is not on the server"), |zoo| {
        zoo.served.take_away("metadata/1.v00.json");
    });
}

#[test]
fn a_corrupt_role() {
    isolated(Err("verify 1.v00.json"), |zoo| {
        zoo.served.put("metadata/1.v00.json", b"{\"signed\": {".to_vec());
    });
}

#[test]
fn sha512_alone() {
    isolated(Ok(()), |zoo| {
        zoo.signed("v00")["targets"]["v00/tool"]["hashes"] = json!({"sha512": TOOL_SHA512});
        zoo.put_file("v00/tool", TOOL_SHA512, b"tool of v00");
        zoo.bump("v00");
        zoo.publish();
    });
}

#[test]
fn forty_thousand_files() {
    isolated(Ok(()), |zoo| {
        let entry = zoo.signed("v00")["targets"]["v00/tool"].clone();
        for n in 0..40_000 {
            zoo.signed("v00")["targets"][format!("v00/{n}")] = entry.clone();
        }
        zoo.bump("v00");
        zoo.publish();
    });
}
