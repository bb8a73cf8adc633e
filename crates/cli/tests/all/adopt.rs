//! `andon adopt`: real third-party files in, hostile ones refused.
use crate::common::Place;
use andon_model::release::{Manifest, Mode};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Installed by the Debian package clamav-testfiles.
const CLAMAV: &str = "/usr/share/clamav-testfiles";

fn adopt<'w>(from: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let words = ["adopt", "data", "--offline", "--key", "alice", "--key", "bob", "-o", "r"];
    [&words[..], &["--from", from], more].concat()
}

fn manifest(place: &Place) -> Manifest {
    let bytes = std::fs::read(place.path("r/manifest.json")).unwrap();
    let manifest = Manifest::parse(&bytes).unwrap();
    manifest.split(&std::fs::read(place.path("r/bundle")).unwrap()).unwrap();
    manifest
}

#[test]
fn a_debian_packages_data_becomes_a_release_that_only_observes() {
    if !Path::new(CLAMAV).is_dir() {
        eprintln!("skipped: install the Debian package clamav-testfiles");
        return;
    }
    let place = Place::laid_out();
    let words = ["--health", "test -d {slot}", "--json"];
    let made = place.andon(&adopt(CLAMAV, &words)).expect(0).json();
    assert_eq!(made["signatures"], 2);
    assert_eq!(made["vendor"], "hospital");
    let manifest = manifest(&place);
    assert_eq!(manifest.mode, Mode::Observe);
    assert!(manifest.files.iter().any(|file| file.path == "clam.zip"));
    assert_eq!(manifest.hooks.health.unwrap().argv, ["test", "-d", "{slot}"]);
}

#[test]
fn a_deb_is_opened_by_dpkg_and_says_where_it_comes_from() {
    let place = Place::laid_out();
    place.write(
        "pkg/DEBIAN/control",
        b"Package: some-rules\nVersion: 1.2-3\nArchitecture: all\n\
        Maintainer: Somebody <somebody@example.org>\nDescription: rules\n",
    );
    place.write("pkg/usr/share/some-rules/one.yar", b"rule one { condition: true }\n");
    place.write("pkg/usr/share/doc/some-rules/copyright", b"free\n");
    let built = Command::new("dpkg-deb")
        .args(["--build", "--root-owner-group"])
        .args([place.path("pkg"), place.path("some.deb")])
        .output();
    if !built.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: dpkg-deb cannot build here");
        return;
    }
    let words = ["--path", "usr/share/some-rules", "--enforce", "--version", "7"];
    place.andon(&adopt("some.deb", &words)).expect(0);
    let manifest = manifest(&place);
    assert_eq!(manifest.files.len(), 1);
    assert_eq!(manifest.files[0].path, "one.yar");
    assert_eq!((manifest.mode, manifest.version.0), (Mode::Enforce, 7));
    assert!(manifest.origin.as_str().contains("Debian package some-rules 1.2-3, sha256 "));

    std::fs::remove_dir_all(place.path("r")).unwrap();
    let deb = std::fs::read(place.path("some.deb")).unwrap();
    place.write("cut.deb", &deb[..deb.len() / 2]);
    place.andon(&adopt("cut.deb", &[])).expect(1);
    assert!(!place.path("r").exists());
}

/// A tar archive with a name of our choosing, which the tar crate itself would refuse to write.
fn tar(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let body: &[u8] = if kind.is_file() { b"x\n" } else { b"" };
        header.set_size(body.len() as u64);
        header.set_cksum();
        builder.append(&header, body).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn archives_of_every_kind_are_known_by_their_bytes() {
    let plain = tar(&[("./rules/a", tar::EntryType::Regular, "")]);
    let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
    for (name, bytes) in [("plain", plain.clone()), ("gzip", gzip(&plain)), ("zstd", packed)] {
        let place = Place::laid_out();
        place.write(name, &bytes);
        place.andon(&adopt(name, &["--path", "rules"])).expect(0);
        assert_eq!(manifest(&place).files[0].path, "a", "{name}");
    }
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    use tar::EntryType as Kind;
    let good = tar(&[("a", Kind::Regular, "")]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("parent", tar(&[("a", Kind::Regular, ""), ("../x", Kind::Regular, "")]), ".."),
        ("absolute", tar(&[("/etc/x", Kind::Regular, "")]), "absolute"),
        ("link", tar(&[("a", Kind::Symlink, "/etc/passwd")]), "outside"),
        ("climb", tar(&[("d/a", Kind::Symlink, "../../x")]), "outside"),
        ("device", tar(&[("a", Kind::Char, "")]), "device"),
        ("cut", gzip(&good)[..20].to_vec(), "read"),
        ("text", b"not an archive at all".to_vec(), "no archive"),
        ("empty", tar(&[]), "no"),
        ("no files", tar(&[("d/", Kind::Directory, "")]), "no files"),
    ];
    for (what, bytes, words) in cases {
        let place = Place::laid_out();
        place.write("in.tar", &bytes);
        let ran = place.andon(&adopt("in.tar", &[]));
        assert_eq!(ran.code, 1, "{what}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{what}: {}", ran.err);
        assert!(!place.path("r").exists(), "{what} left something");
    }
}

#[test]
fn folders_with_ways_out_are_refused() {
    let place = Place::laid_out();
    place.write("in/a", b"x");
    std::os::unix::fs::symlink("a", place.path("in/b")).unwrap();
    place.andon(&adopt("in", &[])).expect(0);
    assert_eq!(manifest(&place).files.len(), 2);
    std::fs::remove_dir_all(place.path("r")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", place.path("in/c")).unwrap();
    let refused = place.andon(&adopt("in", &[])).expect(1);
    assert!(refused.err.contains("outside"), "{}", refused.err);
    assert!(!place.path("r").exists());
}

#[test]
fn adopting_takes_the_operators_people_only_when_there_is_a_threshold_to_meet() {
    let place = Place::laid_out();
    place.write("in/a", b"x");
    let words =
        ["adopt", "data", "--offline", "--from", "in", "-o", "r", "--key", "alice", "--json"];
    let made = place.andon(&words).expect(0).json();
    assert_eq!((&made["signatures"], &made["threshold"]), (&1.into(), &2.into()));
    let words = ["release", "sign", "--add", "r", "--role", "new", "--key", "bob", "--json"];
    assert_eq!(place.andon(&words).expect(0).json()["signatures"], 2);
}
