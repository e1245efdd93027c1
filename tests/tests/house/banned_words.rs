//! Words that mean unfinished work, and a statement that asserts nothing.

use crate::sources::{files, is_production, read};

#[test]
fn no_unfinished_work_is_left_in_the_code() {
    // Put together here so that this file does not contain what it forbids.
    let words = [["FIX", "ME"], ["TO", "DO:"], ["XX", "X:"], ["to", "do!("], ["unimple", "mented!("]]
        .map(|halves| halves.concat());
    let mut found = Vec::new();
    for ending in [".rs", ".go", ".proto", ".md", ".dart", ".sh"] {
        let some = if matches!(ending, ".dart" | ".sh" | ".go" | ".proto") {
            files_or_none(ending)
        } else {
            files(ending)
        };
        for path in some {
            for (number, line) in read(&path).lines().enumerate() {
                // The prose of a rule may name what it forbids, in code quotes.
                let prose = ending == ".md" && line.contains('`');
                if !prose && words.iter().any(|word| line.contains(word)) {
                    found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "unfinished work:\n{}", found.join("\n"));
}

fn files_or_none(ending: &str) -> Vec<std::path::PathBuf> {
    std::panic::catch_unwind(|| files(ending)).unwrap_or_default()
}

#[test]
fn no_match_is_thrown_away() {
    let mut found = Vec::new();
    for path in files(".rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let line = line.trim();
            let statement = line.starts_with("matches!(") && line.ends_with(");");
            if statement {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "a bare matches! asserts nothing:\n{}", found.join("\n"));
}

#[test]
fn ambient_clocks_and_files_stay_out_of_the_core() {
    let mut found = Vec::new();
    for path in files(".rs") {
        let text = path.to_string_lossy();
        let in_core = text.starts_with("storage/src")
            || text.starts_with("query/document")
            || text.starts_with("query/language");
        // The disk VFS and the system clock are the two places where the outside comes in.
        let allowed = text.starts_with("storage/src/vfs/") || text.ends_with("/clock.rs");
        if !in_core || allowed || !is_production(&path) {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if ["SystemTime::now", "Instant::now", "std::fs::", "rand::rng", "rand::random"]
                .iter()
                .any(|word| code.contains(word))
            {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "time, files and chance come in as arguments:\n{}", found.join("\n"));
}
