//! The indexes of the demo and the eight questions.

use super::Demo;
use crate::process::{Outcome, run as run_program};

const INDEXES: &str = r#"{"createIndexes":"cities","indexes":[
    {"key":{"country":1,"population":-1},"name":"country_population"},
    {"key":{"cityId":1},"name":"city_id","unique":true},
    {"key":{"words":1},"name":"words"},
    {"key":{"name":1},"name":"name"}]}"#;

const QUESTIONS: [(&str, &str); 8] = [
    (
        "One city by its GeoNames id (point, unique index)",
        r#"{"find":"cities","filter":{"cityId":3143244},"projection":{"_id":0,"name":1,"country":1,"population":1}}"#,
    ),
    (
        "The five largest cities between one and two million, by name (range, sort, limit)",
        r#"{"find":"cities","filter":{"population":{"$gte":1000000,"$lt":2000000}},"sort":{"population":-1},"limit":5,"projection":{"_id":0,"name":1,"country":1,"population":1}}"#,
    ),
    (
        "The three largest cities of Norway (compound index gives filter and order)",
        r#"{"find":"cities","filter":{"country":"NO","population":{"$gt":50000}},"sort":{"population":-1},"limit":3,"projection":{"_id":0,"name":1,"population":1}}"#,
    ),
    (
        "Cities with the word \"oslo\" in their name (array membership, multikey index)",
        r#"{"find":"cities","filter":{"words":"oslo"},"projection":{"_id":0,"name":1,"country":1}}"#,
    ),
    (
        "Names that start with \"Stavan\" (regular expression prefix becomes an index range)",
        r#"{"find":"cities","filter":{"name":{"$regex":"^Stavan"}},"projection":{"_id":0,"name":1,"country":1}}"#,
    ),
    (
        "The five countries with the most city dwellers (group-by)",
        r#"{"aggregate":"cities","pipeline":[{"$group":{"_id":"$country","people":{"$sum":"$population"},"cities":{"$sum":1}}},{"$sort":{"people":-1}},{"$limit":5}],"cursor":{}}"#,
    ),
    (
        "The kinds of places in Iceland (distinct)",
        r#"{"distinct":"cities","key":"feature","query":{"country":"IS"}}"#,
    ),
    (
        "A child is born in Oslo (update with $inc)",
        r#"{"update":"cities","updates":[{"q":{"cityId":3143244},"u":{"$inc":{"population":1}}}]}"#,
    ),
];

/// Builds the compound, the unique and the multikey index.
pub fn build_indexes(demo: &Demo) -> Outcome {
    println!("\n== Indexes: compound, unique, multikey, and one on the name");
    run_program(demo.embedded("query").args(["--database", "geo", "--time", INDEXES]))
}

/// Asks the eight questions; each prints its answer, its plan and its time.
pub fn ask(demo: &Demo) -> Outcome {
    for (number, (question, command)) in QUESTIONS.iter().enumerate() {
        println!("\n== Question {}: {question}\n{command}", number + 1);
        run_program(demo.embedded("query").args(["--database", "geo", "--plan", "--time", command]))?;
    }
    Ok(())
}
