//! The log policy inside `policy.toml`: a text of its own (C2SP tlog-policy) between three quotes.
use andon_model::policy::Policy;
use andon_trust::log::policy::PolicyError;
use andon_trust::policy::demanded_log;

/// What stands above it, and in its place when there is none.
const COMMENT: &str = "\
# Hosts install no release without proof that one of these logs holds it and a quorum of witnesses has
# seen the log (C2SP tlog-policy; docs/spec/log.md). `andon init --log` fills it in. Without it: no proof.
# log = \"\"\"
# log VKEY
# witness w1 VKEY URL
# quorum w1
# \"\"\"";

/// Why no host could install anything by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyLogError {
    /// the text
    #[error("read log policy")]
    Text(#[from] PolicyError),
    /// nothing can be proven by it
    #[error("log policy names no log: hosts could install nothing; add a line: log VKEY")]
    NoLog,
}

/// As hosts and server check it.
/// # Errors
/// [`PolicyLogError`].
pub(crate) fn check(policy: &Policy) -> Result<(), PolicyLogError> {
    match demanded_log(policy)? {
        Some(log) if log.logs().count() == 0 => Err(PolicyLogError::NoLog),
        _ => Ok(()),
    }
}

/// Its lines in `policy.toml`.
pub(crate) fn write(log: Option<&str>) -> String {
    match log {
        Some(text) => {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
            let (comment, _) = COMMENT.split_once("\n# log =").unwrap_or_default();
            format!("{comment}\nlog = \"\"\"\n{text}\"\"\"")
        }
        None => COMMENT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy_form::PolicyForm;
    use andon_model::{PublicKey, Time};

    fn form() -> PolicyForm {
        PolicyForm::defaults("operator:clinic".parse().unwrap(), PublicKey([7; 32]))
    }

    #[test]
    fn the_text_in_the_form_is_the_text_in_the_policy() {
        let text = "# \"ours\" \\ \t\nquorum none\n";
        let mut form = form();
        assert_eq!(PolicyForm::parse(&form.write()).unwrap().log, None);
        form.log = Some(text.to_owned());
        assert_eq!(PolicyForm::parse(&form.write()).unwrap().log.as_deref(), Some(text));
    }

    #[test]
    fn a_log_policy_by_which_nothing_could_be_installed_is_not_signed() {
        let mut form = form();
        form.people.insert("ada".parse().unwrap(), PublicKey([8; 32]));
        form.policy(1, Time(0)).unwrap();
        for (text, why) in [("quorum none\n", "names no log"), ("log\nquorum none\n", "read log")] {
            form.log = Some(text.to_owned());
            let error = form.policy(1, Time(0)).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(why), "{cause}");
        }
    }
}
