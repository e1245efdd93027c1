//! Documents do not point at nothing.

use std::path::{Component, Path, PathBuf};

use crate::sources::{files, read, root};

#[test]
fn links_in_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for document in files(".md") {
        let folder = document.parent().unwrap_or(Path::new(""));
        for target in link_targets(&read(&document)) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let file = normalise(&folder.join(path));
            if file.is_none_or(|file| !root().join(file).exists()) {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// The targets of `[text](target)` outside code blocks.
fn link_targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, after)) = after.split_once(')') else { break };
            targets.push(target.trim().to_owned());
            rest = after;
        }
    }
    targets
}

/// Resolves `..`; nothing if it leads out of the repository.
fn normalise(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

#[test]
fn finds_links_but_not_in_code() {
    let text = "see [a](x.md) and [b](y.md#z)\n```\n[c](no.md)\n```\n";
    assert_eq!(link_targets(text), ["x.md", "y.md#z"]);
}
