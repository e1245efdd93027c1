//! Powers, logarithms and angles. The functions are computed by `astro-float` in binary with far more bits than 34
//! digits need, and rounded once; what is ours is the edges (infinities, zeros, ranges) and the form of the result.
//!
//! The form follows what MongoDB shows: powers have all 34 digits (2 to the third is
//! 8.000000000000000000000000000000000); everything else is written short where the result is a short binary fraction
//! (the logarithm of 100 is 2), and with 34 digits where it is not.

use std::cell::RefCell;

use astro_float::{BigFloat, Consts, Radix, RoundingMode};

use super::finish::{Unrounded, finish};
use super::unpack::{Finite, Unpacked};
use super::wide::power_of_ten;
use super::{COEFFICIENT_MAX, DIGITS_MAX, EXPONENT_MAX, EXPONENT_MIN};
use crate::Decimal128;

/// Bits of the computation: 34 digits are 113 bits; the rest makes double rounding practically impossible.
const PRECISION_BITS: usize = 256;
/// No exponential of a number beyond this, on either side of zero, is finite and above zero.
const EXPONENT_ARGUMENT_MAX: i32 = 15_000;

thread_local! {
    /// Constants (pi, e, logarithms) that are computed once per thread; nothing where memory for them ran out.
    static CONSTANTS: RefCell<Option<Consts>> = RefCell::new(Consts::new().ok());
}

type Function = fn(&BigFloat, usize, RoundingMode, &mut Consts) -> BigFloat;

fn with_constants(compute: impl FnOnce(&mut Consts) -> Option<Decimal128>) -> Decimal128 {
    CONSTANTS.with_borrow_mut(|constants| constants.as_mut().and_then(compute)).unwrap_or(Decimal128::NAN)
}

fn to_float(number: Decimal128, constants: &mut Consts) -> BigFloat {
    BigFloat::parse(&number.to_string(), Radix::Dec, PRECISION_BITS, RoundingMode::ToEven, constants)
}

fn to_decimal(number: &BigFloat, constants: &mut Consts) -> Option<Decimal128> {
    if number.is_nan() {
        return Some(Decimal128::NAN);
    }
    if number.is_inf() {
        return Some(Decimal128::infinity(number.is_negative()));
    }
    let text = number.format(Radix::Dec, RoundingMode::ToEven, constants).ok()?;
    Decimal128::parse_rounded(&text).ok().map(|(decimal, _)| decimal)
}

fn apply(function: Function, number: Decimal128) -> Decimal128 {
    let result = with_constants(|constants| {
        let argument = to_float(number, constants);
        let result = function(&argument, PRECISION_BITS, RoundingMode::ToEven, constants);
        to_decimal(&result, constants)
    });
    shorten(result)
}

/// Short form for a number that is a short binary fraction: no trailing zeros behind the point, exponent 0 for an
/// integer.
fn shorten(number: Decimal128) -> Decimal128 {
    let Some(parts) = number.finite() else { return number };
    let short = parts.normalized();
    if short.exponent > 0 {
        return number.quantize(0, super::Rounding::HalfEven).unwrap_or(number);
    }
    let is_binary_fraction =
        5u128.checked_pow(short.exponent.unsigned_abs()).is_some_and(|unit| short.coefficient % unit == 0);
    if is_binary_fraction { Decimal128::from_finite(short).unwrap_or(number) } else { number }
}

/// All 34 digits.
fn lengthen(number: Decimal128) -> Decimal128 {
    let Some(parts) = number.finite() else { return number };
    let room = DIGITS_MAX.saturating_sub(parts.digits()).min(parts.exponent.abs_diff(EXPONENT_MIN));
    if parts.coefficient == 0 {
        return number;
    }
    let coefficient = parts.coefficient.saturating_mul(power_of_ten(room).unwrap_or(1));
    let exponent = parts.exponent.saturating_sub_unsigned(room);
    finish(Unrounded { negative: parts.negative, coefficient, exponent, sticky: false }).decimal
}

impl Decimal128 {
    /// Pi, to 34 digits.
    pub const PI: Self = Self::new(false, 3_141_592_653_589_793_238_462_643_383_279_503, -33);

    const ONE: Self = Self::new(false, 1, 0);

    fn is_below(self, limit: Self) -> bool {
        self.compare(limit).is_lt()
    }

    fn is_equal(self, other: Self) -> bool {
        self.compare(other).is_eq()
    }

    /// e to the power of this number.
    #[must_use]
    pub fn exponential(self) -> Self {
        match self.unpack() {
            Unpacked::NotANumber { .. } => Self::NAN,
            Unpacked::Infinity { negative: true } => Self::ZERO,
            Unpacked::Infinity { negative: false } => Self::INFINITY,
            Unpacked::Finite(_) if self.abs().is_below(Self::from(EXPONENT_ARGUMENT_MAX)) => {
                apply(BigFloat::exp, self)
            }
            Unpacked::Finite(Finite { negative: true, .. }) => Self::new(false, 0, EXPONENT_MIN),
            Unpacked::Finite(_) => Self::INFINITY,
        }
    }

    /// The natural logarithm: -infinity at zero, NaN below.
    #[must_use]
    pub fn natural_logarithm(self) -> Self {
        self.logarithm(BigFloat::ln)
    }

    /// The logarithm to base 10: -infinity at zero, NaN below.
    #[must_use]
    pub fn logarithm_base_10(self) -> Self {
        self.logarithm(BigFloat::log10)
    }

    fn logarithm(self, function: Function) -> Self {
        match self.unpack() {
            Unpacked::Finite(Finite { coefficient: 0, .. }) => Self::NEGATIVE_INFINITY,
            Unpacked::Finite(Finite { negative: false, .. }) => apply(function, self),
            Unpacked::Infinity { negative: false } => Self::INFINITY,
            _ => Self::NAN,
        }
    }

    /// This number to the power of `exponent`; NaN where it is not real. As in MongoDB the result has 34 digits, and a
    /// result as large as the largest decimal is infinite.
    #[must_use]
    pub fn power(self, exponent: Self) -> Self {
        if exponent.is_zero() || self.is_equal(Self::ONE) {
            return Self::ONE;
        }
        if self.is_nan() || exponent.is_nan() {
            return Self::NAN;
        }
        let odd = exponent.is_odd_integer();
        let negative = self.is_negative() && odd;
        if self.is_zero() || self.is_infinite() || exponent.is_infinite() {
            return self.power_at_edge(exponent, negative);
        }
        if self.is_negative() && !exponent.round_to_place(0, super::Rounding::TowardZero).is_equal(exponent) {
            return Self::NAN;
        }
        let magnitude = self.abs().power_of_positive(exponent);
        if negative { magnitude.negate() } else { magnitude }
    }

    fn power_at_edge(self, exponent: Self, negative: bool) -> Self {
        let magnitude = self.abs();
        let grows = if exponent.is_infinite() {
            match magnitude.compare(Self::ONE) {
                std::cmp::Ordering::Equal => return Self::ONE,
                order => order.is_gt() != exponent.is_negative(),
            }
        } else {
            magnitude.is_infinite() != exponent.is_negative()
        };
        if grows { Self::infinity(negative) } else { Self::new(negative, 0, 0) }
    }

    fn power_of_positive(self, exponent: Self) -> Self {
        // The logarithm of the result to base 10, roughly: beyond the range of exponents there is nothing to compute.
        let rough = exponent * self.logarithm_base_10();
        if !rough.abs().is_below(Self::from(7000)) {
            return if rough.is_negative() { Self::new(false, 0, EXPONENT_MIN) } else { Self::INFINITY };
        }
        let result = lengthen(with_constants(|constants| {
            let base = to_float(self, constants);
            let exponent = to_float(exponent, constants);
            // Rounding a power correctly would look for digits without end where the power is exact.
            let result = base.pow(&exponent, PRECISION_BITS, RoundingMode::None, constants);
            to_decimal(&result, constants)
        }));
        let largest = Self::new(false, COEFFICIENT_MAX, EXPONENT_MAX);
        if result.is_equal(largest) { Self::INFINITY } else { result }
    }

    fn is_odd_integer(self) -> bool {
        self.finite()
            .map(Finite::normalized)
            .is_some_and(|parts| parts.exponent == 0 && parts.coefficient % 2 == 1)
    }

    /// A function that is not defined at the infinities.
    fn periodic(self, function: Function) -> Self {
        if self.is_finite() { apply(function, self) } else { Self::NAN }
    }

    /// The sine of an angle in radians; NaN at the infinities.
    #[must_use]
    pub fn sine(self) -> Self {
        if self.is_zero() { self } else { self.periodic(BigFloat::sin) }
    }

    /// The cosine of an angle in radians; NaN at the infinities.
    #[must_use]
    pub fn cosine(self) -> Self {
        self.periodic(BigFloat::cos)
    }

    /// The tangent of an angle in radians; NaN at the infinities.
    #[must_use]
    pub fn tangent(self) -> Self {
        if self.is_zero() { self } else { self.periodic(BigFloat::tan) }
    }

    /// The angle in radians with this sine; NaN beyond -1 and 1.
    #[must_use]
    pub fn arc_sine(self) -> Self {
        match () {
            () if self.is_zero() => self,
            () if Self::ONE.is_below(self.abs()) => Self::NAN,
            () => self.periodic(BigFloat::asin),
        }
    }

    /// The angle in radians with this cosine; NaN beyond -1 and 1.
    #[must_use]
    pub fn arc_cosine(self) -> Self {
        match () {
            () if self.is_equal(Self::ONE) => Self::ZERO,
            () if Self::ONE.is_below(self.abs()) => Self::NAN,
            () => self.periodic(BigFloat::acos),
        }
    }

    /// The angle in radians with this tangent; half of pi at the infinities.
    #[must_use]
    pub fn arc_tangent(self) -> Self {
        match self.unpack() {
            Unpacked::Infinity { negative } => half_pi(negative),
            _ if self.is_zero() => self,
            _ => self.periodic(BigFloat::atan),
        }
    }

    /// The angle in radians between the x axis and the point (`x`, `self`), from -pi to pi.
    #[must_use]
    pub fn arc_tangent_2(self, x: Self) -> Self {
        let negative = self.is_negative();
        let signed = |angle: Self| if negative { angle.negate() } else { angle };
        match () {
            () if self.is_nan() || x.is_nan() => Self::NAN,
            () if self.is_infinite() && x.is_infinite() => {
                let quarter = Self::PI / Self::from(4);
                signed(if x.is_negative() { quarter * Self::from(3) } else { quarter })
            }
            () if self.is_infinite() => half_pi(negative),
            () if self.is_zero() || x.is_infinite() => {
                signed(if x.is_negative() { Self::PI } else { Self::ZERO })
            }
            () if x.is_zero() => half_pi(negative),
            () => signed(self.abs().angle_above_axis(x)),
        }
    }

    /// [`Decimal128::arc_tangent_2`] for finite `self` above zero and finite `x` other than zero.
    fn angle_above_axis(self, x: Self) -> Self {
        let angle = with_constants(|constants| {
            let (y, x) = (to_float(self, constants), to_float(x, constants));
            let slope = y.div(&x, PRECISION_BITS, RoundingMode::ToEven);
            let mut angle = slope.atan(PRECISION_BITS, RoundingMode::ToEven, constants);
            if x.is_negative() {
                let pi = constants.pi(PRECISION_BITS, RoundingMode::ToEven);
                angle = angle.add(&pi, PRECISION_BITS, RoundingMode::ToEven);
            }
            to_decimal(&angle, constants)
        });
        shorten(angle)
    }

    /// The hyperbolic sine.
    #[must_use]
    pub fn hyperbolic_sine(self) -> Self {
        self.hyperbolic(BigFloat::sinh, |number| Self::infinity(number.is_negative()))
    }

    /// The hyperbolic cosine.
    #[must_use]
    pub fn hyperbolic_cosine(self) -> Self {
        if self.is_zero() { Self::ONE } else { self.hyperbolic(BigFloat::cosh, |_| Self::INFINITY) }
    }

    /// The hyperbolic tangent.
    #[must_use]
    pub fn hyperbolic_tangent(self) -> Self {
        self.hyperbolic(
            BigFloat::tanh,
            |number| if number.is_negative() { Self::ONE.negate() } else { Self::ONE },
        )
    }

    /// A hyperbolic function; `far` is its value far from zero.
    fn hyperbolic(self, function: Function, far: fn(Self) -> Self) -> Self {
        match () {
            () if self.is_nan() => Self::NAN,
            () if self.is_zero() => self,
            () if self.abs().is_below(Self::from(EXPONENT_ARGUMENT_MAX)) => apply(function, self),
            () => far(self),
        }
    }

    /// The inverse of the hyperbolic sine.
    #[must_use]
    pub fn inverse_hyperbolic_sine(self) -> Self {
        match () {
            () if self.is_nan() => Self::NAN,
            () if self.is_zero() || self.is_infinite() => self,
            () => apply(BigFloat::asinh, self),
        }
    }

    /// The inverse of the hyperbolic cosine; NaN below 1.
    #[must_use]
    pub fn inverse_hyperbolic_cosine(self) -> Self {
        match () {
            () if self.is_nan() || self.is_below(Self::ONE) => Self::NAN,
            () if self.is_infinite() => self,
            () if self.is_equal(Self::ONE) => Self::ZERO,
            () => apply(BigFloat::acosh, self),
        }
    }

    /// The inverse of the hyperbolic tangent; infinite at -1 and 1, NaN beyond.
    #[must_use]
    pub fn inverse_hyperbolic_tangent(self) -> Self {
        match self.abs().compare(Self::ONE) {
            std::cmp::Ordering::Equal => Self::infinity(self.is_negative()),
            std::cmp::Ordering::Greater => Self::NAN,
            std::cmp::Ordering::Less if self.is_nan() => Self::NAN,
            std::cmp::Ordering::Less if self.is_zero() => self,
            std::cmp::Ordering::Less => apply(BigFloat::atanh, self),
        }
    }
}

fn half_pi(negative: bool) -> Decimal128 {
    let angle = Decimal128::PI / Decimal128::from(2);
    if negative { angle.negate() } else { angle }
}
