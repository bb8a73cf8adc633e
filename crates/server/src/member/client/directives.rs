//! Directives of the line's vendor: taken in as if its people had sent them here. The line's word is not
//! needed for it: a threshold of the vendor's own release keys has signed them, and this line's hosts check
//! that again.
use super::{Member, TurnError};
use crate::api::in_words;
use crate::directives::{self, AcceptError};
use crate::driver::say;
use crate::member::verify::LineDoubt;
use andon_model::Digest;
use andon_model::directive::Directive;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::DIRECTIVE_BYTES_MAX;
use andon_model::stop::Party;
use std::collections::BTreeMap;

/// By name, as the line lists them.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<Digest, Heard>);

/// What became of one.
#[derive(Debug)]
enum Heard {
    /// it stands in our own journal
    Taken,
    /// it is here and not taken yet, for these reasons: a release of it may still be published
    Waits(Box<Envelope>, String),
}

impl Member {
    /// Takes in what the line names and this line has not. One that is not taken does not stop another.
    pub(super) async fn take_directives(&mut self) -> Result<(), TurnError> {
        let listed = self.rounds.as_ref().map(|(rounds, _)| rounds.directives.clone());
        let listed = listed.unwrap_or_default();
        self.directives.0.retain(|name, _| listed.contains(name));
        let (mut first, mut taken) = (Ok(()), false);
        for name in listed {
            if matches!(self.directives.0.get(&name), Some(Heard::Taken)) {
                continue;
            }
            match self.take_directive(name).await {
                Ok(news) => taken |= news,
                Err(why @ TurnError::Store(_)) => return Err(why),
                Err(why) => first = first.and(Err(why)),
            }
        }
        if taken {
            self.app.drive().await;
        }
        first
    }

    /// Whether it was taken just now.
    async fn take_directive(&mut self, name: Digest) -> Result<bool, TurnError> {
        let (envelope, said) = match self.directives.0.remove(&name) {
            Some(Heard::Waits(envelope, said)) => (envelope, said),
            _ => (Box::new(self.directive(name).await?), String::new()),
        };
        let heard = match directives::accept(&self.app, &envelope, self.app.now()).await {
            Ok(_) => Heard::Taken,
            Err(AcceptError::Store(why)) => return Err(why.into()),
            Err(why) => {
                let words = in_words(&why);
                if words != said {
                    say(&format!("directive {name} of {} is not taken: {words}", self.line));
                }
                Heard::Waits(envelope, words)
            }
        };
        let taken = matches!(heard, Heard::Taken);
        self.directives.0.insert(name, heard);
        Ok(taken)
    }

    /// As the line serves it, if it is what was named and a directive of that line's vendor.
    async fn directive(&self, name: Digest) -> Result<Envelope, TurnError> {
        let what = "directive";
        let path = format!("/v1/lines/{}/stops/{name}.json", self.line);
        let bytes = self.http.get(&path, DIRECTIVE_BYTES_MAX).await?;
        let envelope = Envelope::parse_limited(&bytes, DIRECTIVE_BYTES_MAX)?;
        // Its name is of the bytes that we pass on, so it is the same here as there.
        if Digest::of(&envelope.to_bytes()) != name {
            return Err(LineDoubt::Odd(what, "is another than the one that it names").into());
        }
        let said = Directive::parse(&envelope.payload).ok();
        let own = said.is_some_and(|said| said.by == Party::Vendor(self.vendor.clone()));
        if envelope.payload_type != PayloadType::Directive || !own {
            return Err(LineDoubt::Odd(what, "is not its vendor's").into());
        }
        Ok(envelope)
    }
}
