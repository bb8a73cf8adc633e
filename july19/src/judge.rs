//! What every case must hold, from what was counted; who plays the cases does not judge them.
use crate::recount::Boot;
use andon_model::Digest;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Whether a case held. Adds the figures that only this case has.
pub(crate) fn held(name: &str, value: &mut Value, boots: &[Boot], new: &Digest) -> Result<bool> {
    let crashes = value["crashes"].as_u64().unwrap_or(u64::MAX);
    let (up, well) = (value["host_up"] == true, value["recovered"] == true);
    let back = value["record"]["fell_back"] == true;
    let named = boots
        .iter()
        .any(|boot| boot.said("charged (strong)").is_some_and(|it| it.contains(&new.to_string())));
    Ok(match name {
        "without" => crashes >= 3 && crashes == boots.len() as u64 && !up,
        "with" => (1..=2).contains(&crashes) && well && back && named,
        "no_network" => crashes <= 2 && well && back && named,
        "hang" => crashes <= 2 && boots.iter().any(|boot| boot.hung) && well && back && named,
        "freeze_on_disk" | "freeze_on_network" => crashes == 0 && well,
        "both_bad" => {
            let said = boots.iter().any(|boot| boot.said("safe mode").is_some());
            value["safe_mode"] = json!(said);
            up && !well && said
        }
        "state_unreadable" => up && crashes == 0 && !well,
        "no_evidence" => crashes <= 4 && well && back,
        "late_panic" => {
            let said = boots.iter().flat_map(|boot| &boot.said);
            let fallbacks = said.filter(|it| it.contains(": given up, back to")).count();
            value["fallbacks"] = json!(fallbacks);
            crashes <= 2 && well && back && fallbacks == 1
        }
        other => bail!("no case is called {other}"),
    })
}

/// Boots that were acknowledged and are not in the record: a boot whose kernel fell while loading was
/// counted before it loaded, and one that the guard numbered on the console has that number or more.
/// `counted` is the record's count after each boot; without a record nothing is remembered.
pub(crate) fn lost(boots: &[Boot], counted: &[Option<u32>]) -> usize {
    let mut before = 0;
    let mut lost = 0;
    for (boot, count) in boots.iter().zip(counted) {
        let count = count.map_or(0, u64::from);
        let told = boot.number.unwrap_or(0);
        let least = told.max(before + u64::from(boot.panicked));
        lost += usize::from(count < least);
        before = count.max(before);
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_that_the_record_forgot_is_lost() {
        let panicked = Boot { panicked: true, ..Boot::default() };
        let told = |number| Boot { number: Some(number), ..Boot::default() };
        let cut = Boot::default();
        let boots = [panicked.clone(), cut.clone(), told(3)];
        assert_eq!(lost(&boots, &[Some(1), Some(2), Some(3)]), 0);
        // power went before this boot was counted
        assert_eq!(lost(&[panicked.clone(), cut, told(2)], &[Some(1), Some(1), Some(2)]), 0);
        // loaded before it was counted
        assert_eq!(lost(&[panicked.clone(), told(1)], &[Some(0), Some(1)]), 1);
        // a count that went back, and a record that is gone
        assert_eq!(lost(&[panicked.clone(), told(2)], &[Some(1), Some(1)]), 1);
        assert_eq!(lost(&[panicked], &[None]), 1);
    }
}
