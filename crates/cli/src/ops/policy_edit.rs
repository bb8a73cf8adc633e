//! The verbs of a policy: pause, allow, pin, unpin, on the text of `policy.toml`. Whatever else people have
//! written there, comments too, stays as it is. Nothing is in force before it is signed.
use crate::policy_form::{PolicyForm, PolicyFormError};
use crate::policy_rules::{Moment, kind_word};
use andon_model::release::{ComponentKind, Version};
use andon_model::{ComponentId, GroupId};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// Which hosts and components a rule is for; what is not named is not asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    pub(crate) kind: Option<ComponentKind>,
    pub(crate) group: Option<GroupId>,
    pub(crate) component: Option<ComponentId>,
}

/// What is to change.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// nothing new
    Pause(Option<Moment>),
    /// the end of a pause
    Allow,
    /// one version and no other
    Pin(Version, Option<Moment>),
    /// the end of a pin
    Unpin,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// what is there is no policy
    #[error("read policy.toml")]
    Toml(#[source] Box<toml_edit::TomlError>),
    /// somebody's own way to write it
    #[error("{0} in policy.toml is not a list of [[{0}]] tables")]
    Form(String),
    /// nothing to take out
    #[error("policy.toml has no [[{list}]] for {reach}; {there}")]
    Nothing {
        /// which list
        list: String,
        /// what was asked for
        reach: String,
        /// what there is
        there: String,
    },
    /// what would be there is none
    #[error("with that change policy.toml would not be a policy")]
    Policy(#[from] PolicyFormError),
}

impl Edit {
    const fn list(&self) -> &'static str {
        match self {
            Edit::Pause(_) | Edit::Allow => "hold",
            Edit::Pin(..) | Edit::Unpin => "pin",
        }
    }
}

impl Reach {
    /// Exactly this one's, not a wider or narrower one's.
    fn is_of(&self, table: &Table) -> bool {
        let named = |key: &str| table.get(key).and_then(Item::as_str);
        named("group") == self.group.as_ref().map(GroupId::as_str)
            && named("component") == self.component.as_ref().map(ComponentId::as_str)
    }

    fn words(&self) -> String {
        let component = self.component.as_ref().map(|name| format!("component {name}"));
        let group = self.group.as_ref().map(|name| format!("group {name}"));
        let words: Vec<String> = component.into_iter().chain(group).collect();
        if words.is_empty() { "every component and host".to_owned() } else { words.join(", ") }
    }
}

/// The text with the change made, and the form that it reads as.
/// # Errors
/// [`EditError`].
pub(crate) fn edited(
    text: &str,
    reach: &Reach,
    edit: &Edit,
) -> Result<(String, PolicyForm), EditError> {
    let mut document: DocumentMut = text.parse().map_err(|why| EditError::Toml(Box::new(why)))?;
    let mut path = vec!["rules".to_owned()];
    path.extend(reach.kind.into_iter().flat_map(|kind| ["kind".to_owned(), kind_word(kind)]));
    let name = format!("{}.{}", path.join("."), edit.list());
    let wrong = || EditError::Form(name.clone());
    let mut above = document.as_table_mut();
    for word in &path {
        let item = above.entry(word).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        above = item.as_table_mut().ok_or_else(wrong)?;
    }
    let list = above
        .entry(edit.list())
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or_else(wrong)?;
    let there = list.iter().filter(|table| reach.is_of(table)).count();
    match edit {
        Edit::Allow | Edit::Unpin if there == 0 => {
            let rest = list.iter().map(in_words).collect::<Vec<_>>();
            let there = match rest.is_empty() {
                true => "there is none at all".to_owned(),
                false => format!("there are: {}", rest.join("; ")),
            };
            return Err(EditError::Nothing { list: name, reach: reach.words(), there });
        }
        Edit::Allow | Edit::Unpin => list.retain(|table| !reach.is_of(table)),
        Edit::Pause(until) | Edit::Pin(_, until) => {
            list.retain(|table| !reach.is_of(table));
            list.push(rule(reach, edit, until.as_ref()));
        }
    }
    if list.is_empty() {
        above.remove(edit.list());
    }
    let text = document.to_string();
    let form = PolicyForm::parse(&text)?;
    Ok((text, form))
}

fn rule(reach: &Reach, edit: &Edit, until: Option<&Moment>) -> Table {
    let mut table = Table::new();
    let mut put = |key: &str, text: String| table.insert(key, value(text));
    if let Some(group) = &reach.group {
        put("group", group.to_string());
    }
    if let Some(component) = &reach.component {
        put("component", component.to_string());
    }
    if let Some(until) = until {
        put("until", until.to_string());
    }
    if let Edit::Pin(version, _) = edit {
        table.insert("version", value(i64::from(version.0)));
    }
    table
}

fn in_words(table: &Table) -> String {
    let words = table.iter().filter_map(|(key, item)| {
        let item = item.as_value()?.to_string();
        Some(format!("{key} {}", item.trim().trim_matches('"')))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "every component and host".to_owned() } else { words.join(", ") }
}
