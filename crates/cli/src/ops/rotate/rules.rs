//! The operator's side of a rotation: anchor and policy.
use super::{Need, RotateError, Sheet};
use crate::files::{self, Access};
use crate::ops::policy;
use crate::policy_form::PolicyForm;
use andon_model::Time;
use andon_model::enrol::Anchor;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_model::policy::{Person, Policy};
use andon_trust::theft::Holder;

/// Offices that the policy names by key.
const fn in_policy(holder: &Holder) -> bool {
    matches!(holder, Holder::Person(_) | Holder::Online | Holder::Verifier(_) | Holder::Rig(_))
}

impl Sheet<'_> {
    /// What the operator's people sign, if the old key stands there.
    pub(super) fn rules(&mut self) -> Result<(), RotateError> {
        let root = self.holds(|it| matches!(it, Holder::OperatorRoot(_)));
        let policy = self.holds(in_policy);
        let anchor = self.new_anchor();
        if &anchor != self.order.anchor {
            let path = self.order.layout.anchor();
            self.change.replace(&path, serde_json::to_vec_pretty(&anchor)?, Access::Public);
            self.next.push(format!(
                "bring {} to every host, in waves, by the way the first one came (docs/operate/key-loss.md)",
                path.display()
            ));
        }
        if policy || root {
            self.sign_policy(&anchor)?;
        }
        Ok(())
    }

    /// The anchor with the new key; the same, if the old one is not in it.
    fn new_anchor(&self) -> Anchor {
        let mut anchor = self.order.anchor.clone();
        for person in &mut anchor.operators {
            person.key = self.replaced(person.key);
        }
        for key in &mut anchor.platform {
            *key = self.replaced(*key);
        }
        anchor
    }

    /// The next policy. Under a new root it must hold under the old one as well: hosts get the anchor in waves.
    fn sign_policy(&mut self, anchor: &Anchor) -> Result<(), RotateError> {
        let before = &self.order.line.policy;
        let version = before.version + 1;
        let keys = |people: &[Person]| people.iter().map(|it| it.key).collect::<Vec<_>>();
        let threshold = anchor.operators_threshold;
        let (old, new) = (keys(&self.order.anchor.operators), keys(&anchor.operators));
        if old != new {
            let under = format!("policy version {version}, under the new anchor");
            self.need(under, &new, threshold);
        }
        self.need(format!("policy version {version}"), &old, threshold);
        let form = self.new_form(before)?;
        if self.needs.iter().any(|need: &Need| !need.is_met()) {
            // It is refused at the end, with everything else that is missing.
            return Ok(());
        }
        let now = self.order.now;
        let signers: Vec<_> = self.hands().collect();
        let envelope = policy::sign(&form, version, now, &signers)?;
        for anchor in [self.order.anchor, anchor] {
            andon_trust::policy::verify(&envelope, anchor, now, version)?;
        }
        self.change.replace(&self.order.layout.policy(), envelope.to_bytes(), Access::Public);
        self.next.push(format!(
            "restart andond: it takes policy version {version} and offers it to the hosts"
        ));
        Ok(())
    }

    /// `policy.toml` with the new key for the old one and nothing else: comments stay, and what is not signed yet is not signed along with it.
    fn new_form(&mut self, before: &Policy) -> Result<PolicyForm, RotateError> {
        let path = self.order.layout.policy_form();
        let text = String::from_utf8(files::read(&path, ENVELOPE_BYTES_MAX as u64)?)?;
        let standing = PolicyForm::parse(&text)?.policy(before.version, Time(0))?;
        if (Policy { expires: before.expires, ..standing }) != *before {
            return Err(RotateError::Pending);
        }
        let (old, new) = (self.order.old.public.to_string(), self.new.key.public().to_string());
        let edited = text.replace(&old, &new);
        let named = self.holds(in_policy);
        if named && edited == text {
            return Err(RotateError::Unnamed);
        }
        if named {
            self.change.replace(&path, edited.clone().into_bytes(), Access::Public);
        }
        Ok(PolicyForm::parse(&edited)?)
    }
}
