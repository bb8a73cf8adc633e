//! Two lines, as people write them in `policy.toml`: `[[member]]` on a vendor's line, `[[vendor_line]]`
//! on an operator's. What they do is in `docs/spec/vendor-line.md`.
use andon_model::line::{Member, Pace, VendorLine};
use andon_model::policy::{Person, Policy};
use andon_model::{LineId, OperatorId, PersonId, PublicKey, VendorId};
use serde::{Deserialize, Serialize};

/// An operator whose hosts a vendor line counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberForm {
    operator: OperatorId,
    key: PublicKey,
    hosts_max: u32,
}

/// One of a vendor line's people, and the key that signs its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonForm {
    person: PersonId,
    key: PublicKey,
}

/// A vendor line that an operator's hosts take part in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VendorLineForm {
    vendor: VendorId,
    threshold: u32,
    pace: PaceWord,
    people: Vec<PersonForm>,
}

/// See [`Pace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaceWord {
    Own,
    Vendor,
}

/// What stands above the share of absent members in `policy.toml` of a vendor's line.
pub(crate) const ABSENT: &str = "\
# Members' servers that are away: a rollout goes on without members that have up to so many millionths
# of its seats (0: nobody; at most 200000), and beyond that it holds until a person decides. What it
# costs: nothing is heard of their hosts; a fault that takes their servers with it hides on this share.
absent_max_ppm = ";

/// Of a new vendor line: one seat in twenty. Of a thousand members a few are always away.
const ABSENT_DEFAULT_PPM: u32 = 50_000;

/// The share of absent members that a new line's policy begins with.
pub(crate) const fn absent_default(line: &LineId) -> u32 {
    match line {
        LineId::Vendor(_) => ABSENT_DEFAULT_PPM,
        LineId::Operator(_) => 0,
    }
}

/// What stands above the members in `policy.toml` of a vendor's line.
const MEMBERS: &str = "
# Operators whose hosts this line counts: the online key of each one's own line, and how many hosts it
# may bring. With members this line has no hosts of its own. For example:
#   [[member]]
#   operator = \"hospital\"
#   key = \"…\"               # `online` in that operator's policy.toml
#   hosts_max = 5000";

/// What stands above the vendor lines in `policy.toml` of an operator's line.
const VENDOR_LINES: &str = "
# Vendor lines that this line's hosts take part in: their releases go no further here than the
# vendor's line covers. Who signs that line's policy (`operators` in its anchor.json), and how fast
# this line goes inside it: by its \"own\" evidence too, or as fast as the \"vendor\" line. For example:
#   [[vendor_line]]
#   vendor = \"acme\"
#   threshold = 2
#   pace = \"own\"
#   people = [
#     { person = \"alice\", key = \"…\" },
#     { person = \"bob\", key = \"…\" },
#   ]";

impl MemberForm {
    fn member(&self) -> Member {
        Member { operator: self.operator.clone(), key: self.key, hosts_max: self.hosts_max }
    }
}

impl VendorLineForm {
    fn line(&self) -> VendorLine {
        let person = |it: &PersonForm| Person { person: it.person.clone(), key: it.key };
        VendorLine {
            vendor: self.vendor.clone(),
            people: self.people.iter().map(person).collect(),
            threshold: self.threshold,
            pace: match self.pace {
                PaceWord::Own => Pace::Own,
                PaceWord::Vendor => Pace::Vendor,
            },
        }
    }
}

/// The members that these forms ask for, in the order that a policy has them.
pub(crate) fn members(forms: &[MemberForm]) -> Vec<Member> {
    let mut members: Vec<Member> = forms.iter().map(MemberForm::member).collect();
    members.sort_by(|a, b| a.operator.cmp(&b.operator));
    members
}

/// The vendor lines that these forms ask for, in the order that a policy has them.
pub(crate) fn vendor_lines(forms: &[VendorLineForm]) -> Vec<VendorLine> {
    let mut lines: Vec<VendorLine> = forms.iter().map(VendorLineForm::line).collect();
    lines.sort_by(|a, b| a.vendor.cmp(&b.vendor));
    lines
}

/// As tables of `policy.toml`, commented: the kind that belongs to this line.
pub(crate) fn write(of_vendor: bool, members: &[MemberForm], lines: &[VendorLineForm]) -> String {
    #[derive(Serialize)]
    struct Tables<'a> {
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        member: &'a [MemberForm],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        vendor_line: &'a [VendorLineForm],
    }
    let comment = if of_vendor { MEMBERS } else { VENDOR_LINES };
    let tables = toml::to_string(&Tables { member: members, vendor_line: lines });
    format!("{comment}\n{}", tables.unwrap_or_default()).trim_end().to_owned()
}

/// The lines in sentences, for `andon policy show`.
pub(crate) fn words(policy: &Policy) -> Vec<(&'static str, String)> {
    let absent = matches!(policy.line, LineId::Vendor(_)).then(|| {
        let text = match policy.absent_max_ppm {
            0 => "nobody: a rollout holds for every member that does not answer".to_owned(),
            ppm => {
                format!("a rollout goes on without members that have up to {ppm} ppm of its seats")
            }
        };
        ("absent", text)
    });
    let member =
        |it: &Member| ("member", format!("{}: at most {} hosts", it.operator, it.hosts_max));
    let line = |it: &VendorLine| {
        let names: Vec<&str> = it.people.iter().map(|person| person.person.as_str()).collect();
        let pace = match it.pace {
            Pace::Own => "by its own evidence too",
            Pace::Vendor => "as fast as the vendor line",
        };
        let (vendor, threshold) = (&it.vendor, it.threshold);
        let text = format!("inside vendor:{vendor}, {pace}; signed there by {threshold} of ");
        ("line", text + &names.join(", "))
    };
    let (members, lines) =
        (policy.members.iter().map(member), policy.vendor_lines.iter().map(line));
    members.chain(absent).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_form::PolicyForm;
    use andon_model::Time;
    use andon_model::policy::PolicyError;

    fn key(number: u8) -> PublicKey {
        PublicKey([number; 32])
    }

    fn form(line: &str, tables: &str) -> Result<PolicyForm, String> {
        let line: LineId = line.parse().unwrap();
        let mut form = PolicyForm::defaults(line, key(7));
        form.people.insert(PersonId::new("alice").unwrap(), key(8));
        let text = form.write() + "\n" + tables;
        PolicyForm::parse(&text).map_err(|why| {
            std::error::Error::source(&why).map(ToString::to_string).unwrap_or_default()
        })
    }

    fn member(name: &str) -> String {
        format!("[[member]]\noperator = \"{name}\"\nkey = \"{}\"\nhosts_max = 40\n", key(1))
    }

    fn vendor_line(threshold: u32, pace: &str) -> String {
        format!(
            "[[vendor_line]]\nvendor = \"acme\"\nthreshold = {threshold}\npace = \"{pace}\"\n\
             people = [{{ person = \"eve\", key = \"{}\" }}]\n",
            key(2)
        )
    }

    #[test]
    fn lines_read_as_they_are_written_and_are_said_in_words() {
        let vendor = form("vendor:acme", &(member("b") + &member("a"))).unwrap();
        assert_eq!(PolicyForm::parse(&vendor.write()).unwrap(), vendor);
        let policy = vendor.policy(1, Time(0)).unwrap();
        let said = words(&policy);
        let want = [
            ("member", "a: at most 40 hosts"),
            ("member", "b: at most 40 hosts"),
            ("absent", "a rollout goes on without members that have up to 50000 ppm of its seats"),
        ];
        let want = want.map(|(what, text)| (what, text.to_owned()));
        assert_eq!(said, want, "sorted, as they must be");
        let operator = form("operator:clinic", &vendor_line(1, "vendor")).unwrap();
        assert_eq!(PolicyForm::parse(&operator.write()).unwrap(), operator);
        let policy = operator.policy(1, Time(0)).unwrap();
        assert_eq!(policy.vendor_lines[0].pace, Pace::Vendor);
        let said = words(&policy);
        let text = "inside vendor:acme, as fast as the vendor line; signed there by 1 of eve";
        assert_eq!(said, [("line", text.to_owned())]);
    }

    #[test]
    fn the_share_of_absent_members_is_written_for_vendor_lines_and_may_be_left_out() {
        let vendor = form("vendor:acme", "").unwrap();
        assert_eq!(vendor.policy(1, Time(0)).unwrap().absent_max_ppm, 50_000);
        let text = vendor.write();
        let with = |value: &str| PolicyForm::parse(&text.replace("absent_max_ppm = 50000", value));
        let policy = |value: &str| with(value).unwrap().policy(1, Time(0));
        assert_eq!(policy("absent_max_ppm = 7").unwrap().absent_max_ppm, 7);
        for nobody in ["absent_max_ppm = 0", ""] {
            let policy = policy(nobody).unwrap();
            assert_eq!(policy.absent_max_ppm, 0, "{nobody:?}");
            let said = "nobody: a rollout holds for every member that does not answer";
            assert_eq!(words(&policy), [("absent", said.to_owned())]);
            let form = with(nobody).unwrap();
            assert_eq!(PolicyForm::parse(&form.write()).unwrap(), form);
        }
        let error = policy("absent_max_ppm = 200001").unwrap_err();
        let field = PolicyError::Field("absent_max_ppm", "is over 200000");
        let PolicyFormError::Policy(error) = error else { panic!("{error}") };
        assert_eq!(error.to_string(), field.to_string());
        assert!(with("absent_max_ppm = -1").is_err() && with("absent_max_ppm = 0.05").is_err());
        let mut operator = form("operator:clinic", "").unwrap();
        assert!(!operator.write().contains("absent_max_ppm"));
        operator.absent_max_ppm = 1;
        assert!(operator.policy(1, Time(0)).is_err(), "for vendor lines only");
    }

    #[test]
    fn nonsense_is_refused_with_its_line_and_field() {
        let (twice, many) = (member("a") + &member("a"), vendor_line(2, "own"));
        for (line, tables, field) in [
            ("operator:clinic", member("a"), "members"),
            ("vendor:acme", twice, "members"),
            ("vendor:acme", vendor_line(1, "own"), "vendor_lines"),
            ("operator:clinic", many, "vendor_lines"),
        ] {
            let error = form(line, &tables).unwrap().policy(1, Time(0)).unwrap_err();
            let PolicyFormError::Policy(PolicyError::Field(named, _)) = error else {
                panic!("{line}: {error}");
            };
            assert_eq!(named, field, "{line} {tables}");
        }
        for (tables, said) in [
            (vendor_line(1, "slow"), "pace = \"slow\""),
            (member("a") + "size = 1\n", "unknown field `size`"),
            ("[[member]]\noperator = \"a\"\nhosts_max = 1\n".to_owned(), "missing field `key`"),
            (member("A"), "operator = \"A\""),
        ] {
            let why = form("vendor:acme", &tables).unwrap_err();
            assert!(why.contains(said) && why.contains("line "), "{why}");
        }
    }

    use crate::policy_form::PolicyFormError;
}
