//! What the tests share: small stores and repeatable chance.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, Compression, Encryption, Keyspace, KeyspaceOptions, ManualClock, MasterKey, MemoryVfs,
    Result, Store, StoreOptions, Vfs,
};

/// Where every test keeps its store.
pub const DIRECTORY: &str = "/db";

/// Whether the full floors are asked for.
pub fn deep() -> bool {
    std::env::var_os("SHEAF_DEEP").is_some_and(|value| value == "1")
}

/// Thresholds so small that flush, compaction, manifest roll and blob collection happen every few hundred operations,
/// all work on the calling thread.
pub fn small_options() -> StoreOptions {
    let mut options = StoreOptions {
        clock: Arc::new(ManualClock::new(1_000)),
        background: BackgroundWork::Inline,
        cache_bytes: 256 << 10,
        memtable_bytes: 18 << 10,
        wal_segment_bytes: 6 << 10,
        manifest_bytes_min: 2 << 10,
        block_bytes_upper: 256,
        block_bytes_lower: 512,
        filter_part_bytes: 64,
        index_part_bytes: 1 << 10,
        l0_compaction_trigger: 2,
        l0_slowdown: 6,
        l0_stop: 10,
        table_bytes_target: 3 << 10,
        level_base_bytes: 6 << 10,
        level_growth: 3,
        blob_file_bytes_target: 4 << 10,
        compression: [Compression::None; 7],
        ..StoreOptions::default()
    };
    options.keyspaces.insert(
        Keyspace(b'd'),
        KeyspaceOptions { blob_threshold_bytes: Some(100), ..KeyspaceOptions::default() },
    );
    options
}

/// A master key that is the same every time.
pub fn master_key(id: &str) -> MasterKey {
    let byte = id.bytes().fold(1_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    MasterKey::new(id, std::array::from_fn(|at| byte.wrapping_add(at as u8))).unwrap()
}

/// Small, and encrypted.
pub fn encrypted_options() -> StoreOptions {
    StoreOptions { encryption: Some(Encryption::new(master_key("first"))), ..small_options() }
}

/// Opens the store of a test.
pub fn open(vfs: &Arc<dyn Vfs>, options: StoreOptions) -> Result<Store> {
    Store::open(Arc::clone(vfs), Path::new(DIRECTORY), options)
}

/// A new memory file system.
pub fn memory() -> (MemoryVfs, Arc<dyn Vfs>) {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new("/")).unwrap();
    (memory.clone(), Arc::new(memory))
}

/// Repeatable chance (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// Same seed, same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }
}

/// Asks every few milliseconds until the answer is yes; whether it came within some seconds.
pub fn comes_true(mut question: impl FnMut() -> bool) -> bool {
    (0..4_000).any(|_| {
        question() || {
            std::thread::park_timeout(Duration::from_millis(5));
            false
        }
    })
}
