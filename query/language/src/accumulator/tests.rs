//! What accumulators make of values.

use sheaf_document::{Decimal128, DocumentBuilder, Value, ValueRef};

use super::AccumulatorSpec;
use crate::expression::{Environment, Scope};

/// Accumulates the field `v` of documents.
fn of(name: &str, values: &[Value<'static>]) -> Value<'static> {
    let spec = AccumulatorSpec::parse(name, ValueRef::String("$v"), &mut Scope::new()).unwrap();
    let mut environment = Environment::new(0, 1);
    let mut state = spec.start(&Value::Null, &mut environment).unwrap();
    for value in values {
        let mut document = DocumentBuilder::new();
        document.append_value("v", value);
        state.add(&spec, document.build().as_raw(), &mut environment).unwrap();
    }
    state.finish(&spec)
}

fn shown(value: &Value<'_>) -> String {
    format!("{:?}", value.clone().to_bytes_form())
}

fn longs(numbers: &[i64]) -> Vec<Value<'static>> {
    numbers.iter().map(|number| Value::Int64(*number)).collect()
}

#[test]
fn sums_keep_the_widest_type() {
    let int = |number| Value::Int32(number);
    assert_eq!(shown(&of("$sum", &[int(1), int(2), Value::from("x"), Value::Missing])), "Int32(3)");
    assert_eq!(shown(&of("$sum", &[int(i32::MAX), int(1)])), "Int64(2147483648)");
    assert_eq!(shown(&of("$sum", &[int(1), Value::Int64(1)])), "Int64(2)");
    assert_eq!(shown(&of("$sum", &longs(&[i64::MAX, i64::MAX]))), "Double(1.8446744073709552e19)");
    assert_eq!(shown(&of("$sum", &longs(&[i64::MAX, 1, -1]))), format!("Int64({})", i64::MAX));
    assert_eq!(shown(&of("$sum", &[])), "Int32(0)");
    let tenths = vec![Value::Double(0.1); 10];
    assert_eq!(shown(&of("$sum", &tenths)), "Double(1.0)", "rounding errors are made good");
    let decimal = Value::Decimal128(Decimal128::parse("0.1").unwrap());
    assert_eq!(
        shown(&of("$sum", &[decimal, int(1)])),
        shown(&Value::Decimal128(Decimal128::parse("1.1").unwrap()))
    );
    assert_eq!(shown(&of("$sum", &[Value::Double(f64::INFINITY), int(1)])), "Double(inf)");
}

#[test]
fn means_and_deviations() {
    assert_eq!(shown(&of("$avg", &longs(&[1, 2]))), "Double(1.5)");
    assert_eq!(shown(&of("$avg", &[Value::from("x")])), "Null");
    assert_eq!(shown(&of("$stdDevPop", &longs(&[2, 4, 4, 4, 5, 5, 7, 9]))), "Double(2.0)");
    assert_eq!(shown(&of("$stdDevSamp", &longs(&[1]))), "Null");
    assert_eq!(shown(&of("$stdDevPop", &longs(&[1]))), "Double(0.0)");
}

#[test]
fn extremes_pass_over_null_and_ends_do_not() {
    let values = [Value::Null, Value::Int32(3), Value::Int32(1), Value::Missing];
    assert_eq!(shown(&of("$min", &values)), "Int32(1)");
    assert_eq!(shown(&of("$max", &values)), "Int32(3)");
    assert_eq!(shown(&of("$max", &[])), "Null");
    assert_eq!(shown(&of("$first", &values)), "Null");
    assert_eq!(shown(&of("$last", &values)), "Null");
}

#[test]
fn collections_of_values() {
    let values = [Value::Int32(1), Value::Int64(1), Value::Null, Value::Missing];
    assert_eq!(shown(&of("$push", &values)), shown(&Value::array(values[..3].to_vec())));
    assert_eq!(shown(&of("$addToSet", &values)), shown(&Value::array(vec![Value::Int32(1), Value::Null])));
}

#[test]
fn the_few_that_come_first() {
    let accumulate = |argument: DocumentBuilder, name: &str| {
        let argument = argument.build();
        let spec =
            AccumulatorSpec::parse(name, ValueRef::Document(argument.as_raw()), &mut Scope::new()).unwrap();
        let mut environment = Environment::new(0, 1);
        let mut state = spec.start(&Value::Null, &mut environment).unwrap();
        for (v, s) in [(1, 2), (2, 1), (3, 2), (4, 3)] {
            let mut document = DocumentBuilder::new();
            document.append("v", v).append("s", s);
            state.add(&spec, document.build().as_raw(), &mut environment).unwrap();
        }
        shown(&state.finish(&spec))
    };
    let sorted = |n: Option<i32>| {
        let mut argument = DocumentBuilder::new();
        argument.append("output", "$v").document("sortBy", |sort| {
            sort.append("s", 1);
        });
        if let Some(n) = n {
            argument.append("n", n);
        }
        argument
    };
    let ints = |numbers: &[i32]| shown(&Value::array(numbers.iter().map(|n| Value::Int32(*n)).collect()));
    assert_eq!(accumulate(sorted(None), "$top"), "Int32(2)");
    assert_eq!(accumulate(sorted(None), "$bottom"), "Int32(4)");
    assert_eq!(accumulate(sorted(Some(3)), "$topN"), ints(&[2, 1, 3]));
    assert_eq!(accumulate(sorted(Some(2)), "$bottomN"), ints(&[3, 4]));
    let limited = |n: i32| {
        let mut argument = DocumentBuilder::new();
        argument.append("input", "$v").append("n", n);
        argument
    };
    assert_eq!(accumulate(limited(2), "$firstN"), ints(&[1, 2]));
    assert_eq!(accumulate(limited(2), "$lastN"), ints(&[3, 4]));
    assert_eq!(accumulate(limited(2), "$maxN"), ints(&[4, 3]));
    assert_eq!(accumulate(limited(9), "$minN"), ints(&[1, 2, 3, 4]));
}

#[test]
fn wrong_arguments_have_their_codes() {
    let code = |name: &str, argument: Value<'static>| {
        let argument = argument.to_bytes_form();
        AccumulatorSpec::parse(name, argument.as_ref().unwrap(), &mut Scope::new())
            .err()
            .map(|error| error.code.0)
    };
    assert_eq!(code("$sum", Value::array(vec![])), Some(40_237));
    assert_eq!(code("$nonsense", Value::Null), Some(15_952));
    assert_eq!(code("$count", Value::Int32(1)), Some(14));
    assert_eq!(code("$firstN", Value::from(DocumentBuilder::new().build())), Some(5_787_906));
    assert_eq!(code("$topN", Value::from(DocumentBuilder::new().build())), Some(5_788_003));
}
