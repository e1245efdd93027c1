use super::*;

#[test]
fn files_names_and_locks_work_on_a_real_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let vfs = DiskVfs;
    vfs.create_dir(&path("a/b")).unwrap();
    let file = vfs.create(&path("a/x")).unwrap();
    assert_eq!(vfs.create(&path("a/x")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    file.append(b"hello").unwrap();
    file.append(b" world").unwrap();
    file.sync().unwrap();
    vfs.link(&path("a/x"), &path("a/y")).unwrap();
    vfs.rename(&path("a/x"), &path("a/z")).unwrap();
    vfs.sync_dir(&path("a")).unwrap();
    let mut names = vfs.list(&path("a")).unwrap();
    names.sort();
    assert_eq!(names, ["b", "y", "z"]);
    let mut buffer = [0; 5];
    vfs.open_read(&path("a/y")).unwrap().read_exact_at(6, &mut buffer).unwrap();
    assert_eq!(&buffer, b"world");
    assert!(file.read_exact_at(7, &mut buffer).is_err());
    let mapped = file.map().unwrap();
    assert_eq!(mapped.is_some(), usize::BITS == 64, "address space is too scarce on narrow machines");
    assert!(mapped.is_none_or(|mapped| (*mapped).as_ref() == b"hello world"));
    file.reserve(5000).unwrap();
    file.append(b"!").unwrap();
    file.read_exact_at(10, &mut buffer[..2]).unwrap();
    assert_eq!(&buffer[..2], b"d!");
    assert_eq!(file.len().unwrap(), 5011);
    vfs.open_append(&path("a/y")).unwrap().append(b"?").unwrap();
    assert_eq!(file.len().unwrap(), 5012);
    assert_eq!(vfs.remove_dir(&path("a")).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
    vfs.remove_dir(&path("a/b")).unwrap();
    assert!(vfs.list(&path("a/b")).is_err());
    let free = vfs.free_bytes(directory.path()).unwrap();
    assert_eq!(free.is_some(), cfg!(target_os = "linux"));
    assert!(free.is_none_or(|bytes| bytes > 4096 && bytes < 1 << 60), "{free:?}");
    assert!(cfg!(not(target_os = "linux")) || vfs.free_bytes(&path("nowhere")).is_err());
    let lock = vfs.lock(&path("LOCK")).unwrap();
    assert_eq!(vfs.lock(&path("LOCK")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    vfs.lock(&path("LOCK")).unwrap();
    assert_ne!(vfs.unique_id().unwrap(), vfs.unique_id().unwrap());
}

/// A small generator of random numbers (xorshift): same seed, same numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// Mostly small, and near the borders of sectors and pages as often as not.
    fn length(&mut self) -> usize {
        match self.below(8) {
            0 => 512 * (1 + self.below(4)) - 1 + self.below(3),
            1 => 4096 * (1 + self.below(3)) - 1 + self.below(3),
            2 => self.below(100_000),
            3 => 0,
            _ => self.below(1500),
        }
    }
}

/// How files behave below a directory in which no file is ever removed but with it.
struct Model {
    dice: Dice,
    file: Arc<DiskFile>,
    path: std::path::PathBuf,
    /// What was written.
    bytes: Vec<u8>,
    /// How long the file is: zeros follow what was written.
    length: usize,
    /// Appends that passed the cache by, of all that were durable.
    direct: (usize, usize),
}

impl Model {
    fn new(seed: u64, path: std::path::PathBuf) -> Model {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        let file = Arc::new(DiskFile { file, end: Mutex::default() });
        Model { dice: Dice(seed), file, path, bytes: Vec::new(), length: 0, direct: (0, 0) }
    }

    /// Refuses the direct way, as a file system without it does.
    fn refuse(&self) {
        #[cfg(target_os = "linux")]
        {
            self.file.end().direct = DirectAppends::Refused;
        }
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let length = self.dice.length();
        (0..length).map(|_| u8::try_from(1 + self.dice.below(255)).unwrap()).collect()
    }

    fn note(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.length = self.length.max(self.bytes.len());
    }

    fn reopen(&mut self) {
        let file = OpenOptions::new().read(true).write(true).open(&self.path).unwrap();
        let length = file.metadata().unwrap().len();
        let end = End { written: length, room_end: length, ..End::default() };
        self.file = Arc::new(DiskFile { file, end: Mutex::new(end) });
        // Room has become bytes.
        self.bytes.resize(self.length, 0);
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..=9 => {
                let bytes = self.random_bytes();
                let before = self.file.end().synced;
                let fits = before == self.bytes.len() as u64
                    && (self.bytes.len() + bytes.len()) as u64 + 4096 < self.file.end().synced_room_end
                    && !bytes.is_empty()
                    && bytes.len() < 10_000;
                let direct = self.file.append_directly(&bytes).unwrap();
                if !direct {
                    self.file.append_durably(&bytes).unwrap();
                }
                self.direct.0 += usize::from(direct);
                self.direct.1 += usize::from(fits);
                self.note(&bytes);
                assert_eq!(self.file.end().synced, self.bytes.len() as u64);
            }
            10..=12 => {
                let bytes = self.random_bytes();
                self.file.append(&bytes).unwrap();
                self.note(&bytes);
            }
            13..=15 => {
                let bytes = self.dice.below(40_000);
                self.file.reserve(bytes as u64).unwrap();
                self.length = self.length.max(self.bytes.len() + bytes);
            }
            16 => self.file.sync().unwrap(),
            17 if self.dice.below(8) == 0 => self.reopen(),
            _ => self.read(),
        }
    }

    fn read(&mut self) {
        let at = self.dice.below(self.length + 100);
        let mut buffer = vec![9; self.dice.length()];
        let count = self.file.read_at(at as u64, &mut buffer).unwrap();
        let expected = self.length.saturating_sub(at).min(buffer.len());
        assert_eq!(count, expected);
        for (index, byte) in buffer[..count].iter().enumerate() {
            assert_eq!(*byte, self.bytes.get(at + index).copied().unwrap_or(0), "at {}", at + index);
        }
    }

    fn check_all(&self) {
        assert_eq!(self.file.len().unwrap(), self.length as u64);
        let mut buffer = vec![9; self.length];
        DiskVfs.open_read(&self.path).unwrap().read_exact_at(0, &mut buffer).unwrap();
        let (bytes, room) = buffer.split_at(self.bytes.len());
        assert!(bytes == self.bytes && room.iter().all(|byte| *byte == 0));
    }
}

/// Random mixes of everything a file can do, against a vector.
fn run_against_the_model(directory: &Path, refused: bool) -> (usize, usize) {
    let mut sum = (0, 0);
    for seed in 1..=6 {
        let mut model = Model::new(seed * 0x9e37_79b9, directory.join(format!("{seed}-{refused}")));
        for _ in 0..120 {
            if refused {
                model.refuse();
            }
            model.step();
        }
        model.check_all();
        sum = (sum.0 + model.direct.0, sum.1 + model.direct.1);
    }
    sum
}

#[test]
fn appends_of_every_kind_leave_what_was_appended() {
    let directory = tempfile::tempdir().unwrap();
    let (direct, fit) = run_against_the_model(directory.path(), false);
    assert!(fit > 40, "{fit}");
    // All or none: it is the file system's to say.
    assert!(direct == 0 || direct >= fit, "{direct} of {fit}");
    println!("{direct} of {fit} appends into synced room passed the cache by");
    let (direct, fit) = run_against_the_model(directory.path(), true);
    assert!(direct == 0 && fit > 40);
}

#[test]
fn a_file_system_without_direct_writes_takes_the_other_way() {
    // In memory, where the machine has such a thing.
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return };
    run_against_the_model(directory.path(), false);
}

#[test]
fn only_into_room_that_was_synced_and_behind_bytes_that_were() {
    let directory = tempfile::tempdir().unwrap();
    let file = Model::new(1, directory.path().join("a")).file;
    let directly = |bytes: &[u8]| file.append_directly(bytes).unwrap();
    file.append(b"head").unwrap();
    file.sync().unwrap();
    assert!(!directly(b"no room"));
    file.reserve(20_000).unwrap();
    assert!(!directly(b"the room is not synced"));
    file.append_durably(b"this syncs the room").unwrap();
    let possible = directly(b"now");
    file.append(b"waits in the cache").unwrap();
    assert!(!directly(b"the one before would be left behind"));
    file.sync().unwrap();
    assert_eq!(directly(b"now again"), possible);
    let written = usize::try_from(file.end().written).unwrap();
    let too_long = vec![1; 20_000 + 23 - written];
    assert!(!directly(&too_long), "the last sector is not there whole");
    let mut bytes = vec![0; written];
    file.read_exact_at(0, &mut bytes).unwrap();
    let expected: &[u8] = if possible {
        b"headthis syncs the roomnowwaits in the cachenow again"
    } else {
        b"headthis syncs the roomwaits in the cache"
    };
    assert_eq!(bytes, expected);
}

#[test]
fn a_file_without_a_name_is_appended_to_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = DiskVfs.create(&directory.path().join("a")).unwrap();
    file.reserve(20_000).unwrap();
    file.append_durably(b"one").unwrap();
    DiskVfs.remove(&directory.path().join("a")).unwrap();
    file.append_durably(b"two").unwrap();
    let mut bytes = [0; 7];
    file.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"onetwo\0");
}
