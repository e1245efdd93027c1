//! COMPAT.md says what the table of commands says.

use std::collections::BTreeSet;

#[test]
fn compat_lists_every_command_and_no_other() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../COMPAT.md")).expect("COMPAT.md");
    let commands =
        page.split("## ").find(|part| part.starts_with("Commands")).expect("a section on commands");
    let mut listed = BTreeSet::new();
    for line in commands.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        let command =
            sheaf_command::find_command(&name).unwrap_or_else(|| panic!("there is no command {name}"));
        assert_eq!(command.name, name, "an alias is listed as a command");
        let aliases: BTreeSet<&str> = cells[2]
            .split(", ")
            .map(|alias| alias.trim_matches('`'))
            .filter(|alias| !alias.is_empty())
            .collect();
        assert_eq!(aliases, command.aliases.iter().copied().collect(), "aliases of {name}");
        assert!(matches!(cells[3], "yes" | "in part"), "{name} is {}", cells[3]);
        assert_eq!(cells[3] == "in part", !cells[4].is_empty(), "{name}: only what is in part has a but");
        assert!(listed.insert(name.clone()), "{name} is listed twice");
    }
    for command in sheaf_command::commands() {
        assert!(listed.contains(command.name), "{} is not in COMPAT.md", command.name);
    }
}
