//! The client for anybody's repository reads ours, and takes nothing from a careless source or shelf.
use crate::repository::{VALID, create, signed_role};
use crate::world::*;
use andon_model::{Digest, VendorId};
use andon_trust::client::{ClientError, Fault, Shelf, Source, check_root, refresh};
use std::collections::BTreeMap;

/// A server in memory; `padding` is what a careless one adds to each file.
struct Server {
    files: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
    padding: usize,
}

impl Source for Server {
    fn fetch(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        self.asked.push(name.to_owned());
        let mut bytes = self.files.get(name).cloned();
        bytes.iter_mut().for_each(|bytes| bytes.resize(bytes.len() + self.padding, b' '));
        Ok(bytes)
    }
}

/// A disk in memory; a full one keeps nothing.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    full: bool,
}

impl Shelf for Disk {
    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.files.get(name).cloned())
    }
    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        if self.full {
            return Err("disk full".into());
        }
        self.files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}

fn ours() -> (Server, Disk) {
    let mut repository = create();
    let role = signed_role(None, 1, &[20, 21]);
    repository.set_role(&VendorId::new("acme").unwrap(), &role, NOW).unwrap();
    let files = repository.publish(NOW, VALID, &key(14), &key(15)).unwrap();
    let server = Server { files: files.into_iter().collect(), asked: vec![], padding: 0 };
    let mut disk = Disk::default();
    disk.files.insert("root.json".to_owned(), repository.root_bytes());
    (server, disk)
}

#[test]
fn our_repository_is_read_and_kept_byte_for_byte() {
    let (mut server, mut disk) = ours();
    let mut seen = refresh(&mut server, &mut disk, NOW).unwrap();
    assert_eq!(seen.versions(), [1, 1, 1, 1]);
    let name = "releases/acme/rules/1.json";
    let file = seen.find(&mut server, &mut disk, name).unwrap();
    let digest = Digest::of(&1_u32.to_be_bytes()).to_string();
    assert_eq!((file.path(), file.length(), file.digest()), (name, 4, digest.as_str()));
    assert_eq!(file.remote_path(), format!("releases/acme/rules/{digest}.1.json"));
    let mut check = file.check();
    check.take(&1_u32.to_be_bytes()).unwrap();
    assert!(check.clone().take(b"x").is_err());
    check.finish().unwrap();
    assert!(file.check().finish().is_err());
    for (role, remote) in [("acme", "1.acme.json"), ("timestamp", "timestamp.json")] {
        assert!(disk.files[&format!("{role}.json")] == server.files[remote], "{role}");
    }
    // Again: next root and timestamp, and nothing else.
    server.asked.clear();
    let mut seen = refresh(&mut server, &mut disk, NOW).unwrap();
    seen.find(&mut server, &mut disk, name).unwrap();
    assert_eq!(server.asked, ["2.root.json", "timestamp.json"]);
    assert!(matches!(
        seen.find(&mut server, &mut disk, "releases/acme/rules/9.json"),
        Err(ClientError::NotFound(_))
    ));
}

#[test]
fn a_careless_source_and_a_full_disk_change_nothing() {
    let (mut server, mut disk) = ours();
    let before = disk.files.clone();
    server.padding = 20 * 1024 * 1024;
    let refused = refresh(&mut server, &mut disk, NOW).unwrap_err();
    assert!(matches!(refused, ClientError::TooLarge { .. }), "{refused}");
    server.padding = 0;
    disk.full = true;
    let refused = refresh(&mut server, &mut disk, NOW).unwrap_err();
    assert!(matches!(refused, ClientError::Keep(..)), "{refused}");
    assert!(disk.files == before);
    disk.full = false;
    // What somebody wrote over the shelf is no metadata and no floor; it is fetched again.
    refresh(&mut server, &mut disk, NOW).unwrap();
    for name in ["timestamp.json", "snapshot.json", "targets.json"] {
        disk.files.insert(name.to_owned(), b"{}".to_vec());
    }
    refresh(&mut server, &mut disk, NOW).unwrap();
    assert!(disk.files["targets.json"] == server.files["1.targets.json"]);
    disk.files.remove("root.json");
    assert!(matches!(refresh(&mut server, &mut disk, NOW), Err(ClientError::NoRoot)));
    assert!(check_root(b"{}").is_err());
}
