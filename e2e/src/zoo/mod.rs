//! A zoo of TUF repositories: made here key by key, spoiled on request, served over loopback, and read
//! by the real `andon tuf-client`.
//!
//! What it is not: our own repository's writer, which refuses to write most of what is kept here.
mod client;
mod served;

pub use client::{Client, Ran};
pub use served::{Page, Served};

use andon_model::Digest;
use andon_model::digest::to_hex;
use andon_trust::client::metadata_name;
use andon_trust::sign::SigningKey;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A date that no test lives to see.
pub const FAR: &str = "2199-01-01T00:00:00Z";
/// A date that every test has behind it.
pub const PAST: &str = "2020-01-01T00:00:00Z";

/// A key as one metadata file names it: the id is the writer's choice, and so are further fields.
#[derive(Clone, Debug)]
pub struct Signer {
    /// its id
    pub id: String,
    /// its object
    pub entry: Value,
    key: SigningKey,
}

impl Signer {
    /// The `n`th key, under an id of its own.
    #[must_use]
    pub fn new(n: u8) -> Signer {
        let key = SigningKey::from_seed([n; 32]);
        let entry = json!({
            "keytype": "ed25519", "scheme": "ed25519",
            "keyval": {"public": key.public().to_string()},
        });
        Signer { id: format!("{n:064x}"), entry, key }
    }

    /// The same physical key under another id.
    #[must_use]
    pub fn alias(&self, id: &str) -> Signer {
        Signer { id: id.to_owned(), ..self.clone() }
    }

    /// The same physical key with one more field; its id is the digest of the whole object.
    #[must_use]
    pub fn with_field(&self, name: &str, value: &str) -> Signer {
        let mut other = self.clone();
        other.entry[name] = json!(value);
        other.id = Digest::of(other.entry.to_string().as_bytes()).to_string();
        other
    }
}

/// One role: what it says, and who signs it.
#[derive(Clone, Debug)]
struct Role {
    signed: Value,
    signers: Vec<Signer>,
}

/// A repository of the zoo.
#[derive(Debug)]
pub struct Zoo {
    roles: BTreeMap<String, Role>,
    /// where it is served
    pub served: Served,
}

impl Zoo {
    /// Four sound top-level roles with one key each (1 root, 2 timestamp, 3 snapshot, 4 targets),
    /// published.
    /// # Errors
    /// When nothing can be served on loopback.
    pub fn new() -> anyhow::Result<Zoo> {
        let mut roles = BTreeMap::new();
        let names = ["root", "timestamp", "snapshot", "targets"];
        for (name, n) in names.into_iter().zip(1..) {
            let mut signed = json!({
                "_type": name, "spec_version": "1.0.31", "version": 1, "expires": FAR,
            });
            let part = match name {
                "root" => json!({"consistent_snapshot": true, "keys": {}, "roles": {}}),
                "targets" => json!({"targets": {}, "delegations": {"keys": {}, "roles": []}}),
                _ => json!({"meta": {}}),
            };
            for (key, value) in part.as_object().into_iter().flatten() {
                signed[key.as_str()] = value.clone();
            }
            roles.insert(name.to_owned(), Role { signed, signers: vec![Signer::new(n)] });
        }
        let mut zoo = Zoo { roles, served: Served::start()? };
        for (name, n) in names.into_iter().zip(1..) {
            zoo.set_keys(name, &[Signer::new(n)], 1);
        }
        zoo.publish_root(&[]);
        zoo.publish();
        Ok(zoo)
    }

    /// A published repository of ten vendors with ten products of ten files of 10 KB each, and the
    /// files' names.
    /// # Errors
    /// As [`Zoo::new`].
    pub fn thousand() -> anyhow::Result<(Zoo, Vec<String>)> {
        let mut zoo = Zoo::new()?;
        let mut names = Vec::new();
        for vendor in 0..10_u8 {
            let above = format!("v{vendor}");
            zoo.delegate("targets", &above, &[&format!("{above}/*/*")], &[Signer::new(20)], 1);
            for product in 0..10_u8 {
                let (role, folder) =
                    (format!("v{vendor}-p{product}"), format!("{above}/p{product}"));
                zoo.delegate(&above, &role, &[&format!("{folder}/*")], &[Signer::new(21)], 1);
                for file in 0..10_u8 {
                    let name = format!("{folder}/f{file}");
                    zoo.add_file(&role, &name, &[vendor, product, file].repeat(3413));
                    names.push(name);
                }
            }
        }
        zoo.bump("targets");
        zoo.publish();
        Ok((zoo, names))
    }

    /// What a role says; null when there is no such role.
    pub fn signed(&mut self, role: &str) -> &mut Value {
        &mut self.role(role).signed
    }

    /// Who signs a role from now on, whatever its delegator says.
    pub fn signers(&mut self, role: &str, signers: &[Signer]) {
        self.role(role).signers = signers.to_vec();
    }

    fn role(&mut self, name: &str) -> &mut Role {
        let empty = || Role { signed: Value::Null, signers: vec![] };
        self.roles.entry(name.to_owned()).or_insert_with(empty)
    }

    /// Keys and threshold of a top-level role, in the root that [`Zoo::publish_root`] publishes next.
    pub fn set_keys(&mut self, role: &str, keys: &[Signer], threshold: u32) {
        self.signers(role, keys);
        let root = self.signed("root");
        for key in keys {
            root["keys"][&key.id] = key.entry.clone();
        }
        let ids: Vec<&String> = keys.iter().map(|key| &key.id).collect();
        root["roles"][role] = json!({"keyids": ids, "threshold": threshold});
    }

    /// Serves the root as its version says, signed by its own keys and by these (the former ones).
    pub fn publish_root(&mut self, before: &[Signer]) {
        let root = self.role("root").clone();
        let signers: Vec<Signer> = root.signers.iter().chain(before).cloned().collect();
        let version = root.signed["version"].as_u64();
        let bytes = sign(&root.signed, &signers);
        self.served.put(&format!("metadata/{}", metadata_name("root", version)), bytes);
    }

    /// The root as it is now, to begin with.
    #[must_use]
    pub fn root_bytes(&self) -> Vec<u8> {
        self.roles.get("root").map(|root| sign(&root.signed, &root.signers)).unwrap_or_default()
    }

    /// Delegates these paths to a role that is made if it is not there.
    pub fn delegate(
        &mut self,
        delegator: &str,
        role: &str,
        paths: &[&str],
        keys: &[Signer],
        threshold: u32,
    ) {
        let delegations = &mut self.signed(delegator)["delegations"];
        for key in keys {
            delegations["keys"][&key.id] = key.entry.clone();
        }
        let ids: Vec<&String> = keys.iter().map(|key| &key.id).collect();
        let entry = json!({
            "name": role, "keyids": ids, "threshold": threshold, "terminating": false, "paths": paths,
        });
        if let Some(roles) = delegations["roles"].as_array_mut() {
            roles.push(entry);
        }
        if self.signed(role).is_null() {
            *self.signed(role) = json!({
                "_type": "targets", "spec_version": "1.0.31", "version": 1, "expires": FAR,
                "targets": {}, "delegations": {"keys": {}, "roles": []},
            });
            self.signers(role, keys);
        }
    }

    /// Lists a file under a role and serves it.
    pub fn add_file(&mut self, role: &str, path: &str, bytes: &[u8]) {
        let digest = Digest::of(bytes).to_string();
        self.signed(role)["targets"][path] =
            json!({"length": bytes.len(), "hashes": {"sha256": digest}});
        self.put_file(path, &digest, bytes);
    }

    /// Serves a file under the name that a client makes of its path and digest.
    pub fn put_file(&self, path: &str, digest: &str, bytes: &[u8]) {
        let name = match path.rsplit_once('/') {
            Some((folder, name)) => format!("{folder}/{digest}.{name}"),
            None => format!("{digest}.{path}"),
        };
        self.served.put(&format!("files/{name}"), bytes.to_vec());
    }

    /// One version up.
    pub fn bump(&mut self, role: &str) {
        let signed = self.signed(role);
        signed["version"] = json!(signed["version"].as_u64().unwrap_or(0) + 1);
    }

    /// Signs and serves every role below the root, with a new snapshot and timestamp.
    pub fn publish(&mut self) {
        let mut meta = Map::new();
        let names: Vec<String> = self.roles.keys().cloned().collect();
        for name in &names {
            if !["root", "timestamp", "snapshot"].contains(&name.as_str()) {
                meta.insert(format!("{name}.json"), self.serve(name));
            }
        }
        self.signed("snapshot")["meta"] = Value::Object(meta);
        self.publish_snapshot();
    }

    /// Signs and serves snapshot and timestamp, one version up, with the pins as they stand.
    pub fn publish_snapshot(&mut self) {
        self.bump("snapshot");
        let pin = self.serve("snapshot");
        self.signed("timestamp")["meta"] = json!({"snapshot.json": pin});
        self.bump("timestamp");
        self.serve("timestamp");
    }

    /// Signs and serves one role as it is; returns the pin that fits it.
    pub fn serve(&mut self, name: &str) -> Value {
        let role = self.role(name).clone();
        let version = role.signed["version"].as_u64();
        let bytes = sign(&role.signed, &role.signers);
        let digest = Digest::of(&bytes).to_string();
        let pin = json!({
            "version": version, "length": bytes.len(), "hashes": {"sha256": digest},
        });
        let file = metadata_name(name, version.filter(|_| name != "timestamp"));
        self.served.put(&format!("metadata/{file}"), bytes);
        pin
    }
}

/// Signed metadata. Names and texts of the zoo have no control characters, so that the sorted compact
/// form is the canonical one.
fn sign(signed: &Value, signers: &[Signer]) -> Vec<u8> {
    let message = signed.to_string();
    let signatures = signers.iter().map(|signer| {
        let sig = to_hex(&signer.key.sign(message.as_bytes()).0);
        json!({"keyid": signer.id, "sig": sig})
    });
    let signatures: Vec<Value> = signatures.collect();
    json!({"signatures": signatures, "signed": signed}).to_string().into_bytes()
}
