//! What a thief does to keep hosts from updates: freezes, versions of the far future, a root of its own, failures of
//! a rig's; and other bytes under honest names.
use super::attack::{Code, Thief};
use super::lab::{LabError, NOW, YEAR};
use super::line::Holder;
use super::metadata::{Served, Tree, sealed};
use super::parts::{Works, manifest_url};
use super::rigs;
use crate::sign::SigningKey;
use andon_model::directive::{Demand, Directive};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::{Digest, LineId, Millis};

/// A version beyond any that honest parties will reach; JSON numbers are exact up to here.
const FAR: u64 = 1 << 52;

/// One way to keep hosts from a fix.
pub(super) struct Denial {
    pub(super) name: String,
    /// what hosts are shown now
    pub(super) served: Served,
    /// stops that are still listed later
    pub(super) stops: Vec<Envelope>,
    /// what is then said of the fixes, by their digests
    pub(super) words: Vec<(Digest, Envelope)>,
}

impl Thief<'_> {
    /// The honest wave, and the thief's bytes where its manifest should be.
    pub(super) fn swapped(&self) -> Result<Served, LabError> {
        let mut served = self.lab.served.clone();
        for works in &self.lab.works {
            served.file(manifest_url(&works.wave), works.double.bytes.clone());
        }
        served.listed(12)
    }

    /// Freezes by every party of everything, for ten years.
    fn freezes(&self) -> Result<Vec<Envelope>, LabError> {
        let mut out = Vec::new();
        let mut put = |by: Party, scope: Scope, office: &dyn Fn(&Holder) -> bool| {
            let freeze = Freeze {
                schema: 1,
                by,
                scope,
                reason: Text::default(),
                issued: NOW,
                expires: NOW.plus(Millis(YEAR.0 * 10)),
            };
            // A freeze has 1 KiB: two signatures, which is what makes it last.
            let keys: Vec<_> = self.signers(office).into_iter().take(2).collect();
            out.push(sealed(PayloadType::Freeze, &freeze, &keys)?);
            Ok::<_, LabError>(())
        };
        put(Party::Platform, Scope::All, &|holder| *holder == Holder::Cord)?;
        if let LineId::Operator(operator) = &self.lab.line.line {
            let people =
                |holder: &Holder| matches!(holder, Holder::Person(_) | Holder::OperatorRoot(_));
            let by = Party::Operator(operator.clone());
            put(by.clone(), Scope::All, &people)?;
            put(by, Scope::All, &|holder| *holder == Holder::Online)?;
        }
        for works in &self.lab.works {
            let vendor = &works.vendor;
            let office = |holder: &Holder| matches!(holder, Holder::Vendor(it) if it == vendor);
            let by = Party::Vendor(vendor.clone());
            put(by.clone(), Scope::Vendor(vendor.clone()), &office)?;
            put(by.clone(), Scope::Release(works.wave.digest), &office)?;
            put(by.clone(), Scope::All, &office)?;
            for other in &self.lab.works {
                put(by.clone(), Scope::Vendor(other.vendor.clone()), &office)?;
            }
        }
        Ok(out)
    }

    /// The honest wave, and a PARK of it by every party.
    pub(super) fn parking(&self) -> Result<Served, LabError> {
        let mut served = self.lab.served.clone();
        let mut parties: Vec<(Party, Vec<SigningKey>)> = Vec::new();
        if let LineId::Operator(operator) = &self.lab.line.line {
            let roots = |holder: &Holder| matches!(holder, Holder::OperatorRoot(_));
            parties.push((Party::Operator(operator.clone()), self.signers(roots)));
        }
        for works in &self.lab.works {
            let vendor = works.vendor.clone();
            let office = |holder: &Holder| matches!(holder, Holder::Vendor(it) if *it == vendor);
            parties.push((Party::Vendor(vendor.clone()), self.signers(office)));
        }
        let platform = |holder: &Holder| *holder == Holder::Cord;
        parties.push((Party::Platform, self.signers(platform)));
        for (works, (by, keys)) in
            self.lab.works.iter().flat_map(|works| parties.iter().map(move |party| (works, party)))
        {
            let demand = Demand::Park { release: works.wave.digest, over: Millis(0) };
            let expires = NOW.plus(Millis::from_secs(86_400));
            let (by, reason) = (by.clone(), Text::default());
            let directive = Directive { schema: 1, by, demand, reason, issued: NOW, expires };
            let keys: Vec<_> = keys.iter().take(4).cloned().collect();
            served.stop(&sealed(PayloadType::Directive, &directive, &keys)?);
        }
        served.listed(17)
    }

    /// The honest wave, and all freezes.
    pub(super) fn freezing(&self) -> Result<Served, LabError> {
        let mut served = self.lab.served.clone();
        self.freezes()?.iter().for_each(|stop| served.stop(stop));
        served.listed(13)
    }

    /// What could keep hosts from a fix for good: by name, what is served now, and stops that stay.
    /// `open`: forged rules are believed; `freezes`: a forged freeze is.
    pub(super) fn denials(&self, open: bool, freezes: bool) -> Result<Vec<Denial>, LabError> {
        let snapshot = self.signers(|holder| *holder == Holder::Snapshot);
        let timestamp = self.signers(|holder| *holder == Holder::Timestamp);
        let mut out = Vec::new();
        let mut put = |name: &str, served: Served, stops: Vec<Envelope>| {
            out.push(Denial { name: name.to_owned(), served, stops, words: Vec::new() });
        };
        if freezes {
            put("a freeze for ten years", self.freezing()?, self.freezes()?);
        }
        let far = self.lab.far_timestamp(FAR, &timestamp)?;
        put("a timestamp of the far future", far, vec![]);
        let mut served = self.lab.served.clone();
        let tree = Tree { version: FAR, ..self.lab.tree.clone() };
        tree.put(&mut served, NOW.plus(YEAR), &snapshot, &timestamp)?;
        put("snapshot and timestamp of the far future", served.listed(14)?, vec![]);
        if open {
            let mut served = self.lab.served.clone();
            served.policy(&self.signed_policy(&self.open(FAR)?)?);
            put("rules of the far future", served.listed(15)?, vec![]);
        }
        let mut served = self.lab.served.clone();
        if self.code(Code::Root, &mut served)? {
            put("a forged root", served.listed(16)?, vec![]);
        }
        if !self.lab.policy.attestations.rigs.is_empty() {
            let keys = self.rigs();
            let failed = |works: &Works| Ok((works.fix.digest, rigs::failed(&works.fix, &keys)?));
            out.push(Denial {
                name: "a failure that no rig has seen".to_owned(),
                served: self.lab.served.clone(),
                stops: Vec::new(),
                words: self.lab.works.iter().map(failed).collect::<Result<_, LabError>>()?,
            });
        }
        Ok(out)
    }
}
