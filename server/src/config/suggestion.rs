//! Finding the word somebody meant.

/// The known word that needs the fewest changes to become `word`, if few enough (a third of its letters).
pub(super) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let last_part = |text: &'static str| text.rsplit('.').next().unwrap_or(text);
    known
        .iter()
        // A key in the wrong section, or in none, is compared by its last part too.
        .map(|candidate| {
            let own_last_part = word.rsplit('.').next().unwrap_or(word);
            let whole = distance(word, candidate);
            let part = distance(own_last_part, last_part(candidate)).saturating_add(1);
            (whole.min(part), *candidate)
        })
        .min()
        .filter(|(distance, candidate)| *distance <= last_part(candidate).len().div_ceil(3).max(1))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut before = line + 1;
        next.push(before);
        for (b, above) in right.iter().zip(row.windows(2)) {
            let &[diagonal, up] = above else { continue };
            before = (before + 1).min(up + 1).min(diagonal + usize::from(a != *b));
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("grcp", "grpc"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn a_typing_error_finds_its_key_and_nonsense_finds_none() {
        let keys = ["listen.grpc", "server.drain_seconds"];
        assert_eq!(nearest("server.drain_second", &keys), Some("server.drain_seconds"));
        assert_eq!(nearest("drain_seconds", &keys), Some("server.drain_seconds"));
        assert_eq!(nearest("listen.grcp", &keys), Some("listen.grpc"));
        assert_eq!(nearest("colour", &keys), None);
    }
}
