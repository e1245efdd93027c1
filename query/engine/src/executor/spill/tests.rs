use sheaf_document::Value;
use sheaf_language::expression::Metadata;
use sheaf_storage::{FaultVfs, MemoryVfs};

use super::*;

const DIRECTORY: &str = "/db/spill";

fn space(vfs: &Arc<dyn Vfs>) -> SpillSpace {
    SpillSpace::open(Arc::clone(vfs), DIRECTORY.into(), false).unwrap()
}

fn written(vfs: &Arc<dyn Vfs>, records: &[Vec<u8>]) -> Result<SpillFile> {
    let mut writer = space(vfs).create()?;
    for record in records {
        writer.append(record)?;
    }
    writer.finish()
}

fn read(file: &SpillFile) -> Result<Vec<Vec<u8>>> {
    let mut reader = file.read();
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push(record.to_vec());
    }
    Ok(records)
}

#[test]
fn records_of_every_length_come_back_as_often_as_asked() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let records: Vec<Vec<u8>> =
        [0, 1, 11, 12, 13, 1_000, BUFFER_BYTES - 12, BUFFER_BYTES, 3 * BUFFER_BYTES + 7, 0, 5]
            .into_iter()
            .enumerate()
            .map(|(number, len)| vec![u8::try_from(number).unwrap(); len])
            .collect();
    let file = written(&vfs, &records).unwrap();
    assert_eq!(file.used().records, 11);
    for _ in 0..2 {
        assert_eq!(read(&file).unwrap(), records);
    }
    assert!(read(&written(&vfs, &[]).unwrap()).unwrap().is_empty());
}

#[test]
fn a_file_has_no_name_and_what_a_crash_left_is_removed() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let file = written(&vfs, &[b"abc".to_vec()]).unwrap();
    assert!(vfs.list(Path::new(DIRECTORY)).unwrap().is_empty());
    drop(file);
    for name in ["0000000000000000.spill", "0000000000000007.spill", "other"] {
        vfs.create(&Path::new(DIRECTORY).join(name)).unwrap();
    }
    let again = space(&vfs);
    assert_eq!(vfs.list(Path::new(DIRECTORY)).unwrap(), ["other"]);
    again.create().unwrap();
}

#[test]
fn a_full_disk_and_a_failing_one_are_told_apart() {
    let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let records = vec![vec![7; 3_000]; 100];
    faults.add_rule("full 100KiB").unwrap();
    assert_eq!(written(&vfs, &records).err().unwrap().code, error_code::OUT_OF_DISK_SPACE);
    faults.clear_rules();
    for rule in ["fail create *.spill", "fail write *.spill", "fail remove *.spill"] {
        faults.add_rule(rule).unwrap();
        assert_eq!(written(&vfs, &records).err().unwrap().code, error_code::FILE_STREAM_FAILED, "{rule}");
        faults.clear_rules();
        // What could not be removed goes when the space is opened again.
        space(&vfs);
    }
    let file = written(&vfs, &records).unwrap();
    faults.add_rule("fail read *.spill").unwrap();
    assert_eq!(read(&file).unwrap_err().code, error_code::FILE_STREAM_FAILED);
    faults.clear_rules();
    assert_eq!(read(&file).unwrap(), records);
}

/// A file system whose files answer with one bit turned.
#[derive(Debug)]
struct Turned {
    file: Arc<dyn VfsFile>,
    at: u64,
}

impl VfsFile for Turned {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(offset, buffer)?;
        if let Some(byte) =
            self.at.checked_sub(offset).and_then(|at| buffer.get_mut(usize::try_from(at).ok()?))
        {
            *byte ^= 1;
        }
        Ok(count)
    }

    fn append(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }

    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }
}

#[test]
fn every_turned_bit_is_noticed() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let file = written(&vfs, &[b"abc".to_vec(), Vec::new(), b"defghijklmn".to_vec()]).unwrap();
    for at in 0..file.used().bytes {
        let damaged =
            SpillFile { file: Arc::new(Turned { file: Arc::clone(&file.file), at }), used: file.used() };
        assert_eq!(read(&damaged).unwrap_err().code, error_code::DATA_CORRUPTION_DETECTED, "byte {at}");
    }
    // A file that lost its end.
    let longer = SpillUse { bytes: file.used().bytes + 20, records: 4, spills: 0 };
    let cut = SpillFile { file: Arc::clone(&file.file), used: longer };
    assert_eq!(read(&cut).unwrap_err().code, error_code::DATA_CORRUPTION_DETECTED);
}

#[test]
fn rows_come_back_with_all_they_have() {
    let mut document = sheaf_document::DocumentBuilder::new();
    document.append("a", 1);
    let mut row = Row::built(document.build());
    row.document_key = vec![1, 2, 0, 3];
    row.metadata = Some(Box::new(Metadata {
        text_score: Some(1.5),
        geo_distance: Some(2.5),
        geo_point: Some(Value::Int32(9)),
        record_id: Some(7),
        score_details: Some(Value::Boolean(true)),
        sort_key: Some(Value::Null),
        ..Metadata::default()
    }));
    let key = vec![Value::Missing, Value::Null, Value::array(vec![Value::Int32(1)]), Value::Int64(5)];
    let keyed = KeyedRow { key, row };
    let back = decode_row(encode_row(&keyed).unwrap().as_bytes()).unwrap();
    assert_eq!(back.row.document().unwrap(), keyed.row.document().unwrap());
    assert_eq!(back.row.document_key, keyed.row.document_key);
    assert_eq!(format!("{:?}", back.row.metadata), format!("{:?}", keyed.row.metadata));
    assert!(matches!(back.key.as_slice(), [Value::Missing, Value::Null, Value::Array(_), Value::Int64(5)]));
}
