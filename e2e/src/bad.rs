//! Ways to spoil a signed message: one table for every endpoint that takes one.
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_trust::sign::SigningKey;
use serde_json::{Value, json};

/// One spoiled message and the statuses that may answer it.
#[derive(Clone, Debug)]
pub struct Spoiled {
    /// how it was spoiled
    pub how: &'static str,
    /// what is sent
    pub body: Vec<u8>,
    /// HTTP statuses that say so clearly
    pub statuses: &'static [u16],
}

const MALFORMED: &[u16] = &[400];
const UNSIGNED: &[u16] = &[401];

/// A good message, taken apart so that it can be put together wrongly.
#[derive(Clone, Debug)]
pub struct Good {
    /// its type
    pub kind: PayloadType,
    /// its payload
    pub payload: Value,
    /// all keys that sign it
    pub keys: Vec<SigningKey>,
}

impl Good {
    /// As it should be sent.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        self.sealed(self.kind, &self.payload)
    }

    fn sealed(&self, kind: PayloadType, payload: &Value) -> Envelope {
        let bytes = serde_json::to_vec(payload).unwrap_or_default();
        let mut envelope = Envelope { payload_type: kind, payload: bytes, signatures: vec![] };
        self.keys.iter().for_each(|key| key.add(&mut envelope));
        envelope
    }

    /// With one field of the payload changed, and signed as it should be.
    #[must_use]
    pub fn with(&self, field: &str, value: Value) -> Vec<u8> {
        let mut payload = self.payload.clone();
        payload[field] = value;
        self.sealed(self.kind, &payload).to_bytes()
    }

    /// Every way to spoil any signed message.
    #[must_use]
    pub fn spoiled(&self) -> Vec<Spoiled> {
        let good = self.envelope();
        let bytes = good.to_bytes();
        let mut table = Vec::new();
        let mut row = |how, body: Vec<u8>, statuses| table.push(Spoiled { how, body, statuses });
        row("empty", vec![], MALFORMED);
        row("no JSON", b"\xff\x00{".to_vec(), MALFORMED);
        row("truncated", bytes[..bytes.len() / 2].to_vec(), MALFORMED);
        let mut long = bytes.clone();
        long.resize(ENVELOPE_BYTES_MAX + 1, b' ');
        row("oversized", long, &[413]);
        let mut unknown = serde_json::to_value(&good).unwrap_or_default();
        unknown["surprise"] = json!(1);
        row("unknown field outside", unknown.to_string().into_bytes(), MALFORMED);
        row("unknown field inside", self.with("surprise", json!(1)), MALFORMED);
        row("schema of another time", self.with("schema", json!(2)), MALFORMED);
        let bare = Envelope { signatures: vec![], ..good.clone() };
        row("no signature", bare.to_bytes(), &[400, 401]);
        let mut forged = good.clone();
        for signature in &mut forged.signatures {
            signature.sig.0[7] ^= 1;
        }
        row("a signature with one bit flipped", forged.to_bytes(), UNSIGNED);
        let mut altered = good.clone();
        altered.payload.push(b' ');
        row("payload altered after signing", altered.to_bytes(), UNSIGNED);
        let stranger = Good { keys: vec![crate::host::key(u64::MAX)], ..self.clone() };
        row("a stranger's signature", stranger.envelope().to_bytes(), UNSIGNED);
        let mut claimed = stranger.envelope();
        for (signature, own) in claimed.signatures.iter_mut().zip(&good.signatures) {
            signature.keyid = own.keyid;
        }
        row("a stranger's signature under the right name", claimed.to_bytes(), UNSIGNED);
        let other =
            if self.kind == PayloadType::Beat { PayloadType::Enrol } else { PayloadType::Beat };
        let other = self.sealed(other, &self.payload).to_bytes();
        row("signed as something else", other, &[400, 401]);
        table
    }
}
