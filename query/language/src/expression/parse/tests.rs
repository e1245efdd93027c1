use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};

use crate::expression::{Environment, Expression, Scope};
use crate::{Error, ErrorCode};

fn document(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    let mut builder = DocumentBuilder::new();
    write(&mut builder);
    builder.build()
}

fn parse(value: ValueRef<'_>) -> Result<Expression, Error> {
    Expression::parse(value, &mut Scope::new())
}

fn code(value: ValueRef<'_>) -> i32 {
    parse(value).err().map_or(0, |error| error.code.0)
}

fn operator(write: impl FnOnce(&mut DocumentBuilder)) -> RawDocumentBuf {
    document(write)
}

#[test]
fn fields_are_found_and_arrays_are_mapped() {
    let root = document(|root| {
        root.array("a", |items| {
            items.document(|item| {
                item.append("b", 1);
            });
            items.push(7);
            items.document(|item| {
                item.append("c", 2);
            });
        });
    });
    let expression = parse(ValueRef::String("$a.b")).unwrap();
    let value = expression.evaluate(root.as_raw(), &mut Environment::new(0, 0)).unwrap();
    assert_eq!(format!("{value:?}"), format!("{:?}", Value::array(vec![Value::Int32(1)])));
}

#[test]
fn let_binds_and_unbinds() {
    let text = operator(|root| {
        root.document("$let", |arguments| {
            arguments.document("vars", |vars| {
                vars.append("x", "$a");
            });
            arguments.array("in", |items| {
                items.push("$$x").push("$$ROOT.a").push("$$REMOVE");
            });
        });
    });
    let expression = parse(ValueRef::Document(text.as_raw())).unwrap();
    let root = document(|root| {
        root.append("a", 5);
    });
    let value = expression.evaluate(root.as_raw(), &mut Environment::new(0, 0)).unwrap();
    let expected = Value::array(vec![Value::Int32(5), Value::Int32(5), Value::Null]);
    assert_eq!(format!("{value:?}"), format!("{expected:?}"));
    assert_eq!(code(ValueRef::String("$$x")), 17276);
}

#[test]
fn wrong_paths_have_their_codes() {
    let expected = [
        ("$", 16872),
        ("$$", ErrorCode::FAILED_TO_PARSE.0),
        ("$a.", 40353),
        ("$a..b", 15998),
        ("$a.$b", 16410),
        ("$$_x", ErrorCode::FAILED_TO_PARSE.0),
    ];
    for (text, expected) in expected {
        assert_eq!(code(ValueRef::String(text)), expected, "{text}");
    }
}

#[test]
fn a_constant_operand_decides_before_evaluation() {
    let text = operator(|root| {
        root.array("$or", |items| {
            items.push("$a").push(true);
        });
    });
    let expression = parse(ValueRef::Document(text.as_raw())).unwrap();
    assert!(matches!(expression.as_constant(), Some(Value::Boolean(true))));
}
