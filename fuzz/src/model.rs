//! A plain model of the two guest ABIs, written from their documentation. It does not choose the places of blocks; it
//! is told the library's choice, and checks that it is allowed.

use std::collections::BTreeMap;
use std::ops::Range;

use extism_testkit::host::Answer;

/// One of the two guest ABIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// The ABI of PDKs 0.x.
    V0,
    /// The ABI of PDKs 1.x.
    V1,
}

/// The plugin's configuration.
pub const CONFIG: [(&str, &str); 4] = [("a", "value"), ("b", ""), ("", "of no name"), ("\0", "zero")];

/// A plugin in one call.
pub struct Model<'a> {
    /// The bytes up to the last one written. All others are zero.
    memory: Vec<u8>,
    size: u64,
    /// Offsets and lengths of live blocks.
    blocks: BTreeMap<u64, u64>,
    input: Range<u64>,
    output: Range<u64>,
    /// The handle and the text of the plugin's error.
    error: Option<(u64, String)>,
    /// The plugin's variables, which stay from call to call.
    vars: &'a mut BTreeMap<String, Vec<u8>>,
}

/// The plugin's observations after a step that returned.
#[derive(Clone, Copy)]
pub struct Seen {
    /// The value that the step returned.
    pub result: u64,
    /// Size of the memory after the step, in bytes.
    pub size: u64,
}

/// The error text of a step that ends the call.
type Trap = String;

impl<'a> Model<'a> {
    /// The state at the beginning of a call.
    pub fn new(input: &[u8], offset: u64, size: u64, vars: &'a mut BTreeMap<String, Vec<u8>>) -> Self {
        let (blocks, input_place) = (BTreeMap::new(), 0..0);
        let mut model = Self { memory: Vec::new(), size, blocks, input: input_place, output: 0..0, error: None, vars };
        if input.is_empty() {
            assert_eq!(offset, 0, "an empty input is nowhere");
        } else {
            model.new_block(Some(Seen { result: offset, size }), input.len() as u64);
            model.write(offset, input);
            model.input = offset..offset + input.len() as u64;
        }
        model
    }

    /// The size of the memory, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes a step; panics if it cannot have been `seen`, or ended the call if that is `None`. Returns its trap.
    pub fn go(&mut self, abi: Abi, name: &str, operands: &[u64], seen: Option<Seen>) -> Option<Trap> {
        let expected = self.step(abi, name, operands, seen);
        match (expected, seen) {
            (Ok(expected), Some(seen)) => {
                assert_eq!(expected, seen.result, "{abi:?} {name}{operands:?}");
                assert!(seen.size >= self.size, "the memory has become smaller: {abi:?} {name}{operands:?}");
                self.size = seen.size;
                None
            }
            (Err(trap), None) => Some(trap),
            (Ok(expected), None) => panic!("{abi:?} {name}{operands:?} has ended the call, not come to {expected}"),
            (Err(trap), Some(Seen { result, .. })) => {
                panic!("{abi:?} {name}{operands:?} has come to {result}, not to: {trap}")
            }
        }
    }

    /// Compares with the answer of the call, whose last step ended it if there is a `trap`.
    pub fn finish(&self, trap: Option<Trap>, answer: &Answer) {
        let said = self.error.as_ref().map(|(_, text)| text.replace('\0', "\\0"));
        match trap {
            None => assert_eq!((answer.code, &answer.error), (0, &said)),
            Some(trap) => {
                let error = answer.error();
                let rest =
                    error.strip_prefix(said.as_deref().unwrap_or_default()).expect("the plugin's own text is first");
                assert!(answer.code == -1 && rest.contains(&trap), "{}: {error}, not {trap}", answer.code);
            }
        }
        // Not `assert_eq`: outputs are too long to be shown.
        assert!(answer.output == self.read(self.output.clone()), "the output is not what is at {:?}", self.output);
    }

    fn step(&mut self, abi: Abi, name: &str, operands: &[u64], seen: Option<Seen>) -> Result<u64, Trap> {
        let [first, second] = [0, 1].map(|index| operands.get(index).copied().unwrap_or(0));
        let value = match name {
            "alloc" => self.alloc(abi, first, seen)?,
            "free" => {
                self.free(first);
                0
            }
            "length" | "length_unsafe" => self.length(abi, first)?,
            "load_u8" | "load_u64" => self.load(abi, self.range(first, width(name)))?,
            "store_u8" | "store_u64" => self.store(abi, self.range(first, width(name)), second)?,
            "input_length" => self.input.end - self.input.start,
            "input_offset" => self.input.start,
            "input_load_u8" | "input_load_u64" => self.load(abi, self.input_range(first, width(name)))?,
            "input_set" => {
                self.input = self.range(first, second).unwrap_or(self.input.clone());
                0
            }
            "output_set" => self.set_output(abi, self.range(first, second))?,
            "output_offset" => self.output.start,
            "output_length" => self.output.end - self.output.start,
            "error_set" => self.set_error(abi, first)?,
            "error_get" => self.error.as_ref().map_or(0, |(handle, _)| *handle),
            "reset" => {
                self.memory.clear();
                self.blocks.clear();
                (self.input, self.output, self.error) = (0..0, 0..0, None);
                0
            }
            "memory_bytes" => self.size,
            "config_get" => {
                let key = text(self.bytes_of(abi, first, "config key")?)?;
                let found = CONFIG.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_bytes().to_vec());
                self.hand_out(abi, first, found, seen)
            }
            "var_get" => {
                let key = text(self.bytes_of(abi, first, "var key")?)?;
                let found = self.vars.get(&key).cloned();
                self.hand_out(abi, first, found, seen)
            }
            "var_set" => self.set_var(abi, first, second)?,
            "log_info" => {
                self.bytes_of(abi, first, "log message")?;
                self.take_over(abi, first);
                0
            }
            "http_status_code" | "http_headers" => 0,
            _ => panic!("{name}"),
        };
        Ok(value)
    }

    fn alloc(&mut self, abi: Abi, length: u64, seen: Option<Seen>) -> Result<u64, Trap> {
        // More than a memory can hold.
        let is_too_long = length >= 1 << 32;
        match abi {
            Abi::V0 if is_too_long => Err(format!("failed to grow memory by {length}")),
            Abi::V1 if is_too_long || length == 0 => Ok(0),
            _ => Ok(self.new_block(seen, length)),
        }
    }

    fn length(&self, abi: Abi, handle: u64) -> Result<u64, Trap> {
        match self.blocks.get(&handle) {
            Some(length) => Ok(*length),
            None if handle == 0 || abi == Abi::V1 => Ok(0),
            None => Err(format!("Unable to find length for offset {handle}")),
        }
    }

    fn load(&self, abi: Abi, range: Option<Range<u64>>) -> Result<u64, Trap> {
        range.map_or_else(|| out_of_bounds(abi), |range| Ok(number(&self.read(range))))
    }

    fn store(&mut self, abi: Abi, range: Option<Range<u64>>, value: u64) -> Result<u64, Trap> {
        let Some(range) = range else { return out_of_bounds(abi) };
        let width = (range.end - range.start) as usize;
        self.write(range.start, &value.to_le_bytes()[..width]);
        Ok(0)
    }

    fn set_output(&mut self, abi: Abi, range: Option<Range<u64>>) -> Result<u64, Trap> {
        let Some(range) = range else { return out_of_bounds(abi) };
        self.output = range;
        Ok(0)
    }

    /// Sets the variable whose name is in block `key`. Handle 0 as the value removes it.
    fn set_var(&mut self, abi: Abi, key: u64, value: u64) -> Result<u64, Trap> {
        let name = text(self.bytes_of(abi, key, "var key")?)?;
        if value == 0 {
            self.vars.remove(&name);
        } else {
            let bytes = self.bytes_of(abi, value, "var value")?;
            self.vars.insert(name, bytes);
        }
        self.take_over(abi, key);
        self.take_over(abi, value);
        Ok(0)
    }

    /// Checks that the new block lies in the memory, with a byte after it, and overlaps no other.
    fn new_block(&mut self, seen: Option<Seen>, length: u64) -> u64 {
        let Seen { result: offset, size } = seen.expect("a block can be had");
        let end = offset + length.max(1);
        assert!(offset > 0 && end < size, "block {offset} of {length} bytes in a memory of {size}");
        for (other, other_length) in &self.blocks {
            assert!(end <= *other || other + (*other_length).max(1) <= offset, "blocks {offset} and {other} overlap");
        }
        self.blocks.insert(offset, length);
        offset
    }

    /// Frees a block: the input goes with its block, the block of the output stays.
    fn free(&mut self, offset: u64) {
        if !self.has_output(offset) {
            if offset == self.input.start {
                self.input = 0..0;
            }
            self.blocks.remove(&offset);
        }
    }

    /// In 1.x, a block passed to the host is freed by the host, unless it holds input or output.
    fn take_over(&mut self, abi: Abi, handle: u64) {
        if abi == Abi::V1 && handle != self.input.start && !self.has_output(handle) {
            self.blocks.remove(&handle);
        }
    }

    /// True if the output lies in this block.
    fn has_output(&self, offset: u64) -> bool {
        let length = self.blocks.get(&offset).copied().unwrap_or(0);
        offset < self.output.end && self.output.start < offset.saturating_add(length)
    }

    fn set_error(&mut self, abi: Abi, handle: u64) -> Result<u64, Trap> {
        if handle == 0 {
            self.error = None;
            return Ok(0);
        }
        let bytes = match (self.bytes_of(Abi::V0, handle, ""), abi) {
            (Ok(bytes), _) => bytes,
            (Err(trap), Abi::V0) => return Err(trap),
            (Err(_), Abi::V1) => return Ok(0),
        };
        let text = match abi {
            Abi::V0 => text(bytes)?,
            Abi::V1 => String::from_utf8_lossy(&bytes).into_owned(),
        };
        self.error = Some((handle, text));
        Ok(0)
    }

    /// Makes a block of the value found under the key in block `handle`; 0 if there is none.
    fn hand_out(&mut self, abi: Abi, handle: u64, found: Option<Vec<u8>>, seen: Option<Seen>) -> u64 {
        let block = found.map_or(0, |bytes| {
            let offset = self.new_block(seen, bytes.len() as u64);
            self.write(offset, &bytes);
            offset
        });
        self.take_over(abi, handle);
        block
    }

    /// The contents of a block that is passed to the host. In 1.x, handle 0 is an empty block.
    fn bytes_of(&self, abi: Abi, handle: u64, what: &str) -> Result<Vec<u8>, Trap> {
        match (self.blocks.get(&handle), abi) {
            (Some(length), _) => Ok(self.read(handle..handle + length)),
            (None, Abi::V1) if handle == 0 => Ok(Vec::new()),
            (None, Abi::V1) => Err(format!("invalid handle offset for {what}")),
            (None, Abi::V0) => Err(format!("Invalid memory offset: {handle}")),
        }
    }

    /// `length` bytes from `offset` on, if they are in the memory.
    fn range(&self, offset: u64, length: u64) -> Option<Range<u64>> {
        let end = offset.checked_add(length)?;
        (end <= self.size).then_some(offset..end)
    }

    /// The same of the input, from its beginning.
    fn input_range(&self, offset: u64, length: u64) -> Option<Range<u64>> {
        let Range { start, end } = self.input;
        let stop = offset.checked_add(length)?;
        (stop <= end - start).then(|| start + offset..start + stop)
    }

    fn read(&self, range: Range<u64>) -> Vec<u8> {
        let [start, end] = [range.start, range.end].map(|place| place as usize);
        let written = self.memory.get(start..end.min(self.memory.len())).unwrap_or_default();
        let mut bytes = written.to_vec();
        bytes.resize(end - start, 0);
        bytes
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if end > self.memory.len() {
            self.memory.resize(end, 0);
        }
        self.memory[start..end].copy_from_slice(bytes);
    }
}

/// The result of a step at a place that is not in the memory.
fn out_of_bounds(abi: Abi) -> Result<u64, Trap> {
    if abi == Abi::V0 { Err("out of bounds memory access".to_owned()) } else { Ok(0) }
}

/// The number of bytes that a load or store moves.
fn width(name: &str) -> u64 {
    if name.ends_with("u64") { 8 } else { 1 }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rfold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn text(bytes: Vec<u8>) -> Result<String, Trap> {
    String::from_utf8(bytes).map_err(|_| "invalid utf-8 sequence".to_owned())
}
