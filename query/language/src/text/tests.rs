//! Searches by example.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};

use super::*;

fn document(fields: &[(&str, &str)]) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    for (name, text) in fields {
        builder.append(name, *text);
    }
    builder.build()
}

fn search(options: &[(&str, Value<'static>)], text: &str) -> Option<f64> {
    let mut builder = DocumentBuilder::new();
    for (name, value) in options {
        builder.append_value(name, value);
    }
    let query = TextQuery::parse(ValueRef::Document(builder.build().as_raw())).unwrap();
    let index = TextIndex::new([("a".to_owned(), 1.0)], Language::English, "language");
    let search = TextSearch::new(query).bound(&Arc::new(index));
    search.score(document(&[("a", text)]).as_raw()).unwrap()
}

fn finds(search_text: &str, text: &str) -> bool {
    search(&[("$search", Value::from(search_text.to_owned()))], text).is_some()
}

#[test]
fn words_are_stemmed_and_stop_words_say_nothing() {
    assert!(finds("running", "I run every day"));
    assert!(finds("blueberry", "I love blueberries"));
    assert!(!finds("blue", "I love blueberries"));
    assert!(!finds("the", "the fox"));
    assert!(finds("cafe", "Un café"));
}

#[test]
fn phrases_must_be_there_and_negated_words_must_not() {
    assert!(finds("\"brown fox\" quick", "brown fox jumps"));
    assert!(!finds("\"brown fox\"", "the brown dog and fox"));
    assert!(finds("fox -brown", "the red fox"));
    assert!(!finds("fox -brown", "the brown fox"));
    assert!(!finds("-fox", "the dog"));
    assert!(finds("well-known", "well done"));
    assert!(!finds("fox -\"brown fox\"", "a brown fox"));
}

#[test]
fn sensitivity_is_asked_for() {
    let sensitive = |option: &'static str, word: &str, text: &str| {
        search(&[("$search", Value::from(word.to_owned())), (option, Value::Boolean(true))], text).is_some()
    };
    assert!(!sensitive("$caseSensitive", "Coffee", "coffee"));
    assert!(sensitive("$caseSensitive", "Coffee", "Coffee is great"));
    assert!(!sensitive("$diacriticSensitive", "cafe", "café"));
}

#[test]
fn more_of_the_word_scores_more() {
    let score = |text: &str| search(&[("$search", Value::from("coffee"))], text).unwrap();
    assert!(score("coffee coffee coffee") > score("coffee"));
    assert!(score("coffee") > score("coffee and cake"));
}
