//! Scripts in the operator's words with their expected answers beside them: `tests/golden/*.txt` and
//! `*.out`. An answer that changes is a change that people see: read it, then copy it.
use crate::script::run;

/// One script: its name, its lines, the answer expected.
type Script = (&'static str, &'static str, &'static str);

macro_rules! script {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../golden/", $name, ".txt")),
            include_str!(concat!("../golden/", $name, ".out")),
        )
    };
}

const SCRIPTS: [Script; 11] = [
    script!("good_rollout"),
    script!("crash_at_load_2024"),
    script!("outage"),
    script!("cord"),
    script!("doubt"),
    script!("resume"),
    script!("held_still_halts"),
    script!("approval_missing"),
    script!("stale_ticket"),
    script!("rare_stratum_asks_again"),
    script!("signer_down"),
];

#[test]
fn scripts_answer_as_they_always_did() {
    let mut changed = Vec::new();
    for (name, script, wanted) in SCRIPTS {
        let answer = run(name, script).unwrap_or_else(|(so_far, why)| format!("{so_far}{why}\n"));
        if answer != wanted {
            println!("=== {name}.out\n{answer}=== end");
            changed.push(name);
        }
    }
    assert!(changed.is_empty(), "other answers than before (printed above): {changed:?}");
}

/// A script that asks for what is not so fails, or the scripts would prove nothing.
#[test]
fn an_expectation_that_is_not_met_fails_and_names_its_line() {
    let given = "given 1000 hosts in 2 strata, budget 0s:100\nstart\n";
    for (line, wanted) in [
        ("expect halted", "script x, line 3: expected halted, it is exposing"),
        ("expect at least 17 handed", "script x, line 3: expected at least 17 handed, it is 16"),
        ("expect at most 15 handed", "script x, line 3: expected at most 15 handed, it is 16"),
        ("dance", "script x, line 3: \"dance\" is no command"),
        ("tick soon", "script x, line 3: \"soon\" is no duration"),
        ("9 of wave 2 fall silent", "script x, line 3: there is no wave 2"),
    ] {
        let script = format!("{given}{line}\n");
        let (_, why) = run("x", &script).unwrap_err();
        assert_eq!(why, wanted);
    }
}
