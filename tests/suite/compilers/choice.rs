//! A plugin's compiler is chosen by its manifest, else by the program, else by the environment.

use super::usable;
use crate::child;
use crate::host::{Compiler, Context, choose_compiler, manifest};

const MODULE: &str = "(module (func (export \"run\") (result i32) (i32.const 5)))";

/// The answer of a plugin whose manifest names this compiler, or the error.
fn asking_for(compiler: &str) -> Result<i32, String> {
    let context = Context::new();
    let plugin = context.create(manifest(MODULE, &format!("\"compiler\": \"{compiler}\"")), false)?;
    Ok(plugin.call_only("run", b""))
}

#[test]
fn a_manifest_chooses() {
    for compiler in Compiler::ALL {
        let made = asking_for(compiler.name());
        if usable().contains(&compiler) {
            assert_eq!(made, Ok(5));
        } else {
            let error = made.expect_err("it is not built in");
            let start = format!("the manifest's compiler: `{}` cannot be used; built in: ", compiler.name());
            assert!(error.starts_with(&start), "{error}");
            assert!(error.ends_with(&usable().iter().map(|usable| usable.name()).collect::<Vec<_>>().join(", ")));
        }
    }
    for name in ["", "gcc", "Cranelift", "cranelift "] {
        let error = asking_for(name).expect_err("there is no such compiler");
        assert!(error.contains(&format!("`{name}` cannot be used")), "{error}");
    }
    let context = Context::new();
    let error = context.refusal(manifest(MODULE, "\"compiler\": 5"));
    assert!(error.starts_with("compiler: "), "{error}");
}

#[test]
fn the_program_chooses() {
    child::alone("compilers::choice::the_program_chooses", || {
        let first = Compiler::in_use();
        for compiler in Compiler::ALL {
            let can = compiler.is_built_in();
            assert_eq!(choose_compiler(Some(compiler.name())), can, "{compiler:?}");
            if can {
                assert_eq!(Compiler::in_use(), compiler.name());
            }
        }
        assert!(choose_compiler(None));
        assert_eq!(Compiler::in_use(), first);
        for name in ["", "gcc", "headless", "CRANELIFT"] {
            assert!(!choose_compiler(Some(name)), "{name}");
            assert_eq!(Compiler::in_use(), first, "a wrong name changes nothing");
        }
    });
}

#[test]
fn the_environment_chooses_last() {
    const TEST: &str = "compilers::choice::the_environment_chooses_last";
    let usable = usable();
    let Some(last) = usable.last() else { return };
    if child::case().is_some() {
        let named = std::env::var("EXTISM_COMPILER").expect("the parent sets it");
        if Compiler::ALL.iter().any(|compiler| compiler.name() == named) {
            return assert_eq!(Compiler::in_use(), named);
        }
        let error = Context::new().refusal(MODULE);
        assert!(error.starts_with("EXTISM_COMPILER: `no such` cannot be used; "), "{error}");
        // The manifest, and after it the program, override the environment.
        assert_eq!(asking_for(last.name()), Ok(5));
        assert!(choose_compiler(Some(last.name())));
        return assert_eq!(Context::new().plugin(MODULE).call_only("run", b""), 5);
    }
    for compiler in &usable {
        child::run(TEST, compiler.name(), &[("EXTISM_COMPILER", compiler.name().as_ref())]);
    }
    child::run(TEST, "wrong", &[("EXTISM_COMPILER", "no such".as_ref())]);
}
