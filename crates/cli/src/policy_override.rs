//! Freezes that do not hold on this line, as people write them in `policy.toml`. Signing the policy takes
//! the threshold of the operator's people: one of them alone, or a stolen online key, lifts no freeze.
use crate::policy_rules::Moment;
use andon_model::Digest;
use andon_model::stop::FreezeOverride;
use andon_model::text::Text;
use serde::{Deserialize, Serialize};

/// See [`FreezeOverride`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverrideForm {
    freeze: Digest,
    reason: Text,
    until: Moment,
}

/// What stands above them in `policy.toml`.
const COMMENT: &str = "
# A freeze, whoever has pulled it, that does not hold here; `andon pull` and a refused start name it.
#   [[override]]
#   freeze = \"SHA-256\"
#   reason = \"checked on 40 hosts; ticket 4711\"
#   until = \"2026-12-27T00:00:00Z\"";

impl OverrideForm {
    /// As machines obey it.
    pub(crate) fn of(&self) -> FreezeOverride {
        let (freeze, reason) = (self.freeze, self.reason.clone());
        FreezeOverride { freeze, reason, until: self.until.0 }
    }
}

/// Their lines in `policy.toml`.
pub(crate) fn write(forms: &[OverrideForm]) -> String {
    #[derive(Serialize)]
    struct Tables<'a> {
        r#override: &'a [OverrideForm],
    }
    if forms.is_empty() {
        return COMMENT.to_owned();
    }
    let tables = toml::to_string(&Tables { r#override: forms }).unwrap_or_default();
    format!("{COMMENT}\n{}", tables.trim_end())
}

/// One in a sentence, for `andon policy show`.
pub(crate) fn words(held: &FreezeOverride) -> String {
    format!("freeze {} does not hold, until {}: {}", held.freeze, held.until, held.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_the_comment_says_nothing() {
        #[derive(Deserialize)]
        struct Tables {
            #[serde(default)]
            r#override: Vec<OverrideForm>,
        }
        let forms = vec![OverrideForm {
            freeze: Digest::of(b"freeze"),
            reason: Text::clipped("checked"),
            until: "2026-12-27T00:00:00Z".parse().unwrap(),
        }];
        let read = |text: &str| toml::from_str::<Tables>(text).unwrap().r#override;
        assert_eq!(read(&write(&forms)), forms);
        assert_eq!(read(&write(&[])), []);
        assert!(words(&forms[0].of()).ends_with("until 2026-12-27T00:00:00Z: checked"));
    }
}
