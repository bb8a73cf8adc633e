//! The checklist of a key ceremony, to be printed: who is there, on which machine, what is typed, and blanks for what comes of it. It follows
//! the public ceremonies (ICANN's for the DNS root, Sigstore's and TUF's root signings) in their order: prepare, admit, check the machine, make,
//! sign, verify, store, drill, attest. It knows names only, and touches no key.
use crate::ops::office::Office;
use andon_model::Time;
use std::fmt::Write as _;

/// Widest line: A4 in a monospaced face of 10 points, with margins to write on.
pub(crate) const COLUMNS_MAX: usize = 80;
/// Room for names in tables.
const NAME_COLUMNS: usize = 27;
/// Most key holders: each of them has a line of the list and steps of their own.
pub(crate) const HOLDERS_MAX: usize = 16;
/// What a command begins with on the sheet.
pub(crate) const PROMPT: &str = "$ ";

/// What the ceremony is about.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    /// of the keys
    pub(crate) office: Office,
    /// whose line, in words
    pub(crate) line: String,
    /// the folder of `andon init` on the ceremony's machine
    pub(crate) folder: String,
    /// how it is laid out, if the ceremony begins with that
    pub(crate) init: Option<String>,
    /// the keys, by name
    pub(crate) keys: Vec<String>,
    /// how many of them must sign
    pub(crate) threshold: usize,
    /// other keys without which none of them can be replaced
    pub(crate) also: Vec<String>,
    /// what is signed: files below the folder
    pub(crate) results: Vec<&'static str>,
    /// when the sheet was made
    pub(crate) now: Time,
}

impl Sheet {
    /// The checklist.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let parts: [fn(&Sheet, &mut String); 9] = [
            Sheet::head,
            Sheet::prepare,
            Sheet::people,
            Sheet::machine,
            Sheet::make,
            Sheet::verify,
            Sheet::store,
            Sheet::drill,
            Sheet::end,
        ];
        for part in parts {
            part(self, &mut out);
        }
        out
    }

    fn head(&self, out: &mut String) {
        let title = format!("KEY CEREMONY: {}", self.office_words());
        put(out, &format!("{title}\n{}", "=".repeat(title.chars().count())));
        let (day, count) = (self.now.to_string(), self.keys.len());
        put(out, &format!("Line       {}", self.line));
        put(out, &format!("Keys       {} of {count} sign", self.threshold));
        put(out, &format!("Sheet      andon {}, made {day}", env!("CARGO_PKG_VERSION")));
        put(out, "Place      ______________________________   Date ____________________");
        put(
            out,
            "\nEach step is read aloud, done, and ticked by the witness before the next one\n\
             begins. Who sees something unexpected says stop; what was seen is written on\n\
             the last page, and the leader decides before all whether to go on.",
        );
    }

    fn prepare(&self, out: &mut String) {
        heading(out, "1. Before the day");
        let media = self.keys.len() * 2;
        tick(
            out,
            &format!("{media} new media (two for each key), numbered, and as many bags with seals"),
        );
        tick(out, "two places to keep them, in different buildings, with different doors");
        tick(out, "a computer without network, and a spare one; a boot medium, its digest known");
        tick(out, "andon on that medium, its digest published by somebody who is not the leader");
        tick(out, "this sheet for everybody; a camera on table and screen, not on the keyboard");
        let folder = match self.office {
            _ if self.init.is_some() => "a place on the machine for the new line's folder",
            Office::OperatorRoot | Office::PlatformCord => "a copy of the line's folder",
            _ => {
                "a copy of the line's folder, with the server's TUF files and its keys of snapshot and timestamp; andond stands still until what is signed is back"
            }
        };
        tick(out, folder);
        if self.threshold == self.keys.len() && self.keys.len() > 1 {
            put(
                out,
                "    WARNING: all keys must sign. One that is lost takes the others with it:\n    \
                 choose a smaller threshold.",
            );
        }
    }

    fn people(&self, out: &mut String) {
        heading(out, "2. Who is here");
        put(out, "    Nobody holds two of these offices. An identity document was seen of each.\n");
        put(out, "    office                     name                arrived   signature");
        let holders = self.keys.iter().map(|key| format!("holds {key}"));
        for office in ["leader", "witness", "recorder"].map(String::from).into_iter().chain(holders)
        {
            row(out, &office, "__________________  _______   ___________");
        }
    }

    fn machine(&self, out: &mut String) {
        heading(out, "3. The machine");
        tick(
            out,
            "no cable, no radio: the witness has looked at every port and at the list of links",
        );
        command(out, "ip link");
        tick(out, "started from the boot medium; its clock agrees with two watches");
        command(out, "date -u");
        blank(out, "by the watches");
        tick(out, "the program is the one that was published");
        command(out, "sha256sum \"$(command -v andon)\"");
        blank(out, "digest");
        command(out, "andon --version");
        tick(out, "nobody can read over the shoulder of who types a passphrase, camera included");
    }

    fn make(&self, out: &mut String) {
        heading(out, "4. Keys and signatures");
        if let Some(init) = &self.init {
            tick(
                out,
                "the line is laid out, under a passphrase that lasts until the end of this page",
            );
            command(out, init);
        }
        put(
            out,
            "    For each key: its holder sits down alone at the keyboard, types a passphrase\n    \
             of at least 15 characters that nobody else knows, twice, reads the new key's\n    \
             id aloud, and the witness writes it down. Who signs types their own.\n",
        );
        for (at, key) in self.keys.iter().enumerate() {
            tick(out, &format!("{key}: a new key, and what names it is signed"));
            let mut line = format!("andon --dir {} keys rotate {key}", self.folder);
            for signer in self.signers(at) {
                line.push_str(&format!(" --key {signer}"));
            }
            command(out, &line);
            blank(out, "key id");
        }
    }

    /// Who signs when the key at `at` is replaced: others than it, as long as there are enough.
    fn signers(&self, at: usize) -> Vec<&str> {
        let others = self.keys.iter().enumerate().filter(|(other, _)| *other != at);
        let own = [(at, &self.keys[at])];
        let of_role = match self.office {
            Office::OperatorRoot | Office::PlatformRoot | Office::Vendor => {
                others.chain(own).take(self.threshold).map(|(_, key)| key.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let also = self.also.iter().map(String::as_str);
        also.chain(of_role).collect()
    }

    fn verify(&self, out: &mut String) {
        heading(out, "5. What came of it");
        tick(out, "the tree names the new keys, and no other: ids compared with page one aloud");
        command(out, &format!("andon --dir {} trust show", self.folder));
        tick(out, "every key of people is encrypted, none can be read by others");
        command(out, &format!("andon --dir {} keys list", self.folder));
        for result in &self.results {
            tick(out, &format!("{result}: version and digest"));
            command(out, &format!("sha256sum {}/{result}", self.folder));
            blank(out, "digest");
        }
    }

    fn store(&self, out: &mut String) {
        heading(out, "6. Where it is kept");
        tick(
            out,
            "each key file (NAME.age and NAME.pub) is copied to its two media, read back, compared, and both are sealed in bags; the key leaves the machine",
        );
        put(
            out,
            "\n    key                        medium seal number    place          holder signs",
        );
        for key in &self.keys {
            for copy in ["1", "2"] {
                row(out, key, &format!("{copy}     ____________   ____________   ___________"));
            }
        }
        put(out, "");
        tick(out, "the passphrase is written down once, by its holder, and kept in neither place");
        tick(out, "old keys are destroyed, once every host has what was signed; until then sealed");
        command(out, &format!("find {} -name '*.retired-*'", self.folder));
        tick(out, "the signed files, and nothing else, go to the server on a medium of their own");
    }

    fn drill(&self, out: &mut String) {
        heading(out, "7. The way back, tried before anybody leaves");
        tick(
            out,
            "each holder opens the second copy, with their own passphrase, by another program",
        );
        command(out, "age -d -o /dev/null NAME.age");
        if self.office == Office::OperatorRoot && self.threshold < self.keys.len() {
            tick(
                out,
                "one holder, drawn by lot, stands back: the others sign a policy without them",
            );
            let signers = self.keys.iter().take(self.threshold);
            let words: String = signers.map(|key| format!(" --key {key}")).collect();
            command(out, &format!("andon --dir {} policy sign{words}", self.folder));
        }
        tick(out, "everybody has read docs/operate/key-loss.md, and knows whom to call");
        blank(out, "next ceremony, before what was signed expires");
    }

    #[expect(clippy::unused_self, reason = "one of the sheet's parts, like the others")]
    fn end(&self, out: &mut String) {
        heading(out, "8. Attested");
        put(out, "    What was unexpected, and what was decided:\n");
        for _ in 0..4 {
            put(out, &format!("    {}\n", "_".repeat(70)));
        }
        put(
            out,
            "    We have seen all that is ticked above, and nothing that is not written here.\n",
        );
        for office in ["leader", "witness", "recorder"] {
            put(
                out,
                &format!("    {office:<10} ______________________________   time ____________\n"),
            );
        }
        tick(out, "machine switched off, boot medium sealed; copies of this sheet to all holders");
    }

    fn office_words(&self) -> &'static str {
        match self.office {
            Office::OperatorRoot => "the operator's root",
            Office::PlatformRoot => "the platform's root",
            Office::PlatformTargets => "the platform's delegations",
            Office::PlatformCord => "the platform's cord",
            Office::Vendor => "a vendor's role",
            _ => "people's daily keys",
        }
    }
}

fn put(out: &mut String, text: &str) {
    let _never_fails = writeln!(out, "{text}");
}

fn heading(out: &mut String, text: &str) {
    put(out, &format!("\n{text}\n{}", "-".repeat(text.chars().count())));
}

/// A box to tick, and what for, wrapped.
fn tick(out: &mut String, text: &str) {
    let mut line = "[ ]".to_owned();
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS_MAX {
            put(out, &line);
            line = "   ".to_owned();
        }
        line = format!("{line} {word}");
    }
    put(out, &line);
}

/// A command as it is typed; a long one goes on in the next line.
fn command(out: &mut String, text: &str) {
    let mut line = format!("      {PROMPT}");
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 && line.chars().count() + word.chars().count() + 3 > COLUMNS_MAX {
            put(out, &format!("{line} \\"));
            line = format!("        {word}");
        } else {
            let gap = if at == 0 { "" } else { " " };
            line = format!("{line}{gap}{word}");
        }
    }
    put(out, &line);
}

/// A row of a table, below a name that is too long to stand beside it.
fn row(out: &mut String, name: &str, rest: &str) {
    if name.chars().count() < NAME_COLUMNS {
        put(out, &format!("    {name:<NAME_COLUMNS$}{rest}"));
    } else {
        put(out, &format!("    {name}\n    {:<NAME_COLUMNS$}{rest}", ""));
    }
}

fn blank(out: &mut String, what: &str) {
    let room = (COLUMNS_MAX - 10).saturating_sub(what.chars().count());
    put(out, &format!("      {what}: {}", "_".repeat(room)));
}
