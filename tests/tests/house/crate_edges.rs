//! A layer that cannot name its user stays replaceable: the edges between our crates are these and no others.

use std::collections::BTreeSet;

use crate::sources::{files, read};

/// Which of our crates may depend on which, for the code that ships. A new line here is a change of the design.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sheaf-proto", &[]),
    ("sheaf-storage", &[]),
    ("sheaf-document", &[]),
    ("sheaf-language", &["sheaf-document"]),
    ("sheaf-engine", &["sheaf-document", "sheaf-language", "sheaf-storage"]),
    ("sheaf-command", &["sheaf-document", "sheaf-language", "sheaf-engine"]),
    ("sheaf-server", &["sheaf-command", "sheaf-document", "sheaf-engine", "sheaf-proto", "sheaf-storage"]),
    ("sheaf-shell", &["sheaf-command", "sheaf-document", "sheaf-engine", "sheaf-proto", "sheaf-storage"]),
    ("xtask", &[]),
];

/// Crates that only test or measure, and so may look at everything.
const OBSERVERS: &[&str] = &["sheaf-tests", "sheaf-bench"];

/// What may not be below the doors: the core is synchronous.
const DOOR_CRATES: &[&str] = &["tokio", "tonic", "prost", "hyper", "axum"];

const CORE: &[&str] = &["sheaf-storage", "sheaf-document", "sheaf-language", "sheaf-engine", "sheaf-command"];

#[test]
fn crates_depend_only_downwards() {
    let mut seen = BTreeSet::new();
    for manifest in files("Cargo.toml") {
        if manifest.starts_with("benches/compare") {
            continue;
        }
        let parsed: toml::Table = read(&manifest).parse().expect("a manifest is TOML");
        let Some(name) = parsed.get("package").and_then(|p| p.get("name")).and_then(|n| n.as_str()) else {
            continue;
        };
        if OBSERVERS.contains(&name) || name.ends_with("-fuzz") {
            continue;
        }
        let allowed = ALLOWED
            .iter()
            .find(|(of, _)| *of == name)
            .unwrap_or_else(|| panic!("{name} is not in the list of crates: add it, with its edges"))
            .1;
        seen.insert(name.to_owned());
        let dependencies = parsed.get("dependencies").and_then(|d| d.as_table()).cloned().unwrap_or_default();
        for dependency in dependencies.keys() {
            if dependency.starts_with("sheaf-") {
                assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
            }
            if CORE.contains(&name) {
                assert!(
                    !DOOR_CRATES.contains(&dependency.as_str()),
                    "{name} must not depend on {dependency}"
                );
            }
        }
    }
    for (name, _) in ALLOWED {
        assert!(seen.contains(*name), "{name} is in the list but not in the repository");
    }
}
