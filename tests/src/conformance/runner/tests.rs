use std::time::Duration;

use super::{Outcome, run};
use crate::conformance::Topology;
use crate::conformance::case::Case;
use crate::conformance::target::{Exchange, Target};

/// Answers by the name of the command: it fails, panics or sleeps.
struct Scripted;

impl Target for Scripted {
    fn open(&self, _: Topology) -> Result<Box<dyn Exchange>, String> {
        Ok(Box::new(Scripted))
    }
}

impl Exchange for Scripted {
    fn run(&mut self, _: &str, command: &[u8]) -> Result<Vec<u8>, String> {
        let command = bson::Document::from_reader(command).unwrap();
        let reply = match command.keys().next().unwrap().as_str() {
            "fail" => bson::doc! {"ok": 0.0, "code": 59, "errmsg": "no"},
            "panic" => panic!("on purpose"),
            "hang" => {
                std::thread::sleep(Duration::from_secs(7));
                bson::doc! {"ok": 1.0}
            }
            "cursor" => bson::doc! {"ok": 1.0, "cursor": {"id": 7_i64}},
            "echo" => {
                bson::doc! {"ok": 1.0, "value": command.get("echo").cloned(), "lsid": command.get("lsid").cloned()}
            }
            _ => bson::doc! {"ok": 1.0},
        };
        Ok(reply.to_vec().unwrap())
    }
}

fn case(steps: &str, asserts: &str) -> Case {
    let line = format!(
        r#"{{"id":"a/b/c/d.py::x","topologies":["standalone"],"steps":[{steps}],"asserts":[{asserts}]}}"#
    );
    Case::parse(&line, |_| true).unwrap().unwrap()
}

fn outcomes(cases: Vec<Case>) -> Vec<Outcome> {
    run(cases, Box::new(Scripted), 2).unwrap().into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn outcomes_are_told_apart_and_a_hang_does_not_stop_the_rest() {
    let step = |name: &str| format!(r#"{{"db":"db0","cmd":{{"{name}":1}}}}"#);
    let not_error = r#"{"kind":"not_error","step":0}"#;
    let outcomes = outcomes(vec![
        case(&step("hang"), not_error),
        case(&step("ping"), not_error),
        case(&step("fail"), not_error),
        case(&step("fail"), r#"{"kind":"error","step":0,"code":59}"#),
        case(&step("ping"), r#"{"kind":"error","step":0,"code":59}"#),
        case(&step("panic"), not_error),
    ]);
    assert_eq!(outcomes[0], Outcome::Hung);
    assert_eq!(outcomes[1], Outcome::Passed);
    assert!(matches!(outcomes[2], Outcome::Failed(_)));
    assert_eq!(outcomes[3], Outcome::Passed);
    assert!(matches!(outcomes[4], Outcome::Failed(_)));
    assert_eq!(outcomes[5], Outcome::Panicked("on purpose".to_owned()));
}

#[test]
fn cursors_and_sessions_are_filled_in() {
    let case = case(
        r#"{"db":"db0","cmd":{"cursor":1}},{"db":"db0","cmd":{"echo":{"$cursorOf":0}},"session":1}"#,
        r#"{"kind":"props","step":1,"path":"","checks":{
            "value":{"$check":"Eq","args":{"expected":{"$numberLong":"7"}}},
            "lsid.id":{"$check":"ByteLen","args":{"expected":{"$numberInt":"16"}}}}}"#,
    );
    assert_eq!(outcomes(vec![case]), [Outcome::Passed]);
}

#[test]
fn a_failed_command_fails_checks_of_absence() {
    let absent = r#"{"kind":"props","step":0,"path":"","checks":{"x":{"$check":"NotExists","args":{}}}}"#;
    let outcomes = outcomes(vec![
        case(r#"{"db":"db0","cmd":{"fail":1}}"#, absent),
        case(r#"{"db":"db0","cmd":{"ping":1}}"#, absent),
    ]);
    assert!(matches!(outcomes[0], Outcome::Failed(_)));
    assert_eq!(outcomes[1], Outcome::Passed);
}

#[test]
fn a_case_that_breaks_the_format_is_refused() {
    for line in [
        r#"{"id":"x","topologies":["standalone"],"steps":[],"asserts":[{"kind":"not_error","step":0}]}"#,
        r#"{"id":"x","topologies":[],"steps":[],"asserts":[]}"#,
        r#"{"id":"x","topologies":["replset"],"steps":[],"asserts":[],"extra":1}"#,
        r#"{"id":"x","topologies":["replset"],"steps":[{"db":"d","cmd":{"a":1}}],"asserts":[{"kind":"new","step":0}]}"#,
    ] {
        assert!(Case::parse(line, |_| true).is_err(), "{line}");
    }
}
