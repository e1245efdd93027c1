use sheaf_document::{DocumentBuilder, RawDocumentBuf, ValueRef};

use super::{SetWindowFields, WindowPartition};
use crate::expression::{Environment, Scope};

fn document(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    write(&mut builder);
    builder.build()
}

/// Documents `{p, t, v}`.
fn rows(rows: &[(i32, i32, i32)]) -> Vec<RawDocumentBuf> {
    let row = |(p, t, v): &(i32, i32, i32)| {
        document(|row| {
            row.append("p", *p).append("t", *t).append("v", *v);
        })
    };
    rows.iter().map(row).collect()
}

/// The field `r` of every result, shown.
fn results(output: RawDocumentBuf, input: &[(i32, i32, i32)]) -> Vec<String> {
    let stage = document(|stage| {
        stage.append("partitionBy", "$p");
        stage.document("sortBy", |sort| {
            sort.append("t", 1);
        });
        stage.document("output", |outputs| {
            outputs.append("r", output);
        });
    });
    let stage = SetWindowFields::parse(ValueRef::Document(stage.as_raw()), &mut Scope::new()).unwrap();
    let results = apply(&stage, rows(input));
    results.iter().map(|row| format!("{:?}", row.as_raw().get("r"))).collect()
}

/// The documents with their new fields, partition by partition, each in its order.
fn apply(stage: &SetWindowFields, rows: Vec<RawDocumentBuf>) -> Vec<RawDocumentBuf> {
    let environment = &mut Environment::new(0, 0);
    let mut keyed: Vec<_> =
        rows.into_iter().map(|row| (stage.key(row.as_raw(), environment).unwrap(), row)).collect();
    keyed.sort_by(|left, right| stage.compare(&left.0, &right.0, None));
    let mut results = Vec::new();
    for members in keyed.chunk_by(|left, right| stage.is_same_partition(&left.0, &right.0, None)) {
        let mut partition = WindowPartition::default();
        for (key, row) in members {
            stage.gather(row.as_raw(), key.clone(), &mut partition, environment).unwrap();
        }
        let mut values = stage.finish(partition, environment).unwrap();
        results.extend(members.iter().map(|(_, row)| stage.attach(row.as_raw(), &mut values)));
    }
    results
}

const INPUT: [(i32, i32, i32); 5] = [(2, 1, 7), (1, 10, 4), (1, 1, 1), (1, 2, 2), (1, 10, 8)];

fn ints(numbers: &[i32]) -> Vec<String> {
    numbers.iter().map(|number| format!("{:?}", Some(ValueRef::Int32(*number)))).collect()
}

fn with_window(name: &str, bounds: (&str, i32)) -> RawDocumentBuf {
    document(|output| {
        output.append("$sum", "$v");
        output.document("window", |window| {
            window.array(name, |items| {
                items.push(bounds.0).push(bounds.1);
            });
        });
    })
}

#[test]
fn frames_by_position_grow_with_the_partition() {
    assert_eq!(results(with_window("documents", ("unbounded", 0)), &INPUT), ints(&[1, 3, 7, 15, 7]));
    assert_eq!(results(with_window("documents", ("current", 1)), &INPUT), ints(&[3, 6, 12, 8, 7]));
}

#[test]
fn frames_by_range_take_peers_along() {
    assert_eq!(results(with_window("range", ("current", 0)), &INPUT), ints(&[1, 2, 12, 12, 7]));
    assert_eq!(results(with_window("range", ("unbounded", 1)), &INPUT), ints(&[3, 3, 15, 15, 7]));
}

#[test]
fn ranks_count_equals_alike() {
    let rank = |name: &str| {
        document(|output| {
            output.document(name, |_| {});
        })
    };
    assert_eq!(results(rank("$rank"), &INPUT), ints(&[1, 2, 3, 3, 1]));
    assert_eq!(results(rank("$denseRank"), &INPUT), ints(&[1, 2, 3, 3, 1]));
    assert_eq!(results(rank("$documentNumber"), &INPUT), ints(&[1, 2, 3, 4, 1]));
}
