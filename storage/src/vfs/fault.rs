//! A file system that fails on demand.
//!
//! Rules are lines of text, so that a test or a script can carry them:
//!
//! ```text
//! fail write *.sst after 3        every append to an sstable from the fourth on fails
//! fail sync wal once              the first sync of a file with "wal" in its path fails
//! fail any after 17 once          the eighteenth call of any kind fails, alone
//! tear write *.wal after 2 once   the third append to a segment writes half and fails
//! lose sync *.wal                 syncs of segments report success and do nothing: a planted bug
//! full 1MiB                       appends fail as on a full disk after this many bytes in all
//! ```
//!
//! Operations: `create open read write reserve writeback sync rename link remove list mkdir rmdir syncdir len lock any`. A pattern with `*`
//! must match the whole file name; one without must occur in the path. A hook sees every call before it happens; `will_need`,
//! which can not fail, is seen by the hook alone.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{MappedBytes, Vfs, VfsFile, VfsLock};

/// A call about to happen.
#[derive(Clone, Copy, Debug)]
pub struct VfsCall<'a> {
    /// How many calls came before it.
    pub index: u64,
    /// What is called, by the word rules use.
    pub operation: &'static str,
    /// On which path.
    pub path: &'a Path,
}

/// What a hook looks like.
type Hook = Arc<dyn Fn(VfsCall<'_>) + Send + Sync>;

/// A file system that fails on demand.
#[derive(Clone, Debug)]
pub struct FaultVfs {
    /// The one that does the work.
    base: Arc<dyn Vfs>,
    /// What may go wrong.
    faults: Arc<Faults>,
}

/// The rules and what they have seen.
#[derive(Default)]
struct Faults {
    /// The rules, each with how many calls it matched.
    rules: Mutex<Vec<(Rule, u64)>>,
    /// Calls so far.
    calls: AtomicU64,
    /// Failures so far.
    failures: AtomicU64,
    /// Bytes that may still be appended.
    room_bytes: Mutex<Option<u64>>,
    /// Sees every call.
    hook: RwLock<Option<Hook>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("rules", &self.rules)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// What a rule does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Fails without doing anything.
    Fail,
    /// Does half and fails.
    Tear,
    /// Does nothing and reports success.
    Lose,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// What it does.
    action: Action,
    /// Which calls, `any` for all.
    operation: String,
    /// Which paths, empty for all.
    pattern: String,
    /// How many matching calls it lets pass first.
    after: u64,
    /// Whether it strikes only once.
    once: bool,
    /// The system's number for the failure, if it is to be one of the system's.
    errno: Option<i32>,
}

impl FromStr for Rule {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Rule> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("not a fault rule: {text}"));
        let mut words = text.split_whitespace().peekable();
        let action = match words.next() {
            Some("fail") => Action::Fail,
            Some("tear") => Action::Tear,
            Some("lose") => Action::Lose,
            _ => return Err(wrong()),
        };
        let operation = words.next().ok_or_else(wrong)?.to_owned();
        let pattern =
            words.next_if(|word| !matches!(*word, "after" | "once" | "errno")).unwrap_or_default().to_owned();
        let mut rule = Rule { action, operation, pattern, after: 0, once: false, errno: None };
        while let Some(word) = words.next() {
            match word {
                "once" => rule.once = true,
                "errno" => {
                    rule.errno = Some(words.next().and_then(|n| n.parse().ok()).ok_or_else(wrong)?);
                }
                "after" => rule.after = words.next().and_then(|n| n.parse().ok()).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        Ok(rule)
    }
}

impl Rule {
    /// Whether the rule is about this call.
    fn matches(&self, operation: &str, path: &Path) -> bool {
        if self.operation != "any" && self.operation != operation {
            return false;
        }
        match self.pattern.split_once('*') {
            None => path.to_string_lossy().contains(&self.pattern),
            Some((head, tail)) => {
                let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
                name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
            }
        }
    }
}

impl Faults {
    /// Counts a call, shows it to the hook, and says what shall happen to it.
    fn meet(&self, operation: &'static str, path: &Path) -> io::Result<Option<Action>> {
        let index = self.calls.fetch_add(1, Ordering::Relaxed);
        let hook = self.hook.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(VfsCall { index, operation, path });
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut verdict = None;
        for (rule, matched) in rules.iter_mut().filter(|(rule, _)| rule.matches(operation, path)) {
            *matched += 1;
            if *matched > rule.after && !(rule.once && *matched > rule.after + 1) {
                verdict = verdict.or(Some((rule.action, rule.errno)));
            }
        }
        if verdict.is_some() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        match verdict {
            Some((Action::Fail, Some(errno))) => Err(io::Error::from_raw_os_error(errno)),
            Some((Action::Fail, None)) => Err(injected(operation)),
            other => Ok(other.map(|(action, _)| action)),
        }
    }

    /// Shows the hook a call that can not fail, and which no rule counts.
    fn show(&self, operation: &'static str, path: &Path) {
        let hook = self.hook.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(VfsCall { index: self.calls.load(Ordering::Relaxed), operation, path });
        }
    }

    /// Meets a call whose only ways are success and failure.
    fn pass(&self, operation: &'static str, path: &Path) -> io::Result<()> {
        match self.meet(operation, path)? {
            Some(Action::Tear) => Err(injected(operation)),
            Some(Action::Fail | Action::Lose) | None => Ok(()),
        }
    }

    /// Takes room on the disk; false if there is too little.
    fn take_room(&self, bytes: usize) -> bool {
        let mut room = self.room_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX);
        match room.as_mut() {
            None => true,
            Some(left) if *left >= wanted => {
                *left -= wanted;
                true
            }
            Some(_) => false,
        }
    }
}

/// The error a rule causes.
fn injected(operation: &str) -> io::Error {
    io::Error::other(format!("injected failure of {operation}"))
}

/// Reads `4096`, `64KiB`, `1MiB`.
fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("iB") {
        None => (text, 1),
        Some(head) => match head.strip_suffix('K') {
            Some(number) => (number, 1 << 10),
            None => (head.strip_suffix('M')?, 1 << 20),
        },
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

impl FaultVfs {
    /// Wraps a file system; nothing fails yet.
    pub fn new(base: Arc<dyn Vfs>) -> FaultVfs {
        FaultVfs { base, faults: Arc::default() }
    }

    /// Adds a rule (see the module's head for the language).
    pub fn add_rule(&self, text: &str) -> io::Result<()> {
        if let Some(size) = text.strip_prefix("full ") {
            let bytes = parse_bytes(size.trim()).ok_or(io::ErrorKind::InvalidInput)?;
            *self.faults.room_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
            return Ok(());
        }
        let rule = text.parse()?;
        self.faults.rules.lock().unwrap_or_else(PoisonError::into_inner).push((rule, 0));
        Ok(())
    }

    /// Forgets all rules and gives the disk room again.
    pub fn clear_rules(&self) {
        self.faults.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.faults.room_bytes.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Calls `hook` before every call from now on.
    pub fn set_hook(&self, hook: impl Fn(VfsCall<'_>) + Send + Sync + 'static) {
        *self.faults.hook.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.faults.calls.load(Ordering::Relaxed)
    }

    /// Calls that rules struck so far.
    pub fn failures(&self) -> u64 {
        self.faults.failures.load(Ordering::Relaxed)
    }

    /// Wraps an opened file.
    fn wrap(&self, path: &Path, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(FaultFile { base: file, path: path.to_path_buf(), faults: Arc::clone(&self.faults) })
    }
}

impl Vfs for FaultVfs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.faults.pass("create", path)?;
        Ok(self.wrap(path, self.base.create(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.faults.pass("open", path)?;
        Ok(self.wrap(path, self.base.open_read(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.faults.pass("open", path)?;
        Ok(self.wrap(path, self.base.open_append(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.pass("rename", to)?;
        self.base.rename(from, to)
    }

    fn link(&self, existing: &Path, new: &Path) -> io::Result<()> {
        self.faults.pass("link", new)?;
        self.base.link(existing, new)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.faults.pass("remove", path)?;
        self.base.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.faults.pass("list", directory)?;
        self.base.list(directory)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.pass("mkdir", path)?;
        self.base.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.pass("rmdir", path)?;
        self.base.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self.faults.meet("syncdir", path)? {
            Some(Action::Lose) => Ok(()),
            Some(_) => Err(injected("syncdir")),
            None => self.base.sync_dir(path),
        }
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.faults.pass("len", path)?;
        self.base.len(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        let room = *self.faults.room_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        room.map_or_else(|| self.base.free_bytes(directory), |room| Ok(Some(room)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.faults.pass("lock", path)?;
        self.base.lock(path)
    }

    fn unique_id(&self) -> io::Result<u128> {
        self.base.unique_id()
    }
}

/// An open file that fails on demand.
#[derive(Debug)]
struct FaultFile {
    /// The one that does the work.
    base: Arc<dyn VfsFile>,
    /// Under which name it was opened.
    path: PathBuf,
    /// What may go wrong.
    faults: Arc<Faults>,
}

impl VfsFile for FaultFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.faults.pass("read", &self.path)?;
        self.base.read_at(offset, buffer)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        match self.faults.meet("write", &self.path)? {
            Some(Action::Lose) => return Ok(()),
            Some(Action::Tear) => {
                self.base.append(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
                return Err(injected("write"));
            }
            Some(Action::Fail) | None => {}
        }
        if !self.faults.take_room(bytes.len()) {
            self.faults.failures.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.base.append(bytes)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.faults.pass("reserve", &self.path)?;
        self.base.reserve(bytes)
    }

    fn write_back(&self) -> io::Result<()> {
        match self.faults.meet("writeback", &self.path)? {
            Some(Action::Lose) => Ok(()),
            Some(_) => Err(injected("writeback")),
            None => self.base.write_back(),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.faults.meet("sync", &self.path)? {
            Some(Action::Lose) => Ok(()),
            Some(_) => Err(injected("sync")),
            None => self.base.sync(),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.faults.pass("len", &self.path)?;
        self.base.len()
    }

    fn begin_write_back(&self, bytes: Range<u64>) {
        self.faults.show("begin_write_back", &self.path);
        self.base.begin_write_back(bytes);
    }

    fn expect_any_order(&self) {
        self.base.expect_any_order();
    }

    fn will_need(&self, bytes: Range<u64>) {
        self.faults.show("will_need", &self.path);
        self.base.will_need(bytes);
    }

    fn map(&self) -> io::Result<Option<MappedBytes>> {
        // A fault cannot be injected into a mapped read, so there are no maps under fault injection.
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;

    fn faulty(rules: &[&str]) -> FaultVfs {
        let vfs = FaultVfs::new(Arc::new(MemoryVfs::new()));
        vfs.create_dir(Path::new("/d")).unwrap();
        rules.iter().for_each(|rule| vfs.add_rule(rule).unwrap());
        vfs
    }

    #[test]
    fn rules_strike_the_calls_they_name() {
        let vfs = faulty(&["fail write *.sst after 1", "fail sync wal once"]);
        let sst = vfs.create(Path::new("/d/1.sst")).unwrap();
        sst.append(b"1").unwrap();
        assert!(sst.append(b"2").is_err() && sst.append(b"3").is_err());
        let wal = vfs.create(Path::new("/d/1.wal")).unwrap();
        wal.append(b"1").unwrap();
        assert!(wal.sync().is_err());
        wal.sync().unwrap();
        assert_eq!(vfs.failures(), 3);
    }

    #[test]
    fn a_torn_write_leaves_half_and_a_full_disk_leaves_nothing() {
        let vfs = faulty(&["tear write once", "full 1KiB"]);
        let file = vfs.create(Path::new("/d/a")).unwrap();
        assert!(file.append(b"abcdef").is_err());
        assert_eq!(file.len().unwrap(), 3);
        assert_eq!(file.append(&[0; 1025]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.append(&[0; 1024]).unwrap();
        assert!(vfs.add_rule("explode").is_err() && vfs.add_rule("full much").is_err());
    }

    #[test]
    fn the_hook_sees_every_call() {
        let vfs = faulty(&[]);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        vfs.set_hook(move |call| log.lock().unwrap().push((call.index, call.operation)));
        vfs.create(Path::new("/d/a")).unwrap().append(b"x").unwrap();
        assert_eq!(*seen.lock().unwrap(), [(1, "create"), (2, "write")]);
        assert_eq!(vfs.calls(), 3);
    }
}
