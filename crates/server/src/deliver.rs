//! The static plane: signed files with ETag and 304, small ones from memory, objects from disk.
//! It knows no meaning: what is on the shelf was put there by [`crate::driver`] and
//! [`crate::publish`] after it was verified.
use crate::durable;
use andon_model::Digest;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

/// How long others may keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// its name is a digest or carries a version: it never changes
    Immutable,
    /// ask again every time; 304 is cheap
    Revalidate,
}

/// One file in memory.
#[derive(Clone, Debug)]
pub struct Item {
    /// its bytes
    pub bytes: Bytes,
    /// their digest
    pub digest: Digest,
    /// how long others may keep it
    pub cache: Cache,
}

/// The files in memory, by path below `/v1/`, mirrored to disk so that any web server can serve them.
#[derive(Debug)]
pub struct Shelf {
    items: RwLock<HashMap<String, Item>>,
    folder: PathBuf,
}

impl Shelf {
    /// An empty shelf over a folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Shelf {
        Shelf { items: RwLock::default(), folder }
    }

    /// Puts a file there: on disk first, whole or not at all, then in memory.
    /// # Errors
    /// When the disk refuses; the shelf is unchanged.
    pub fn put(&self, path: &str, bytes: Vec<u8>, cache: Cache) -> io::Result<Digest> {
        durable::write(&self.folder.join(path), &bytes)?;
        Ok(self.show(path, bytes, cache))
    }

    /// Puts a file there that lies on disk elsewhere.
    pub fn show(&self, path: &str, bytes: Vec<u8>, cache: Cache) -> Digest {
        let digest = Digest::of(&bytes);
        let item = Item { bytes: bytes.into(), digest, cache };
        let mut items = self.items.write().unwrap_or_else(PoisonError::into_inner);
        items.insert(path.to_owned(), item);
        digest
    }

    /// Takes a file away.
    pub fn remove(&self, path: &str) {
        let mut items = self.items.write().unwrap_or_else(PoisonError::into_inner);
        items.remove(path);
        drop(items);
        // What is left on disk is unlisted and expires; failing to delete it harms nobody.
        let _ = std::fs::remove_file(self.folder.join(path));
    }

    /// Takes away every file whose path begins with this folder's, which ends with a slash.
    pub fn remove_below(&self, folder: &str) {
        let mut items = self.items.write().unwrap_or_else(PoisonError::into_inner);
        items.retain(|path, _| !path.starts_with(folder));
        drop(items);
        // As above.
        let _ = std::fs::remove_dir_all(self.folder.join(folder));
    }

    /// A file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Item> {
        let items = self.items.read().unwrap_or_else(PoisonError::into_inner);
        items.get(path).cloned()
    }
}

/// The answer for these bytes; 304 without a body if the caller has them.
#[must_use]
pub fn answer(item: Item, asked: &HeaderMap) -> Response {
    if let Some(not_modified) = not_modified(item.digest, item.cache, asked) {
        return not_modified;
    }
    let mut response = (StatusCode::OK, Body::from(item.bytes)).into_response();
    describe(response.headers_mut(), item.digest, item.cache);
    response
}

/// 304, if the caller has this digest already.
#[must_use]
pub fn not_modified(digest: Digest, cache: Cache, asked: &HeaderMap) -> Option<Response> {
    let tags = asked.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    let tag = etag(digest);
    let known = tags.split(',').map(str::trim).any(|t| t == tag || t == "*");
    known.then(|| {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), digest, cache);
        response
    })
}

/// Adds ETag, caching and type.
pub fn describe(headers: &mut HeaderMap, digest: Digest, cache: Cache) {
    let cache = match cache {
        Cache::Immutable => "public, max-age=31536000, immutable",
        Cache::Revalidate => "no-cache",
    };
    if let Ok(tag) = HeaderValue::from_str(&etag(digest)) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    let plain = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, plain);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn etag(digest: Digest) -> String {
    format!("\"{digest}\"")
}
