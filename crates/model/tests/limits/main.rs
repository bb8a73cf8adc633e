//! Every limit of `limits.rs`: what is at it is read, what is one over it is refused in words that say so.
//! A new limit without a row here, or a place where it is tested, fails a test.
mod named;
mod objects;
mod policies;

use serde_json::Value;

/// One limit of one reader.
pub(crate) struct Case {
    pub(crate) limit: &'static str,
    max: u64,
    /// reads something of this size
    read: Box<dyn Fn(u64) -> Result<(), String>>,
    /// what the refusal says
    says: &'static str,
}

/// A limit, by its name and value.
macro_rules! limit {
    ($limit:ident) => {
        (stringify!($limit), $limit as u64)
    };
}
pub(crate) use limit;

pub(crate) fn case(
    (limit, max): (&'static str, u64),
    says: &'static str,
    read: impl Fn(u64) -> Result<(), String> + 'static,
) -> Case {
    Case { limit, max, read: Box::new(read), says }
}

/// A good object, as our own signing code made it.
pub(crate) fn sample(target: &str, at: u32) -> Value {
    serde_json::from_slice(&sample_bytes(target, at)).expect("a seed is JSON")
}

#[expect(clippy::disallowed_methods, reason = "a test reads its samples")]
pub(crate) fn sample_bytes(target: &str, at: u32) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    let path = format!("{folder}/{target}/seed-{at}");
    std::fs::read(&path).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Puts a value where this path (`/a/b`) leads, with what is missing on the way.
pub(crate) fn put(mut object: Value, path: &str, value: Value) -> Value {
    let mut at = &mut object;
    for word in path.split('/').skip(1) {
        at = match word.parse::<usize>() {
            Ok(number) => &mut at[number],
            Err(_) => &mut at[word],
        };
    }
    *at = value;
    object
}

/// So many of these in a list.
pub(crate) fn many(count: u64, one: impl Fn(u64) -> Value) -> Value {
    (0..count).map(one).collect()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

pub(crate) fn padded(mut bytes: Vec<u8>, length: u64) -> Vec<u8> {
    bytes.resize(usize::try_from(length).expect("a length"), b' ');
    bytes
}

/// Whether it was read, else all that the error says.
pub(crate) fn said<T, E: std::error::Error>(read: Result<T, E>) -> Result<(), String> {
    let Err(why) = read else { return Ok(()) };
    let mut words = why.to_string();
    let mut below = why.source();
    while let Some(cause) = below {
        words += &format!(": {cause}");
        below = cause.source();
    }
    Err(words)
}

/// Mutants: limit-of-steps-off, limit-of-bytes-off.
#[test]
fn every_limit_holds_at_the_limit_and_not_one_beyond() {
    for Case { limit, max, read, says } in objects::cases().into_iter().chain(policies::cases()) {
        if let Err(why) = read(max) {
            panic!("{limit}: at {max} refused: {why}");
        }
        let Err(why) = read(max + 1) else { panic!("{limit}: {} accepted", max + 1) };
        assert!(why.contains(says), "{limit}: {why:?} does not say {says:?}");
    }
}
