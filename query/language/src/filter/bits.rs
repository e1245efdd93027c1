//! `$bitsAllSet $bitsAnySet $bitsAllClear $bitsAnyClear`: bits of integers (two's complement, extended without end)
//! and of binary data (bit 0 is the lowest of the first byte, zeros follow the last).

use sheaf_document::{RawArray, ValueRef};

use super::modulo::integral;
use crate::{Error, ErrorCode, Result};

/// Highest position a mask may name: a number of 32 bits.
const POSITION_MAX: i64 = i32::MAX as i64;

/// Which test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the operators")]
pub enum BitOperator {
    AllSet,
    AnySet,
    AllClear,
    AnyClear,
}

/// A test of some bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitTest {
    /// Which.
    pub operator: BitOperator,
    /// Positions, sorted, without duplicates.
    pub positions: Box<[u32]>,
}

impl BitTest {
    pub(super) fn parse(path: &str, operator: BitOperator, operand: ValueRef<'_>) -> Result<Self> {
        let mut positions = match operand {
            ValueRef::Array(list) => list_positions(path, list)?,
            ValueRef::Binary(binary) => byte_positions(binary.bytes),
            number => mask_positions(path, number)?,
        };
        positions.sort_unstable();
        positions.dedup();
        Ok(Self { operator, positions: positions.into() })
    }

    /// Whether `value` (`None`: missing) fulfils it. What has no bits, such as a fraction, never does.
    pub fn matches(&self, value: Option<ValueRef<'_>>) -> bool {
        match value {
            Some(ValueRef::Binary(binary)) => {
                // The inner length of the old subtype is part of its bits.
                let inner = u32::try_from(binary.bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
                let inner: &[u8] = if binary.subtype == 2 { &inner } else { &[] };
                self.test(|position| {
                    let index = usize::try_from(position / 8).unwrap_or(usize::MAX);
                    let byte = inner.iter().chain(binary.bytes).nth(index);
                    byte.is_some_and(|byte| byte >> (position % 8) & 1 == 1)
                })
            }
            Some(number) => integral(number)
                .is_some_and(|number| self.test(|position| number >> position.min(63) & 1 == 1)),
            None => false,
        }
    }

    fn test(&self, is_set: impl Fn(u32) -> bool) -> bool {
        let mut positions = self.positions.iter().copied();
        match self.operator {
            BitOperator::AllSet => positions.all(is_set),
            BitOperator::AnySet => positions.any(is_set),
            BitOperator::AllClear => positions.all(|position| !is_set(position)),
            BitOperator::AnyClear => positions.any(|position| !is_set(position)),
        }
    }
}

fn list_positions(path: &str, list: RawArray<'_>) -> Result<Vec<u32>> {
    list.iter()
        .map(|item| {
            integral(item)
                .filter(|position| (0..=POSITION_MAX).contains(position))
                .and_then(|position| u32::try_from(position).ok())
                .ok_or_else(|| {
                    let kind = item.kind().name();
                    let message = format!(
                        "a bit position at '{path}' must be a whole number from 0 to {POSITION_MAX}, found {kind}"
                    );
                    Error::new(ErrorCode::BAD_VALUE, message)
                })
        })
        .collect()
}

fn byte_positions(bytes: &[u8]) -> Vec<u32> {
    (0u32..)
        .zip(bytes)
        .flat_map(|(index, byte)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| index * 8 + bit)
        })
        .collect()
}

fn mask_positions(path: &str, operand: ValueRef<'_>) -> Result<Vec<u32>> {
    let kind = operand.kind();
    if !kind.is_number() {
        let name = kind.name();
        let message = format!(
            "a bit test at '{path}' needs a number, an array of positions or binary data, not {name}"
        );
        return Err(Error::new(ErrorCode::BAD_VALUE, message));
    }
    let mask = integral(operand).filter(|mask| *mask >= 0).ok_or_else(|| {
        let message = format!("the bit mask at '{path}' must be a whole number from 0 to {}", i64::MAX);
        Error::new(ErrorCode::FAILED_TO_PARSE, message)
    })?;
    Ok((0..63).filter(|bit| mask >> bit & 1 == 1).collect())
}
