//! What a command works with: a folder of `andon init`, or a server address and key files.
use crate::args::Global;
use crate::client::{Client, ClientError};
use crate::exit::Failure;
use crate::files;
use crate::keys::{self, HeldKey, KeyError, Passphrase, Passphrases};
use crate::layout::Layout;
use crate::ops::rollout::Signer;
use crate::output::Form;
use andon_model::enrol::Anchor;
use andon_model::limits::TUF_BYTES_MAX;
use andon_model::{LineId, PersonId};
use serde::Deserialize;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long a server on this machine may take to answer.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// Where to ask, whose line, which form of answer.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    global: Global,
    layout: Option<Layout>,
}

/// What we read of `andond.toml`.
#[derive(Deserialize)]
struct ServerConfig {
    listen: String,
}

impl Context {
    /// From the options; nothing is read yet.
    pub(crate) fn new(global: Global) -> Context {
        let layout = global.dir.as_deref().map(Layout::new);
        Context { global, layout }
    }

    /// Text or JSON.
    pub(crate) fn form(&self) -> Form {
        Form::of(self.global.json)
    }

    /// The folder, if one was named.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// The folder, for commands that need one.
    pub(crate) fn folder(&self) -> Result<&Layout, Failure> {
        let missing = || {
            Failure::usage("this command needs the folder of andon init")
                .next("give --dir DIR or set ANDON_DIR")
        };
        self.layout().ok_or_else(missing)
    }

    /// Whether something listens where the folder's server would.
    pub(crate) fn server_answers(&self) -> bool {
        let Some(layout) = self.layout() else { return false };
        let bytes = files::read(&layout.server_config(), 64 * 1024).ok();
        let config: Option<ServerConfig> = bytes.and_then(|it| toml::from_slice(&it).ok());
        let address: Option<SocketAddr> = config.and_then(|it| it.listen.parse().ok());
        address.is_some_and(|it| TcpStream::connect_timeout(&it, ANSWER_WAIT).is_ok())
    }

    /// The server.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if let Some(server) = &self.global.server {
            return Ok(Client::new(server)?);
        }
        let Some(layout) = self.layout() else {
            return Err(Failure::usage("no server is named")
                .next("give --dir DIR (made by andon init) or --server URL"));
        };
        let bytes = files::read(&layout.server_config(), 64 * 1024)?;
        let config: ServerConfig = toml::from_slice(&bytes)
            .map_err(|e| anyhow::Error::new(e).context(read_error(&layout.server_config())))?;
        if config.listen.ends_with(":0") {
            return Err(Failure::from(ClientError::Address(config.listen)));
        }
        Ok(Client::new(&config.listen)?)
    }

    /// Whether an anchor file was named.
    pub(crate) fn has_anchor(&self) -> bool {
        self.global.anchor.is_some()
    }

    /// The anchor of another folder than the one that was named.
    pub(crate) fn anchor_of(&self, layout: &Layout) -> Result<Anchor, Failure> {
        let anchor = None;
        Context { global: Global { anchor, ..self.global.clone() }, layout: Some(layout.clone()) }
            .anchor()
    }

    /// The anchor.
    pub(crate) fn anchor(&self) -> Result<Anchor, Failure> {
        let path = match (&self.global.anchor, self.layout()) {
            (Some(path), _) => path.clone(),
            (None, Some(layout)) => layout.anchor(),
            (None, None) => {
                return Err(Failure::usage("the anchor is needed to trust what the server says")
                    .next("give --dir DIR or --anchor FILE"));
            }
        };
        let bytes = files::read(&path, TUF_BYTES_MAX as u64)?;
        let anchor = serde_json::from_slice(&bytes);
        Ok(anchor.map_err(|e| anyhow::Error::new(e).context(read_error(&path)))?)
    }

    /// The line.
    pub(crate) fn line(&self) -> Result<LineId, Failure> {
        match &self.global.line {
            Some(line) => Ok(line.clone()),
            None => match (&self.global.anchor, self.layout()) {
                (None, None) => Err(Failure::usage("no line is named")
                    .next("give --dir DIR, --anchor FILE or --line operator:NAME")),
                _ => Ok(self.anchor()?.line),
            },
        }
    }

    /// What opens encrypted key files.
    pub(crate) fn passphrases(&self) -> Passphrases {
        Passphrases::new(&self.global.passphrase_file)
    }

    /// A passphrase for new keys.
    pub(crate) fn new_passphrase(&self, what: &str) -> Result<Passphrase, Failure> {
        let passphrase = self.passphrases().for_new(what);
        let passphrase = passphrase.map_err(|why| KeyError::NewPassphrase(Box::new(why)));
        passphrase.map_err(|e| Failure::from(e).next(FOR_SCRIPTS))
    }

    /// A key by file or name.
    pub(crate) fn key(&self, word: &str) -> Result<HeldKey, Failure> {
        keys::find(word, self.layout(), &self.passphrases()).map_err(|error| {
            let advice = match (&error, self.layout()) {
                (KeyError::Passphrase { .. }, _) => FOR_SCRIPTS,
                (KeyError::Sealed { .. }, _) => "the key file was not changed; try again",
                (_, Some(_)) => "andon keys list lists the names",
                (_, None) => "give a key file, or --dir DIR and a name",
            };
            Failure::from(error).next(advice)
        })
    }

    /// A person's key of the operator's root by file or name: `alice`, too, is the offline one here.
    pub(crate) fn root_key(&self, word: &str) -> Result<HeldKey, Failure> {
        let offline = format!("operator-root/{word}");
        let word = match keys::locate(&offline, self.layout()) {
            Some(_) => offline.as_str(),
            None => word,
        };
        self.key(word)
    }

    /// Several keys.
    pub(crate) fn keys(&self, words: &[String]) -> Result<Vec<HeldKey>, Failure> {
        words.iter().map(|word| self.key(word)).collect()
    }

    /// A person who signs commands.
    pub(crate) fn signer(&self, word: &str) -> Result<Signer, Failure> {
        let held = self.key(word)?;
        let person = PersonId::new(&held.name)
            .map_err(|e| anyhow::Error::new(e).context("use key as a person's"))?;
        Ok(Signer { person, line: self.line()?, key: held.key })
    }
}

/// What to do where nobody can type.
const FOR_SCRIPTS: &str =
    "type it at a terminal, or give --passphrase-file FILE (or ANDON_PASSPHRASE_FILE), mode 0600";

fn read_error(path: &Path) -> String {
    format!("read {}", path.display())
}
