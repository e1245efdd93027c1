//! A file has one subject and a function fits a screen. What is larger stands in `tests/house/sizes.txt` with its
//! size, and may only shrink.

use std::collections::BTreeMap;
use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::sources::{files, is_production, read};

/// Lines a production file may have, its inline tests not counted.
const FILE_LINES_MAX: usize = 600;

/// Lines a production function may have, from its signature to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

const RATCHET: &str = "tests/house/sizes.txt";

#[test]
fn files_and_functions_stay_small() {
    let known = known_sizes();
    let mut complaints = Vec::new();
    let mut now = BTreeMap::new();
    for path in files(".rs").into_iter().filter(|path| is_production(path)) {
        for (name, lines, limit) in sizes(&path) {
            if lines <= limit {
                continue;
            }
            now.insert(name.clone(), lines);
            match known.get(&name) {
                None => complaints.push(format!("{name} has {lines} lines, the limit is {limit}")),
                Some(&size) if lines > size => {
                    complaints.push(format!("{name} grew from {size} to {lines} lines"))
                }
                Some(&size) if lines < size => {
                    complaints
                        .push(format!("{name} shrank from {size} to {lines} lines: say so in {RATCHET}"));
                }
                Some(_) => {}
            }
        }
    }
    for name in known.keys().filter(|name| !now.contains_key(*name)) {
        complaints.push(format!("{name} is small enough now: take it out of {RATCHET}"));
    }
    if std::env::var_os("SHEAF_GOLDEN_UPDATE").is_some() {
        let text: String = now.iter().map(|(name, lines)| format!("{lines} {name}\n")).collect();
        std::fs::write(crate::sources::root().join(RATCHET), text).expect("the ratchet file can be written");
        return;
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn known_sizes() -> BTreeMap<String, usize> {
    read(Path::new(RATCHET))
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(size, name)| (name.to_owned(), size.parse().expect("a size is a number")))
        .collect()
}

/// Name, lines and limit of the file and of every function in it.
fn sizes(path: &Path) -> Vec<(String, usize, usize)> {
    let text = read(path);
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut functions = Functions { path: path.display().to_string(), found: Vec::new(), test_lines: 0 };
    functions.visit_file(&parsed);
    let mut found = functions.found;
    found.push((path.display().to_string(), text.lines().count() - functions.test_lines, FILE_LINES_MAX));
    found
}

struct Functions {
    path: String,
    found: Vec<(String, usize, usize)>,
    test_lines: usize,
}

impl Functions {
    fn add(&mut self, name: &syn::Ident, span: proc_macro2::Span) {
        let lines = span.end().line - span.start().line + 1;
        self.found.push((format!("{}::{name}", self.path), lines, FUNCTION_LINES_MAX));
    }
}

fn is_test_module(module: &syn::ItemMod) -> bool {
    module.content.is_some()
        && module.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
        })
}

impl Visit<'_> for Functions {
    fn visit_item_mod(&mut self, module: &syn::ItemMod) {
        if is_test_module(module) {
            let span = module.span();
            self.test_lines += span.end().line - span.start().line + 1;
        } else {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &syn::ItemFn) {
        self.add(
            &function.sig.ident,
            function.sig.span().join(function.block.span()).unwrap_or(function.span()),
        );
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &syn::ImplItemFn) {
        self.add(
            &function.sig.ident,
            function.sig.span().join(function.block.span()).unwrap_or(function.span()),
        );
        syn::visit::visit_impl_item_fn(self, function);
    }
}
