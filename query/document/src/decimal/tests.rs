//! Arithmetic against results that MongoDB shows and against hand-computed edges.

use std::cmp::Ordering;

use super::*;

fn decimal(text: &str) -> Decimal128 {
    Decimal128::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(actual: Decimal128, expected: &str) {
    assert_eq!(actual.to_string(), expected);
}

const LARGEST: &str = "9.999999999999999999999999999999999E+6144";

#[test]
fn text_goes_both_ways() {
    for text in [
        "0",
        "-0",
        "1",
        "1.0",
        "0.001",
        "0.000001",
        "1E-7",
        "1E+3",
        "12345.678",
        "-1.50",
        "0E+3",
        "0E-6176",
        "0.00",
        "1E-6176",
        "1.234567890123456789012345678901234E+40",
        LARGEST,
        "NaN",
        "Infinity",
        "-Infinity",
    ] {
        check(decimal(text), text);
    }
    check(decimal("1E6144"), "1.000000000000000000000000000000000E+6144");
    check(decimal("+.5e-2"), "0.005");
    for text in ["", ".", "e5", "1e", "1.2.3", "0x1", "1 ", "--1", "infinit", "1e+"] {
        assert!(Decimal128::parse(text).is_err(), "{text}");
    }
    assert!(Decimal128::parse("1E-6177").is_err(), "inexact");
    assert!(Decimal128::parse("12345678901234567890123456789012345").is_err(), "inexact");
    check(
        Decimal128::parse_rounded("12345678901234567890123456789012345").unwrap().0,
        "1.234567890123456789012345678901234E+34",
    );
    check(Decimal128::parse_rounded("1E+6145").unwrap().0, "Infinity");
}

#[test]
fn bits_that_are_not_canonical_mean_zero() {
    let mut bytes = [0xFF; 16];
    bytes[15] = 0x6C;
    assert!(Decimal128(bytes).is_zero());
    let too_large = Decimal128(((6176u128 << 113) | 10u128.pow(34)).to_le_bytes());
    check(too_large, "0");
}

#[test]
fn sums() {
    let sum = |a, b| (decimal(a) + decimal(b)).to_string();
    assert_eq!(sum("1.10", "2.2"), "3.30");
    assert_eq!(sum("1", "-1"), "0");
    assert_eq!(sum("-0", "-0"), "-0");
    assert_eq!(sum("1E+6000", "1E-6000"), "1.000000000000000000000000000000000E+6000");
    assert_eq!(sum("1E+60", "-1E-60"), "1.000000000000000000000000000000000E+60");
    assert_eq!(sum("9999999999999999999999999999999999", "0.5"), "1.000000000000000000000000000000000E+34");
    assert_eq!(sum("1E+10", "0E-5"), "10000000000.00000");
    assert_eq!(sum("1E+100", "0E-100"), "1.000000000000000000000000000000000E+100");
    assert_eq!(sum("0E+5", "7E-40"), "7E-40");
    assert_eq!(sum(LARGEST, LARGEST), "Infinity");
    assert_eq!(sum("Infinity", "-Infinity"), "NaN");
}

#[test]
fn sums_of_distant_operands_equal_the_long_way() {
    let mut seed = 7u64;
    let mut next = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    for _ in 0..20_000 {
        let make = |coefficient: u64, exponent: u64| {
            decimal(&format!("{coefficient}")) * decimal(&format!("1E{}", exponent.cast_signed() - 60))
        };
        let (left, right) = (make(next(1 << 30), next(120)), make(next(1 << 30), next(120)));
        for right in [right, right.negate()] {
            assert_eq!((left + right), right + left);
            let (a, b) = (left.finite().unwrap(), right.finite().unwrap());
            let low = a.exponent.min(b.exponent);
            let wide = |parts: Finite| {
                let digits = parts.coefficient * wide::power_of_ten_wide(parts.exponent.abs_diff(low));
                num_bigint::BigInt::from_biguint(
                    if parts.negative { num_bigint::Sign::Minus } else { num_bigint::Sign::Plus },
                    digits,
                )
            };
            let exact = wide(a) + wide(b);
            let expected = Decimal128::parse_rounded(&format!("{exact}E{low}")).unwrap().0;
            assert_eq!((left + right).compare(expected), Ordering::Equal, "{left} + {right}");
        }
    }
}

#[test]
fn products_quotients_remainders() {
    let product = |a, b| (decimal(a) * decimal(b)).to_string();
    assert_eq!(product("1.20", "3"), "3.60");
    assert_eq!(product("-0", "5"), "-0");
    assert_eq!(product("1E-6000", "1E-6000"), "0E-6176");
    assert_eq!(
        product("9999999999999999999999999999999999", "9999999999999999999999999999999999"),
        "9.999999999999999999999999999999998E+67"
    );
    assert_eq!(product("Infinity", "0"), "NaN");
    let quotient = |a, b| (decimal(a) / decimal(b)).to_string();
    assert_eq!(quotient("1", "3"), "0.3333333333333333333333333333333333");
    assert_eq!(quotient("2", "3"), "0.6666666666666666666666666666666667");
    assert_eq!(quotient("10", "4"), "2.5");
    assert_eq!(quotient("1.00", "2"), "0.50");
    assert_eq!(quotient("100", "1"), "100");
    assert_eq!(quotient("1", "0"), "Infinity");
    assert_eq!(quotient("0", "0"), "NaN");
    assert_eq!(quotient("0", "3"), "0");
    assert_eq!(quotient("1", "-Infinity"), "-0E-6176");
    let remainder = |a, b| (decimal(a) % decimal(b)).to_string();
    assert_eq!(remainder("10.5", "3.2"), "0.9");
    assert_eq!(remainder("1.000000000000000000000000000000000E+6144", "3"), "1");
    assert_eq!(remainder("-9.999999999999999999999999999999999E+6144", "3"), "-0");
    assert_eq!(remainder("1E-6143", "3"), "1E-6143");
    assert_eq!(remainder("10", "-Infinity"), "10");
    assert_eq!(remainder("Infinity", "3"), "NaN");
}

#[test]
fn rounding_to_a_place() {
    let round = |text, place| decimal(text).round_to_place(place, Rounding::HalfEven).to_string();
    for (text, place, expected) in [
        ("2.015", 2, "2.02"),
        ("1.005", 2, "1.00"),
        ("23.298", -1, "2E+1"),
        ("0.95", 1, "1.0"),
        ("1.123456789012345678901234567890123", 100, "1.123456789012345678901234567890123"),
        ("1.00000000000000000000000000000000", 0, "1"),
        ("1E-6143", 0, "0"),
        ("-0.5", 0, "-0"),
        ("1.000000000000000000000000000000000E+6144", 0, "1.000000000000000000000000000000000E+6144"),
        ("0.5000000000000000000000000000000001", 0, "1"),
        ("1E-100", 50, "0E-50"),
    ] {
        assert_eq!(round(text, place), expected, "{text} to {place}");
    }
    check(decimal("-1.5").truncate(), "-1");
    check(decimal("-1.5").floor(), "-2");
    check(decimal("-1.5").ceiling(), "-1");
    check(decimal("1.5").ceiling(), "2");
    check(decimal("2.5").round(), "2");
    assert_eq!(decimal("1").quantize(-34, Rounding::HalfEven), None);
}

#[test]
fn square_roots() {
    for (text, expected) in [
        ("9", "3"),
        ("0.04", "0.2"),
        ("2", "1.414213562373095048801688724209698"),
        ("5", "2.236067977499789696409173668731276"),
        ("1.000000000000000000000000000000000E+6144", "1.00000000000000000E+3072"),
        ("1.00000000000000000000000000000000", "1.0000000000000000"),
        (LARGEST, "3.162277660168379331998893544432718E+3072"),
        ("1E-6176", "1E-3088"),
        ("1E-6143", "3.162277660168379331998893544432719E-3072"),
        ("-0", "-0"),
        ("-1", "NaN"),
        ("Infinity", "Infinity"),
    ] {
        assert_eq!(decimal(text).square_root().to_string(), expected, "root of {text}");
    }
}

#[test]
fn transcendental_functions() {
    for (text, expected) in [
        ("1.000000000000000000000000000000000E+6144", "Infinity"),
        ("-9.999999999999999999999999999999999E+6144", "0E-6176"),
        ("1E-6143", "1"),
        ("-1", "0.3678794411714423215955237701614609"),
        ("1", "2.718281828459045235360287471352662"),
        ("-Infinity", "0"),
    ] {
        assert_eq!(decimal(text).exponential().to_string(), expected, "e to {text}");
    }
    check(decimal(LARGEST).natural_logarithm(), "14149.38539644841072829055748903542");
    check(decimal("1E-6176").natural_logarithm(), "-14220.76553433122614449511522413063");
    check(decimal("1.0").natural_logarithm(), "0");
    check(decimal(LARGEST).logarithm_base_10(), "6145");
    check(decimal("2").logarithm_base_10(), "0.3010299956639811952137388947244930");
    check(decimal("1E-6143").logarithm_base_10(), "-6143");
    check(decimal("0").natural_logarithm(), "-Infinity");
    check(decimal("1").sine(), "0.8414709848078965066525023216302990");
    check(decimal("0").cosine(), "1");
    check(decimal("1").arc_tangent(), "0.7853981633974483096156608458198757");
    check(decimal("-1").arc_tangent_2(decimal("-1")), "-2.356194490192344928846982537459627");
    check(decimal("1").inverse_hyperbolic_tangent(), "Infinity");
    check(decimal("2").arc_sine(), "NaN");
    check(decimal("1").hyperbolic_cosine(), "1.543080634815243778477905620757062");
}

#[test]
fn powers_have_all_their_digits() {
    for (base, exponent, expected) in [
        ("0.5", "2", "0.2500000000000000000000000000000000"),
        ("0.4999999999999999999999999999999999", "2", "0.2499999999999999999999999999999999"),
        ("10", "20", "100000000000000000000.0000000000000"),
        (LARGEST, "1", "Infinity"),
        ("-9.999999999999999999999999999999999E+6144", "1", "-Infinity"),
        ("2", "100", "1267650600228229401496703205376.000"),
        ("-2", "3", "-8.000000000000000000000000000000000"),
        ("-8", "0.5", "NaN"),
        ("0", "-1", "Infinity"),
    ] {
        assert_eq!(decimal(base).power(decimal(exponent)).to_string(), expected, "{base} ^ {exponent}");
    }
}

#[test]
fn angles_of_any_size_are_reduced_exactly() {
    for text in [LARGEST, "1E+6144", "1E+3000", "1E-6176", "123456789E+2000"] {
        let sine = decimal(text).sine();
        let cosine = decimal(text).cosine();
        let one = (sine * sine + cosine * cosine).round_to_place(30, Rounding::HalfEven);
        assert_eq!(one.compare(decimal("1")), Ordering::Equal, "{text}");
    }
}

#[test]
fn conversions() {
    for (double, expected) in [
        (9_007_199_254_740_992.0, "9.00719925474099E+15"),
        (2.5, "2.50000000000000"),
        (f64::MAX, "1.79769313486232E+308"),
        (-5e-324, "-4.94065645841247E-324"),
        (-0.0, "-0"),
        (0.999_999_999_999_999_6, "1.00000000000000"),
        (9_999_999_999_999_998.0, "1.00000000000000E+16"),
        (1.234_567_890_123_455, "1.23456789012345"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        check(Decimal128::from_f64(double), expected);
    }
    assert_eq!(decimal("9223372036854775807").to_i64_exact(), Some(i64::MAX));
    assert_eq!(decimal("-9223372036854775808").to_i64_exact(), Some(i64::MIN));
    assert_eq!(decimal("9223372036854775808").to_i64_exact(), None);
    assert_eq!(decimal("1E+6000").to_i64_exact(), None);
    assert_eq!(decimal("0E+6000").to_i64_exact(), Some(0));
    assert_eq!(decimal("1.5").to_i64_exact(), None);
    assert_eq!(decimal("1.5").to_i64(Rounding::HalfEven), Some(2));
    assert_eq!(decimal("-1.5").to_i32(Rounding::TowardZero), Some(-1));
    assert_eq!(Decimal128::NAN.to_i64(Rounding::TowardZero), None);
    assert_eq!(decimal("0.1").to_f64(), 0.1);
    assert_eq!(decimal("1E+400").to_f64(), f64::INFINITY);
}

#[test]
fn doubles_compare_exactly() {
    assert_eq!(decimal("0.1").compare_f64(0.1), Ordering::Less);
    assert_eq!(decimal("0.5").compare_f64(0.5), Ordering::Equal);
    assert_eq!(decimal("-0.1").compare_f64(-0.1), Ordering::Greater);
    assert_eq!(decimal("1E-6000").compare_f64(0.0), Ordering::Greater);
    assert_eq!(decimal("-1E-6000").compare_f64(-0.0), Ordering::Less);
    assert_eq!(decimal("-0").compare_f64(0.0), Ordering::Equal);
    assert_eq!(decimal("1E+400").compare_f64(f64::INFINITY), Ordering::Less);
    assert_eq!(decimal("Infinity").compare_f64(f64::INFINITY), Ordering::Equal);
    assert_eq!(Decimal128::NAN.compare_f64(f64::NEG_INFINITY), Ordering::Less);
    assert_eq!(decimal("1E+23").compare_f64(1e23), Ordering::Greater);
}
