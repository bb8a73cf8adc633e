//! Tiled logs: paths and widths as the specification has them, roots and proofs out of tiles, and a
//! log found again from its files, whole or damaged.
use crate::world::{entry, entry_hash, tree};
use andon_model::limits::{LOG_ENTRY_BYTES_MAX, LOG_NUMBER_MAX};
use andon_model::merkle::{Head, Tree, leaf, verify, verify_consistency};
use andon_trust::log::tile_tree::TileTreeError;
use andon_trust::log::tiled::{AppendError, RecoverError};
use andon_trust::log::tiles::{TILE_WIDTH, TileError};
use andon_trust::log::{Tile, TileKind, TileTree, TiledLog};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Files by path.
type Disk = BTreeMap<String, Vec<u8>>;

fn write(log: &mut TiledLog, disk: &mut Disk) {
    for file in log.unwritten() {
        let old = disk.insert(file.tile.to_string(), file.bytes.clone());
        assert!(old.is_none_or(|old| old == file.bytes), "{} changed", file.tile);
    }
    log.mark_written();
    assert_eq!(log.unwritten(), []);
}

fn grown(log: &mut TiledLog, to: u64) {
    for at in log.head().size..to {
        assert_eq!(log.append(&entry(at)), Ok(at));
    }
}

fn reader(disk: &Disk) -> impl FnMut(&Tile) -> Option<Vec<u8>> + '_ {
    |tile| disk.get(&tile.to_string()).cloned()
}

fn place(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

#[test]
fn paths_are_those_of_the_specification() {
    let hashes = TileKind::Hashes;
    let cases = [
        (hashes(0), 0, 256, "tile/0/000"),
        (hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
        (hashes(1), 999, 17, "tile/1/999.p/17"),
        (hashes(1), 1000, 1, "tile/1/x001/000.p/1"),
        (TileKind::Entries, 0, 255, "tile/entries/000.p/255"),
        (TileKind::Entries, 1_234_067, 256, "tile/entries/x001/x234/067"),
    ];
    for (kind, index, width, path) in cases {
        let tile = Tile::new(kind, index, width).unwrap();
        assert_eq!(tile.to_string(), path);
        assert_eq!(Tile::parse(path), Some(tile));
    }
    let bad = [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/000.p/+7",
        "tile/0/000.p/",
        "tile/0/../000",
        "tile/entries/000/",
        "/tile/0/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/000.p/7.p/7",
    ];
    for path in bad {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
}

#[test]
fn tiles_of_the_specifications_example() {
    // "a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile
    // of width 112, one full level 1 tile, one partial level 1 tile of width 17, and one partial
    // level 2 tile of width 1"; "size 256 […] a full level 0 tile and a partial level 1 tile"
    let widths = |size: u64, level: u8| -> (usize, Vec<usize>) {
        let all = (0..).map_while(|at| Tile::of(TileKind::Hashes(level), at, size));
        let (full, partial): (Vec<Tile>, Vec<Tile>) = all.partition(Tile::is_full);
        (full.len(), partial.iter().map(Tile::width).collect())
    };
    assert_eq!(widths(70_000, 0), (273, vec![112]));
    assert_eq!(widths(70_000, 1), (1, vec![17]));
    assert_eq!(widths(70_000, 2), (0, vec![1]));
    assert_eq!(widths(70_000, 3), (0, vec![]));
    assert_eq!(widths(256, 0), (1, vec![]));
    assert_eq!(widths(256, 1), (0, vec![1]));
    let mut log = TiledLog::new();
    let mut disk = Disk::new();
    grown(&mut log, 70_000);
    write(&mut log, &mut disk);
    let count = |part: &str| disk.keys().filter(|path| path.starts_with(part)).count();
    assert_eq!([count("tile/0/"), count("tile/1/"), count("tile/2/")], [274, 2, 1]);
    assert_eq!([count("tile/entries/"), disk.len()], [274, 551]);
    assert_eq!(log.head().root, tree(70_000).root());
    assert_eq!(TiledLog::recover(log.head(), reader(&disk)), Ok(log.clone()));
    let mut tiles = TileTree::new(70_000, reader(&disk));
    assert_eq!(tiles.head(), Ok(log.head()));
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let proof = tiles.inclusion(index).unwrap();
        assert!(verify(&log.head().root, 70_000, index, &entry_hash(index), &proof), "{index}");
    }
    for old in [0, 1, 256, 65_536, 65_537, 69_888, 69_999, 70_000] {
        let proof = tiles.consistency(old).unwrap();
        let before = Head { size: old, root: tree(old).root() };
        assert!(verify_consistency(&before, &log.head(), &proof), "{old}");
    }
}

#[test]
fn every_small_log_has_the_roots_and_proofs_of_its_tree() {
    let (mut log, mut disk) = (TiledLog::new(), Disk::new());
    assert_eq!(log.head(), Head::empty());
    assert_eq!(log.unwritten(), []);
    for size in (1..=20).chain(250..=262).chain(510..=514) {
        grown(&mut log, size);
        write(&mut log, &mut disk);
        let whole = tree(size);
        assert_eq!(log.head(), Head { size, root: whole.root() });
        assert_eq!(TiledLog::recover(log.head(), reader(&disk)), Ok(log.clone()));
        let mut tiles = TileTree::new(size, reader(&disk));
        assert_eq!(tiles.head(), Ok(log.head()));
        for at in 0..size {
            assert_eq!(tiles.inclusion(at).ok(), whole.proof(place(at)), "{at} of {size}");
        }
        for old in 1..=size {
            assert_eq!(tiles.consistency(old).ok(), whole.consistency(place(old)), "{old}");
        }
        let beyond = |asked| Err(TileTreeError::Beyond { asked, size });
        assert_eq!(tiles.inclusion(size), beyond(size));
        assert_eq!(tiles.consistency(size + 1), beyond(size + 1));
    }
}

#[test]
fn a_log_goes_on_where_its_last_checkpoint_stood() {
    // written further than the checkpoint says: a crash between tiles and checkpoint
    let (mut log, mut disk) = (TiledLog::new(), Disk::new());
    grown(&mut log, 300);
    write(&mut log, &mut disk);
    let checkpoint = log.head();
    grown(&mut log, 700);
    write(&mut log, &mut disk);
    let mut again = TiledLog::recover(checkpoint, reader(&disk)).unwrap();
    assert_eq!(again.head(), checkpoint);
    grown(&mut again, 700);
    write(&mut again, &mut disk);
    assert_eq!(again, log);
    // partial tiles may be deleted once the full one is there
    disk.retain(|path, _| !path.contains(".p/") || path.contains("188"));
    let again = TiledLog::recover(checkpoint, reader(&disk));
    assert_eq!(again.err(), Some(RecoverError::Missing(Tile::parse("tile/1/000.p/1").unwrap())));
    disk.insert("tile/1/000.p/1".to_owned(), tree(256).root().0.to_vec());
    assert_eq!(TiledLog::recover(checkpoint, reader(&disk)).unwrap().head(), checkpoint);
}

#[test]
fn a_log_whose_edge_was_changed_is_not_taken_up_again() {
    let (mut log, mut disk) = (TiledLog::new(), Disk::new());
    grown(&mut log, 259);
    write(&mut log, &mut disk);
    let head = log.head();
    let recover = |disk: &Disk| TiledLog::recover(head, reader(disk));
    for path in ["tile/0/001.p/3", "tile/1/000.p/1", "tile/entries/001.p/3"] {
        let tile = Tile::parse(path).unwrap();
        for at in 0..disk[path].len() {
            let mut bad = disk.clone();
            bad.get_mut(path).unwrap()[at] ^= 1;
            assert!(recover(&bad).is_err(), "{path} byte {at}");
        }
        for (what, change) in [("cut", -1), ("longer", 1)] {
            let mut bad = disk.clone();
            let bytes = bad.get_mut(path).unwrap();
            let length = bytes.len().checked_add_signed(change).unwrap();
            bytes.resize(length, 0);
            let form = match tile.kind() {
                TileKind::Entries => TileError::Entries(tile),
                TileKind::Hashes(_) => TileError::Hashes(tile),
            };
            assert_eq!(recover(&bad), Err(RecoverError::Form(form)), "{path} {what}");
        }
        let mut bad = disk.clone();
        bad.remove(path);
        assert_eq!(recover(&bad), Err(RecoverError::Missing(tile)));
    }
    let other = Head { root: leaf(b"other"), ..head };
    assert_eq!(TiledLog::recover(other, reader(&disk)), Err(RecoverError::Root(259)));
}

#[test]
fn entries_have_a_limit_and_a_refused_one_changes_nothing() {
    let (mut log, mut disk) = (TiledLog::new(), Disk::new());
    let longest = vec![7; LOG_ENTRY_BYTES_MAX];
    assert_eq!(log.append(&longest), Ok(0));
    assert_eq!(log.append(b""), Ok(1));
    let before = log.clone();
    let longer = vec![7; LOG_ENTRY_BYTES_MAX + 1];
    assert_eq!(log.append(&longer), Err(AppendError::TooLarge(longer.len())));
    assert_eq!(log, before);
    write(&mut log, &mut disk);
    let tile = Tile::parse("tile/entries/000.p/2").unwrap();
    assert_eq!(tile.entries(&disk["tile/entries/000.p/2"]).unwrap(), [longest.as_slice(), b""]);
    assert_eq!(TiledLog::recover(log.head(), reader(&disk)), Ok(log));
}

#[test]
fn tiles_of_the_largest_log_can_be_named_and_read() {
    // all tiles are the same row: a made-up log of 2^63 - 1 entries
    let row = [7; 32].repeat(255);
    let size = LOG_NUMBER_MAX;
    let mut edge = Vec::new();
    for level in 0..8 {
        let width = if level == 7 { 127 } else { 255 };
        edge.push(vec![andon_model::Digest([7; 32]); width]);
    }
    let mut below = None;
    for hashes in &edge {
        below = Some(Tree::new(hashes.iter().copied().chain(below).collect()).root());
    }
    let head = Head { size, root: below.unwrap() };
    // its entries are nobody's, so that it is refused for them and for nothing else
    let refused = TiledLog::recover(head, |tile| match tile.kind() {
        TileKind::Hashes(7) => Some(row[..127 * 32].to_vec()),
        TileKind::Hashes(_) => Some(row.clone()),
        TileKind::Entries => Some(vec![0; 2 * 255]),
    });
    assert!(matches!(refused, Err(RecoverError::Entries(_))), "{refused:?}");
    assert_eq!(Tile::of(TileKind::Hashes(7), 0, size).map(|tile| tile.width()), Some(127));
    assert_eq!(Tile::of(TileKind::Hashes(8), 0, size), None);
    assert_eq!(Tile::new(TileKind::Hashes(0), LOG_NUMBER_MAX >> 8, 1).map(|t| t.width()), Some(1));
    assert_eq!(Tile::new(TileKind::Hashes(0), (LOG_NUMBER_MAX >> 8) + 1, 1), None);
    assert_eq!(Tile::new(TileKind::Hashes(0), 0, TILE_WIDTH + 1), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_interrupted_a_log_is_the_tree_of_its_entries(
        steps in prop::collection::vec((0..300_u64, any::<bool>()), 1..12)
    ) {
        let (mut log, mut disk) = (TiledLog::new(), Disk::new());
        let mut checkpoint = log.head();
        for (more, dies) in steps {
            let to = log.head().size + more;
            grown(&mut log, to);
            write(&mut log, &mut disk);
            if dies {
                // tiles were written, the checkpoint was not; it goes on from the one before
                log = TiledLog::recover(checkpoint, reader(&disk)).unwrap();
            } else {
                checkpoint = log.head();
            }
            prop_assert_eq!(log.head().root, tree(log.head().size).root());
        }
    }
}
