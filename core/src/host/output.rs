//! Reads the output of a call, in place where that can be.

use super::fault::Fault;
use super::io_memory::IoMemory;

impl IoMemory {
    /// The address and length of the output, which the C caller reads in place. The byte after it is readable.
    ///
    /// # Errors
    /// The output ends at the memory's end, and the host cannot allocate a copy with one more byte.
    pub(crate) fn output_address(&mut self) -> Result<(*const u8, u64), Fault> {
        let output = self.output();
        let length = output.end - output.start;
        match &self.memory {
            Some(memory) if output.end < memory.size() => {
                let offset = usize::try_from(output.start).unwrap_or(0);
                Ok((memory.base().wrapping_add(offset), length))
            }
            _ => Ok((self.copy_output()?, length)),
        }
    }

    /// The output's bytes.
    pub(crate) fn output_in_place(&self) -> &[u8] {
        self.get(self.output()).unwrap_or_default()
    }

    /// A copy of the output's bytes.
    #[cfg(feature = "compiler")]
    pub(crate) fn output_bytes(&self) -> Vec<u8> {
        self.output_in_place().to_vec()
    }

    /// A copy of the output with one byte after it, outside the memory. It serves output that ends at the memory's end;
    /// output in a block never does.
    fn copy_output(&mut self) -> Result<*const u8, Fault> {
        if self.output_copy.is_empty() {
            let output = self.get(self.output()).unwrap_or_default();
            let mut copy = Vec::new();
            copy.try_reserve_exact(output.len() + 1).map_err(|_| Fault::NoRoom(output.len() + 1))?;
            copy.extend_from_slice(output);
            copy.push(0);
            self.output_copy = copy;
        }
        Ok(self.output_copy.as_ptr())
    }
}
