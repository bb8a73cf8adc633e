//! Two checksummed copies at fixed offsets of one preallocated file or partition, and how they are read
//! and overwritten so that a write cut short at any byte leaves the other copy whole.
//!
//! What it is not: it opens nothing. A [`Storage`] does the reading, writing and flushing.
use andon_model::digest::Digest;

/// Bytes of one copy.
pub const COPY_BYTES: usize = 1024;
/// Where the copies lie: on different pages and, on usual disks, in different blocks.
pub const OFFSETS: [u64; 2] = [0, 4096];
/// Length of the preallocated file, or of a record's share of a partition.
pub const FILE_BYTES: usize = 8192;
/// Bytes of a copy before its sum. The first eight are its format, the next eight its sequence number.
pub(crate) const BODY_BYTES: usize = COPY_BYTES - 32;
const SEQUENCE: std::ops::Range<usize> = 8..16;

/// Where one record lies: [`FILE_BYTES`] bytes that nobody else writes.
pub trait Storage {
    /// What can go wrong.
    type Error;
    /// Fills the buffer from this offset.
    /// # Errors
    /// The device's.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error>;
    /// Writes these bytes at this offset; durable only after [`Storage::flush`].
    /// # Errors
    /// The device's; any part of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Returns once everything written is on the device (fdatasync).
    /// # Errors
    /// The device's; nothing is known of what was written.
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// In memory: for tests, and for hosts that are only played.
impl Storage for Vec<u8> {
    type Error = OutOfRange;
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), OutOfRange> {
        into.copy_from_slice(share(self, offset, into.len())?);
        Ok(())
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), OutOfRange> {
        share(self, offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), OutOfRange> {
        Ok(())
    }
}

/// Outside the bytes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {0} is outside the record's place")]
pub struct OutOfRange(pub u64);

fn share(bytes: &mut [u8], offset: u64, length: usize) -> Result<&mut [u8], OutOfRange> {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let share = from.checked_add(length).and_then(|to| bytes.get_mut(from..to));
    share.ok_or(OutOfRange(offset))
}

/// What can be kept in two copies.
pub trait Stored: Sized {
    /// Counts up with every write.
    fn sequence(&self) -> u64;
    /// One copy: fixed layout, little-endian, zero-filled, SHA-256 of the body at its end.
    fn encode(&self) -> Box<[u8; COPY_BYTES]>;
    /// Reads one copy; `None` unless every byte of it is as it was written.
    fn decode(copy: &[u8]) -> Option<Self>;
}

/// Why a record was not read or not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError<E: std::fmt::Debug + std::fmt::Display> {
    /// the device refuses a read
    #[error("read copy at byte {0}: {1}")]
    Read(u64, E),
    /// the device refuses a write
    #[error("write copy at byte {0}: {1}")]
    Write(u64, E),
    /// the device does not say that the write is durable
    #[error("flush copy at byte {0}: {1}")]
    Flush(u64, E),
    /// neither copy is whole
    #[error("neither copy of the record is whole")]
    Unreadable,
}

/// Reads the newest whole copy. A copy that cannot be read at all is an error even when the other one is
/// whole: it may be the newer one, and what was acknowledged is never taken back.
/// # Errors
/// [`StorageError::Read`] and [`StorageError::Unreadable`].
pub fn read<T: Stored, S: Storage>(storage: &mut S) -> Result<T, StorageError<S::Error>>
where
    S::Error: std::fmt::Debug + std::fmt::Display,
{
    let [first, second] = copies(storage)?;
    newest(&first[..], &second[..]).ok_or(StorageError::Unreadable)
}

/// Overwrites the older copy and waits until that is durable.
/// # Errors
/// [`StorageError`]; the copy that was the newest one is untouched, and a write of the same sequence
/// number may be tried again.
pub fn write<S: Storage>(
    storage: &mut S,
    copy: &[u8; COPY_BYTES],
) -> Result<(), StorageError<S::Error>>
where
    S::Error: std::fmt::Debug + std::fmt::Display,
{
    let found = copies(storage)?.map(|copy| sequence(&copy[..]));
    let at = OFFSETS[place(found, number(copy))];
    storage.write_at(at, copy).map_err(|why| StorageError::Write(at, why))?;
    storage.flush().map_err(|why| StorageError::Flush(at, why))
}

/// Which copy is overwritten. One that carries this number or a higher one comes from a write that was
/// never acknowledged: it may be whole in memory and torn on the device, so it is not what to rely on.
fn place(found: [Option<u64>; 2], sequence: u64) -> usize {
    match found {
        [None, _] => 0,
        [_, None] => 1,
        [Some(first), Some(second)] if first >= sequence && first >= second => 0,
        [_, Some(second)] if second >= sequence => 1,
        [Some(first), Some(second)] => usize::from(second < first),
    }
}

/// The newest whole one of two copies.
pub(crate) fn newest<T: Stored>(first: &[u8], second: &[u8]) -> Option<T> {
    match (T::decode(first), T::decode(second)) {
        (Some(a), Some(b)) if a.sequence() >= b.sequence() => Some(a),
        (_, Some(record)) | (Some(record), None) => Some(record),
        (None, None) => None,
    }
}

fn copies<S: Storage>(storage: &mut S) -> Result<[Box<[u8; COPY_BYTES]>; 2], StorageError<S::Error>>
where
    S::Error: std::fmt::Debug + std::fmt::Display,
{
    let mut one = |at: u64| {
        let mut copy = Box::new([0; COPY_BYTES]);
        storage.read_at(at, &mut copy[..]).map_err(|why| StorageError::Read(at, why))?;
        Ok(copy)
    };
    Ok([one(OFFSETS[0])?, one(OFFSETS[1])?])
}

/// The number of a whole copy, of whatever format.
fn sequence(copy: &[u8]) -> Option<u64> {
    body(copy).and_then(|body| body.get(SEQUENCE)?.try_into().ok()).map(u64::from_le_bytes)
}

fn number(copy: &[u8; COPY_BYTES]) -> u64 {
    copy[SEQUENCE].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// What the sum at its end vouches for.
pub(crate) fn body(copy: &[u8]) -> Option<&[u8]> {
    let (body, sum) = copy.split_at_checked(BODY_BYTES)?;
    (Digest::of(body).0 == *sum).then_some(body)
}

pub(crate) struct Writer {
    bytes: Box<[u8; COPY_BYTES]>,
    at: usize,
}

impl Writer {
    pub(crate) fn new(magic: [u8; 8], sequence: u64) -> Writer {
        let mut out = Writer { bytes: Box::new([0; COPY_BYTES]), at: 0 };
        out.put(&magic);
        out.put(&sequence.to_le_bytes());
        out
    }
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
    /// At most 255 bytes, length first.
    pub(crate) fn text(&mut self, text: &str) {
        self.put(&[u8::try_from(text.len()).unwrap_or(0)]);
        self.put(text.as_bytes());
    }
    pub(crate) fn sealed(mut self) -> Box<[u8; COPY_BYTES]> {
        let sum = Digest::of(&self.bytes[..BODY_BYTES]);
        self.bytes[BODY_BYTES..].copy_from_slice(&sum.0);
        self.bytes
    }
}

pub(crate) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) fn new(body: &'b [u8]) -> Reader<'b> {
        Reader { rest: body }
    }
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::from(self.take::<1>()?[0]);
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(head.to_vec()).ok()
    }
}
