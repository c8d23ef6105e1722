//! Compares what a user sees first, the header and the version, with the code.

use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_committed_header_is_fresh() {
    let generated = fs::read_to_string(env!("EXTISM_HEADER")).expect("build.rs has made it");
    assert!(generated == text("extism.h"), "v1/extism.h is stale: run `make header`");
}

/// Parsers without a preprocessor skip lines that begin with `#`, and the lines that are for C++ alone.
#[test]
fn the_header_is_plain() {
    let header = text("extism.h");
    let (mut comment, mut is_cpp) = (false, false);
    let mut guards = 0;
    for line in header.lines() {
        comment |= line.trim_start().starts_with("/*");
        if !comment {
            match line.split_once(' ') {
                Some(("#ifdef", "__cplusplus")) => (is_cpp, guards) = (true, guards + 1),
                Some(("#endif", _)) => is_cpp = false,
                Some(("#include", name)) => assert!(name.starts_with("<std"), "{line}"),
                Some(("#define", rest)) => assert!(rest.starts_with("EXTISM_") && !rest.ends_with('\\'), "{line}"),
                Some(("#pragma", what)) => assert_eq!(what, "once"),
                _ => {
                    assert!(!line.starts_with('#'), "{line}");
                    for odd in ["extern", "__attribute__", "__declspec", "\\", "struct Extism", "enum Extism"] {
                        let is_opaque = line.starts_with("typedef struct Extism") && line.ends_with(';');
                        assert!(is_cpp || is_opaque || !line.contains(odd), "{line}");
                    }
                }
            }
        }
        comment &= !line.trim_end().ends_with("*/");
    }
    assert_eq!(guards, 2, "before and behind the functions");
}
