//! Files: streamed, resumed, checked while they come, never half in place, never fetched in vain.
use crate::vendors;
use andon_e2e::zoo::{Client, Page, Zoo};
use andon_model::Digest;
use std::path::Path;

/// A zoo with one file of 3 MiB, the path it is served at, and its bytes.
fn large() -> (Zoo, String, Vec<u8>) {
    let bytes: Vec<u8> =
        (0..3 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let mut zoo = Zoo::new().unwrap();
    zoo.add_file("targets", "folder/large file", &bytes);
    zoo.bump("targets");
    zoo.publish();
    let path = format!("files/folder/{}.large%20file", Digest::of(&bytes));
    zoo.served.put(&path, bytes.clone());
    (zoo, path, bytes)
}

/// Every file below a folder, hidden ones too.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (zoo, path, bytes) = large();
    let client = Client::new(&zoo).unwrap();
    zoo.served.set(&path, Page::Breaking(bytes.clone(), 1024 * 1024));
    let ran = client.download(&zoo, &["folder/large file"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert!(client.file("folder/large file").unwrap() == bytes);
    let (asked, _) = zoo.served.asked();
    let parts: Vec<&str> = asked.iter().filter_map(|ask| ask.strip_prefix(&path)).collect();
    assert_eq!(parts, ["", " bytes=1048576-", " bytes=2097152-"]);
    assert_eq!(files(&client.outside().join("files")), ["large file"]);
}

#[test]
fn a_server_that_knows_no_ranges_sends_it_all_again() {
    let (zoo, path, bytes) = large();
    let client = Client::new(&zoo).unwrap();
    zoo.served.set(&path, Page::Forgetful(bytes.clone(), 1000));
    let ran = client.download(&zoo, &["folder/large file"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert!(client.file("folder/large file").unwrap() == bytes);
}

#[test]
fn another_run_goes_on_where_the_last_one_ended() {
    let (zoo, path, bytes) = large();
    let client = Client::new(&zoo).unwrap();
    zoo.served.set(&path, Page::Breaking(bytes.clone(), 1000));
    let ran = client.download(&zoo, &["folder/large file"]).unwrap();
    assert!(ran.refused("broke off 8 times; its first 8000 bytes are kept"), "{ran:?}");
    assert_eq!(client.file("folder/large file"), None);
    zoo.served.put(&path, bytes.clone());
    let _ = zoo.served.asked();
    let ran = client.download(&zoo, &["folder/large file"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert_eq!(zoo.served.asked().0.last().unwrap(), &format!("{path} bytes=8000-"));
    assert!(client.file("folder/large file").unwrap() == bytes);
}

/// What a thief left in the part of an earlier run costs one more request, not the file.
#[test]
fn a_spoiled_part_is_thrown_away() {
    let (zoo, path, bytes) = large();
    let client = Client::new(&zoo).unwrap();
    let mut bad = bytes.clone();
    bad[10] ^= 1;
    zoo.served.set(&path, Page::Breaking(bad, 1000));
    assert!(!client.download(&zoo, &["folder/large file"]).unwrap().well());
    zoo.served.put(&path, bytes.clone());
    let ran = client.download(&zoo, &["folder/large file"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert!(client.file("folder/large file").unwrap() == bytes);
}

#[test]
fn wrong_bytes_never_reach_their_place() {
    let (zoo, path, bytes) = large();
    let client = Client::new(&zoo).unwrap();
    let mut bad = bytes.clone();
    bad[1_000_000] ^= 1;
    let mut long = bytes.clone();
    long.push(0);
    for (page, words) in [
        (Page::Whole(bad.clone()), "SHA-256 digest is not the one promised"),
        (Page::Breaking(bad, 1024 * 1024), "SHA-256 digest is not the one promised"),
        (Page::Whole(long), "another length than the 3145728 bytes promised"),
        (Page::Whole(bytes[..1000].to_vec()), "broke off 8 times"),
        (Page::Endless, "another length than the 3145728 bytes promised"),
        (Page::Elsewhere("else".to_owned()), "answers 302"),
    ] {
        zoo.served.set(&path, page.clone());
        let ran = client.download(&zoo, &["folder/large file"]).unwrap();
        assert!(ran.refused(words), "{words}: {ran:?}");
        assert_eq!(client.file("folder/large file"), None, "{words}");
    }
    zoo.served.take_away(&path);
    let ran = client.download(&zoo, &["folder/large file"]).unwrap();
    assert!(ran.refused("answers 404"), "{ran:?}");
}

#[test]
fn what_is_here_and_right_is_not_fetched_again() {
    let mut zoo = vendors(&["v00", "v01"]);
    let client = Client::new(&zoo).unwrap();
    let names = ["v00/tool", "v01/tool"];
    assert!(client.download(&zoo, &names).unwrap().well());
    let (asked, _) = zoo.served.asked();
    // next root, timestamp, snapshot, targets, two roles, two files
    assert_eq!(asked.len(), 8, "{asked:?}");
    assert!(client.download(&zoo, &names).unwrap().well());
    let (asked, bytes) = zoo.served.asked();
    assert_eq!(asked, ["metadata/2.root.json", "metadata/timestamp.json"]);
    eprintln!("nothing new: {} requests, {bytes} bytes", asked.len());
    assert!(bytes <= 624, "{bytes} bytes");
    // Another vendor's release: the other role and both other files stay as they are.
    zoo.add_file("v01", "v01/tool", b"second tool of v01");
    zoo.bump("v01");
    zoo.publish();
    assert!(client.download(&zoo, &names).unwrap().well());
    let (asked, _) = zoo.served.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(client.file("v01/tool").unwrap(), b"second tool of v01");
    // A file that somebody changed here comes again.
    std::fs::write(client.outside().join("files/v00/tool"), b"TOOL of v00").unwrap();
    assert!(client.download(&zoo, &names).unwrap().well());
    assert_eq!(client.file("v00/tool").unwrap(), b"tool of v00");
}

#[test]
fn files_are_done_in_order_up_to_the_first_that_fails() {
    let zoo = vendors(&["v00", "v01"]);
    let client = Client::new(&zoo).unwrap();
    let ran = client.download(&zoo, &["v01/tool", "v00/nothing", "v00/tool"]).unwrap();
    assert!(ran.refused("no role lists v00/nothing"), "{ran:?}");
    assert!(client.file("v01/tool").is_some());
    assert_eq!(client.file("v00/tool"), None);
}

/// Several are under way at once; which of them fails first is a matter of luck, what is said is not.
#[test]
fn of_files_that_fail_together_the_first_in_order_is_named_and_what_came_stays() {
    let mut zoo = Zoo::new().unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("f{n:02}")).collect();
    for name in &names {
        zoo.add_file("targets", name, name.as_bytes());
    }
    zoo.bump("targets");
    zoo.publish();
    for name in &names[9..] {
        let path = format!("files/{}.{name}", Digest::of(name.as_bytes()));
        assert!(zoo.served.bytes(&path).is_some());
        zoo.served.put(&path, b"xxx".to_vec());
    }
    let client = Client::new(&zoo).unwrap();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let ran = client.download(&zoo, &wanted).unwrap();
    assert!(ran.refused("check f09"), "{ran:?}");
    assert_eq!(client.file("f08").unwrap(), b"f08");
    assert_eq!(client.file("f09"), None);
    let asked = zoo.served.asked().0.iter().filter(|path| path.starts_with("files/")).count();
    assert!(asked < 20, "{asked} files were asked for although the tenth was wrong");
}

#[test]
fn a_file_asked_for_twice_and_two_files_of_the_same_bytes_come_once_each() {
    let mut zoo = Zoo::new().unwrap();
    zoo.add_file("targets", "one", b"same");
    zoo.add_file("targets", "two", b"same");
    zoo.bump("targets");
    zoo.publish();
    let client = Client::new(&zoo).unwrap();
    let ran = client.download(&zoo, &["one", "two", "one"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert_eq!(
        (client.file("one").unwrap(), client.file("two").unwrap()),
        (b"same".to_vec(), b"same".to_vec())
    );
    assert_eq!(zoo.served.asked().0.iter().filter(|path| path.starts_with("files/")).count(), 2);
    assert_eq!(files(&client.outside().join("files")).len(), 2);
}

#[test]
fn a_metadata_folder_is_no_place_for_files() {
    let mut zoo = Zoo::new().unwrap();
    zoo.add_file("targets", "root.json", b"{}");
    zoo.bump("targets");
    zoo.publish();
    let client = Client::new(&zoo).unwrap();
    std::os::unix::fs::symlink(client.trusted(), client.outside().join("files")).unwrap();
    let ran = client.download(&zoo, &["root.json"]).unwrap();
    assert!(ran.said.contains("holds the trusted metadata"), "{ran:?}");
    assert!(client.refresh(&zoo).unwrap().well());
}

/// Ten vendors with ten products of ten files of 10 KB each: every role is fetched once.
#[test]
fn a_thousand_files_cost_a_request_each_and_one_per_role() {
    let (zoo, names) = Zoo::thousand().unwrap();
    let client = Client::new(&zoo).unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let began = std::time::Instant::now();
    let ran = client.download(&zoo, &names).unwrap();
    let took = began.elapsed();
    assert!(ran.well(), "{}", ran.said);
    let (asked, bytes) = zoo.served.asked();
    eprintln!("1,000 files: {} requests, {bytes} bytes, {} ms", asked.len(), took.as_millis());
    assert_eq!(asked.len(), 4 + 110 + 1000);
    assert_eq!(client.file("v9/p9/f9").unwrap(), [9, 9, 9].repeat(3413));
}
