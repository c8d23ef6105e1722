//! Demangling: turns symbols of Rust and C++ back into the names in the source.
//!
//! Plugins choose the symbols, so time, memory and stack use are bounded. A Rust symbol takes time in proportion to its
//! length. Most C++ symbols do too, but nested expressions can double it per level: levels have a bound, raised while
//! reading is fast.

use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

/// The maximum length of a demangled name, which is cut there, and of a mangled C++ symbol, in bytes.
pub(crate) const MAX_NAME: usize = 256;

/// The maximum length of a mangled Rust symbol, in bytes.
const MAX_MANGLED: usize = 4096;

/// The Rust name behind `name`, without the hash at its end, cut at [`MAX_NAME`]; `None` if it is no Rust symbol.
pub(crate) fn rust(name: &str) -> Option<String> {
    let is_mangled = name.starts_with("_ZN") || name.starts_with("_R");
    let name = Some(name).filter(|name| is_mangled && name.len() <= MAX_MANGLED)?;
    let readable = rustc_demangle::try_demangle(name).ok()?;
    let mut start = Start { text: String::new(), is_cut: false };
    // The write fails at the maximum length; the text up to there is used.
    let is_whole = write!(start, "{readable:#}").is_ok();
    ((is_whole || start.is_cut) && !start.text.is_empty()).then_some(start.text)
}

/// Collects the first [`MAX_NAME`] bytes of a text; a write of more than that fails.
struct Start {
    text: String,
    is_cut: bool,
}

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME - self.text.len();
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        self.is_cut |= text.len() > room;
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Levels of nesting that are read: at first, how many more in each further try, and at most. Of the names in LLVM,
/// which are deeper than most, 99 in 100 need only the first. Each level uses stack.
const FIRST: u32 = 12;
const STEP: u32 = 2;
const LAST: u32 = 48;

/// The time that reading a name with one bound may take. The next bound could take some ten times as long.
const ONE: Duration = Duration::from_micros(200);

/// The time that all names of a backtrace may take.
const ALL: Duration = Duration::from_millis(5);

/// Demangles the C++ names of one backtrace, within one budget of time.
pub(crate) struct Cpp {
    left: Duration,
}

impl Cpp {
    pub(crate) fn new() -> Self {
        Self { left: ALL }
    }

    /// The C++ name behind the symbol `name`, if it is short and can be found in time.
    pub(crate) fn name(&mut self, name: &str) -> Option<String> {
        if !name.starts_with("_Z") || name.len() > MAX_NAME {
            return None;
        }
        let (mut levels, mut was_slow) = (FIRST, false);
        while levels <= LAST && !self.left.is_zero() {
            let start = Instant::now();
            let readable = read(name, levels);
            let took = start.elapsed();
            self.left = self.left.saturating_sub(took);
            match readable {
                Some(readable) => return Some(readable),
                None if took <= ONE => (levels, was_slow) = (levels + STEP, false),
                // The thread may have been descheduled: try once more.
                None if !was_slow => was_slow = true,
                None => return None,
            }
        }
        None
    }
}

/// The demangled name, if it has at most `levels` levels and is not too long.
fn read(name: &str, levels: u32) -> Option<String> {
    let symbol = Symbol::new_with_options(name, &ParseOptions::default().recursion_limit(levels)).ok()?;
    let mut start = Start { text: String::new(), is_cut: false };
    symbol.structured_demangle(&mut start, &DemangleOptions::default().recursion_limit(levels)).ok()?;
    Some(start.text)
}

#[cfg(test)]
mod tests {
    use super::{ALL, Cpp, LAST, MAX_MANGLED, MAX_NAME, rust};
    use std::thread;
    use std::time::Instant;

    #[test]
    fn names_of_rust() {
        for (mangled, name) in [
            ("_ZN9my_plugin6config4load17h0123456789abcdefE", Some("my_plugin::config::load")),
            ("_RNvNtCs1234_9my_plugin6config4load", Some("my_plugin::config::load")),
            ("_RINvNtC3std3mem8align_ofjdE", Some("std::mem::align_of::<usize, f64>")),
            // C++ names, and texts that only look like mangled names.
            ("_ZN6config4loadEi", None),
            ("_ZN", None),
            ("_R", None),
            ("_RNvC", None),
            ("main", None),
            ("é", None),
        ] {
            assert_eq!(rust(mangled).as_deref(), name, "{mangled}");
        }
        let segments = |count: usize| format!("_ZN{}17h0123456789abcdefE", "4long".repeat(count));
        assert_eq!(rust(&segments(40)).as_deref(), Some("long::".repeat(40).trim_end_matches("::")));
        assert_eq!(rust(&segments(200)).as_deref(), Some(&"long::".repeat(100)[..MAX_NAME]));
        assert_eq!(rust(&segments(MAX_MANGLED / 5)), None);
    }

    #[test]
    fn names_of_cpp() {
        for (mangled, name) in [
            ("_ZN6config4loadEi", Some("config::load(int)")),
            ("_ZNK3foo3barEv", Some("foo::bar() const")),
            ("_ZNSt6vectorIiSaIiEE9push_backEOi", Some("std::vector<int, std::allocator<int> >::push_back(int&&)")),
            ("_Z", None),
            ("_ZN", None),
            ("_Zé", None),
            ("main", None),
        ] {
            assert_eq!(Cpp::new().name(mangled).as_deref(), name, "{mangled}");
        }
        assert_eq!(Cpp::new().name(&format!("_ZN{}Ev", "4long".repeat(60))), None);
    }

    /// References back to earlier parts of a name double its length each time.
    #[test]
    fn hostile_names_of_rust_take_no_time() {
        let mut doubled = String::from("_RNvC1a1b");
        let mut nested = String::from("_RIC1a");
        while doubled.len() < 4000 {
            doubled.insert_str(2, "INvB_1c");
            nested.push_str("TB2_B2_");
        }
        let start = Instant::now();
        for name in [doubled, nested, format!("_R{}", "X".repeat(4000)), format!("_RNv{}", "NvC1a".repeat(800))] {
            (0..1000).for_each(|_| assert!(rust(&name).is_none_or(|name| name.len() <= MAX_NAME)));
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    /// The slowest names that a search has found: without a bound they take seconds to hours.
    #[test]
    fn hostile_names_of_cpp_take_no_time() {
        let names = [
            format!("_ZUl{}", "qusr".repeat(60)),
            format!("_ZZ{}", "3fooGRGRqu".repeat(25)),
            format!("_ZUlD0{}", "clgsqu".repeat(40)),
            format!("_ZUlnwt{}", "PPPPt".repeat(49)),
            format!("_Z1fIX{}", "qucl".repeat(60)),
            format!("_Z1f{}", "DTptquL".repeat(35)),
        ];
        let start = Instant::now();
        let mut cpp = Cpp::new();
        for name in names.iter().chain(&names) {
            assert!(name.len() <= MAX_NAME && cpp.name(name).is_none_or(|name| name.len() <= MAX_NAME), "{name}");
        }
        assert!(start.elapsed() < ALL * 400, "{:?}", start.elapsed());
    }

    /// Errors are made on the host's threads, which may have small stacks.
    #[test]
    fn deep_names_take_little_of_the_stack() {
        let names =
            ["P", "N1aI", "DTcl", "1fIX", "U3fooI"].map(|level| format!("_Z1f{}i", level.repeat(LAST as usize)));
        let small = thread::Builder::new().stack_size(96 << 10);
        let reading = small.spawn(move || {
            names.iter().for_each(|name| drop(super::read(&name[..name.len().min(MAX_NAME)], LAST)));
            (0..3).for_each(|_| drop(rust(&format!("_R{}", "INv".repeat(1000)))));
        });
        reading.expect("a thread").join().expect("no overflow");
    }
}
