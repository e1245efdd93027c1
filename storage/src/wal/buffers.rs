//! The two buffers in front of the log: framed records gather in one while a sync hands over the other.

/// A buffer that has grown beyond this is not kept for later, in bytes.
const SPARE_BYTES_MAX: usize = 256 << 10;

/// Framed records on their way: those that are taken come first, then those that gather.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Records that nobody has taken.
    pub gathering: Vec<u8>,
    /// How many bytes are taken and not given back.
    taken: u64,
    /// Memory of the buffer they are in.
    taken_memory_bytes: usize,
    /// The other buffer, empty; it has no memory while it is taken.
    spare: Vec<u8>,
}

impl Buffers {
    /// How many bytes are taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes of all records, those that are taken included.
    pub fn length(&self) -> u64 {
        self.taken + self.gathering.len() as u64
    }

    /// Memory of both, filled or not.
    pub fn memory_bytes(&self) -> usize {
        self.gathering.capacity() + self.taken_memory_bytes + self.spare.capacity()
    }

    /// The records so far, for who hands them over; the next gather in the other buffer. Nothing may be taken already.
    pub fn take(&mut self) -> Vec<u8> {
        debug_assert_eq!(self.taken, 0, "one at a time");
        let taken = std::mem::replace(&mut self.gathering, std::mem::take(&mut self.spare));
        (self.taken, self.taken_memory_bytes) = (taken.len() as u64, taken.capacity());
        taken
    }

    /// Takes back what `take` gave, whatever has become of the records.
    pub fn give_back(&mut self, mut taken: Vec<u8>) {
        (self.taken, self.taken_memory_bytes) = (0, 0);
        if taken.capacity() <= SPARE_BYTES_MAX {
            taken.clear();
            self.spare = taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_buffers_take_turns_and_their_memory_is_counted() {
        let mut buffers = Buffers::default();
        let mut memory = Vec::new();
        for turn in 0..5 {
            buffers.gathering.extend_from_slice(&[turn; 100]);
            let taken = buffers.take();
            assert_eq!((taken.as_slice(), buffers.taken(), buffers.length()), (&[turn; 100][..], 100, 100));
            buffers.gathering.push(turn);
            assert_eq!(buffers.length(), 101);
            memory.push(buffers.memory_bytes());
            assert_eq!(buffers.memory_bytes(), taken.capacity() + buffers.gathering.capacity());
            buffers.give_back(taken);
            assert_eq!((buffers.taken(), buffers.length()), (0, 1));
            buffers.gathering.clear();
        }
        assert_eq!(memory[1], memory[4], "nothing is allocated any more");
    }

    #[test]
    fn a_large_buffer_is_not_kept_beside_the_other() {
        let mut buffers = Buffers { gathering: vec![1; SPARE_BYTES_MAX + 1], ..Buffers::default() };
        let taken = buffers.take();
        assert!(buffers.memory_bytes() > SPARE_BYTES_MAX);
        buffers.give_back(taken);
        assert_eq!(buffers.memory_bytes(), 0);
    }
}
