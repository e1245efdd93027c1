//! CSV and TSV input with a header line. A dotted column (`address.city`) fills a nested document; a cell that reads
//! as a number becomes one; everything else is a string.

use std::io;

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value};

use super::record::Record;

/// Records of a delimited file.
pub struct Delimited<R> {
    reader: csv::Reader<R>,
    columns: Vec<Vec<String>>,
    ignore_blanks: bool,
    record: csv::StringRecord,
}

impl<R: io::Read> Delimited<R> {
    /// Reads the header. `ignore_blanks` leaves empty cells out instead of storing empty strings.
    pub fn new(input: R, delimiter: u8, ignore_blanks: bool) -> io::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(input);
        let header = reader.headers().map_err(io::Error::from)?;
        let columns: Vec<Vec<String>> =
            header.iter().map(|name| name.trim().split('.').map(str::to_owned).collect()).collect();
        for (position, column) in columns.iter().enumerate() {
            let clashes = |other: &Vec<String>| other.starts_with(column) || column.starts_with(other);
            if column.iter().any(String::is_empty) || columns.iter().skip(position + 1).any(clashes) {
                let reason = format!(
                    "the header names column {:?} in a way that clashes or is empty",
                    column.join(".")
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        Ok(Self { reader, columns, ignore_blanks, record: csv::StringRecord::new() })
    }

    /// The next record; nothing at the end of the input. A row with the wrong number of cells is a bad record.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        let line = self.reader.position().line();
        match self.reader.read_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = self.record.position().map_or(line, csv::Position::line);
                Ok(Some(Record { line, text: self.text(), document: self.document() }))
            }
            Err(error) if error.is_io_error() => Err(error.into()),
            Err(error) => Ok(Some(Record { line, text: self.text(), document: Err(error.to_string()) })),
        }
    }

    /// The row in CSV again, for the reject file.
    fn text(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing into memory cannot fail; a row that could not be read has no cells.
        if writer.write_record(&self.record).is_err() {
            return Vec::new();
        }
        writer.into_inner().map(|bytes| bytes.trim_ascii_end().to_vec()).unwrap_or_default()
    }

    fn document(&self) -> Result<RawDocumentBuf, String> {
        let cells: Vec<(&[String], &str)> = self
            .columns
            .iter()
            .map(Vec::as_slice)
            .zip(self.record.iter())
            .filter(|(_, cell)| !(self.ignore_blanks && cell.is_empty()))
            .collect();
        let mut builder = DocumentBuilder::new();
        fill(&mut builder, &cells);
        Ok(builder.build())
    }
}

/// Writes the cells, gathering those that share their first name into a nested document at its first place.
fn fill(builder: &mut DocumentBuilder, cells: &[(&[String], &str)]) {
    for (position, (path, cell)) in cells.iter().enumerate() {
        match path {
            [] => {}
            [name] => {
                builder.append(name, cell_value(cell));
            }
            [name, ..] => {
                let is_same = |(other, _): &&(&[String], &str)| other.first() == Some(name);
                if cells.iter().take(position).any(|cell| is_same(&cell)) {
                    continue;
                }
                let nested: Vec<(&[String], &str)> = cells
                    .iter()
                    .filter(is_same)
                    .filter_map(|(path, cell)| path.split_first().map(|(_, rest)| (rest, *cell)))
                    .collect();
                builder.document(name, |inner| fill(inner, &nested));
            }
        }
    }
}

/// A cell as a value: int, long, double, else string. Numbers with leading zeros stay strings: they are codes.
fn cell_value(cell: &str) -> Value<'_> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let is_code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if is_code || !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Value::from(cell);
    }
    if let Ok(number) = cell.parse::<i32>() {
        Value::from(number)
    } else if let Ok(number) = cell.parse::<i64>() {
        Value::from(number)
    } else if let Ok(number) = cell.parse::<f64>() {
        Value::from(number)
    } else {
        Value::from(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, ignore_blanks: bool) -> Vec<(u64, Result<String, String>)> {
        let mut rows = Delimited::new(text.as_bytes(), b',', ignore_blanks).unwrap();
        let mut seen = Vec::new();
        while let Some(record) = rows.next_record().unwrap() {
            seen.push((record.line, record.document.map(|document| format!("{document:?}"))));
        }
        seen
    }

    #[test]
    fn cells_become_typed_values_and_dotted_columns_nest() {
        let rows = all("id,at.city,zip,n,at.x\n7,\"Oslo, N\",0150,,1.5\n", true);
        assert_eq!(rows.len(), 1);
        let text = rows[0].1.as_ref().unwrap();
        assert_eq!(
            text,
            r#"{"id": Int32(7), "at": Document({"city": String("Oslo, N"), "x": Double(1.5)}), "zip": String("0150")}"#
        );
        assert!(all("a,b\n1,\n", false)[0].1.as_ref().unwrap().contains(r#""b": String("")"#));
    }

    #[test]
    fn a_row_of_the_wrong_width_is_a_bad_record() {
        let rows = all("a,b\n1,2\n3\n4,5\n", false);
        assert_eq!(
            rows.iter().map(|(line, row)| (*line, row.is_ok())).collect::<Vec<_>>(),
            [(2, true), (3, false), (4, true)]
        );
    }

    #[test]
    fn a_header_that_clashes_is_refused() {
        assert!(Delimited::new(&b"a,a.b\n"[..], b',', false).is_err());
        assert!(Delimited::new(&b"a,,b\n"[..], b',', false).is_err());
        assert!(Delimited::new(&b"a,a\n"[..], b',', false).is_err());
    }
}
