//! The table of commands.

use std::collections::BTreeSet;

#[test]
fn names_and_aliases_are_unique_and_in_order() {
    let mut seen = BTreeSet::new();
    let mut last = "";
    for command in sheaf_command::commands() {
        assert!(last.to_lowercase() < command.name.to_lowercase(), "{} comes too late", command.name);
        last = command.name;
        for name in std::iter::once(&command.name).chain(command.aliases) {
            assert!(seen.insert(*name), "{name} is there twice");
            assert_eq!(sheaf_command::find_command(name).map(|found| found.name), Some(command.name));
        }
    }
}
