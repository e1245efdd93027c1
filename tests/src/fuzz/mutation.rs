//! A command with something changed in it.

use bson::{Bson, Document};

use super::grammar::{Grammar, harmless};
use crate::random::Random;

/// The command with up to three changes: a value replaced, doubled, wrapped or taken away, a name changed.
pub fn changed(command: &Document, random: &mut Random) -> Document {
    let mut value = Bson::Document(command.clone());
    for _ in 0..random.below(4) {
        change(&mut value, random, 0);
    }
    match value {
        Bson::Document(command) => harmless(command),
        _ => command.clone(),
    }
}

/// Goes down by chance and changes something there.
fn change(value: &mut Bson, random: &mut Random, depth: usize) {
    let stops = depth > 1 && random.once_in(3);
    match value {
        Bson::Document(document) if !document.is_empty() && !stops => {
            let position = random.below(document.len());
            let key = document.keys().nth(position).expect("a position").clone();
            match random.below(12) {
                // The first name of a command says which it is: that one stays.
                0 if depth > 0 || position > 0 => drop(document.remove(&key)),
                1 if depth > 0 || position > 0 => {
                    let old = document.remove(&key).expect("the key");
                    document.insert(Grammar(random.clone()).name(), old);
                }
                2 => {
                    let name = Grammar(random.clone()).name();
                    document.insert(name, Grammar(random.clone()).value(2));
                }
                _ => change(document.get_mut(&key).expect("the key"), random, depth + 1),
            }
        }
        Bson::Array(items) if !items.is_empty() && !stops => {
            let position = random.below(items.len());
            match random.below(8) {
                0 => drop(items.remove(position)),
                1 => items.push(items[position].clone()),
                2 => items.reverse(),
                _ => change(&mut items[position], random, depth + 1),
            }
        }
        other => {
            let replaced = match random.below(6) {
                0 => Bson::Array(vec![other.clone()]),
                1 => Bson::Document(Document::from_iter([(Grammar(random.clone()).name(), other.clone())])),
                _ => Grammar(random.clone()).value(2),
            };
            *other = replaced;
        }
    }
    random.next();
}
