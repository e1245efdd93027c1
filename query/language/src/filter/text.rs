//! `$text` in a filter: where it may stand, and the index it is bound to.

use std::sync::Arc;

use super::Filter;
use super::parse::invalid;
use super::predicate::Predicate;
use crate::Result;
use crate::text::{TextIndex, TextSearch};

impl Filter {
    /// The `$text` of the filter. Whoever runs the query finds the index, binds it, and knows the scores.
    pub fn text(&self) -> Option<&TextSearch> {
        find(&self.predicate)
    }

    /// Tells the `$text` of the filter which fields to look at. Unbound, it answers every document with an error.
    pub fn bind_text(&mut self, index: &Arc<TextIndex>) {
        bind(&mut self.predicate, index);
    }
}

fn find(predicate: &Predicate) -> Option<&TextSearch> {
    match predicate {
        Predicate::Text(search) => Some(search),
        Predicate::And(list) | Predicate::Or(list) | Predicate::Nor(list) => list.iter().find_map(find),
        Predicate::Not(inner) => find(inner),
        _ => None,
    }
}

fn bind(predicate: &mut Predicate, index: &Arc<TextIndex>) {
    match predicate {
        Predicate::Text(search) => *search = search.bound(index),
        Predicate::And(list) | Predicate::Or(list) | Predicate::Nor(list) => {
            list.iter_mut().for_each(|inner| bind(inner, index));
        }
        Predicate::Not(inner) => bind(inner, index),
        _ => {}
    }
}

/// Refuses a second `$text`, one that is negated, and one beside `$near`.
pub(super) fn check(predicate: &Predicate) -> Result<()> {
    let (mut count, mut is_negated, mut has_near) = (0, false, false);
    predicate.visit(&mut |inner| match inner {
        Predicate::Text(_) => count += 1,
        Predicate::Nor(list) => is_negated |= list.iter().any(|inner| find(inner).is_some()),
        Predicate::Field { condition: super::Condition::Place(place), .. } => {
            has_near |= matches!(&**place, super::Place::Near(_));
        }
        _ => {}
    });
    match (count, is_negated, has_near) {
        (0, ..) | (1, false, false) => Ok(()),
        (1, true, _) => Err(invalid("$text cannot stand in a $nor")),
        (1, _, true) => Err(invalid("$text and $near cannot be used together")),
        _ => Err(invalid("a filter has at most one $text")),
    }
}
