//! `extism-wasmer compile`

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use extism_core::code::precompile::{Compiled, Order};
use extism_core::error::one_line;
use extism_core::input::Input;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{Failure, Outcome, cache, exit, text};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Modules (.wasm, .wat) or manifests (JSON, TOML)
    #[arg(required = true, value_name = "MODULE")]
    modules: Vec<PathBuf>,
    /// The compilers, such as `llvm,cranelift`; the default one if not given
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    compiler: Vec<String>,
    /// The target, such as `aarch64-unknown-linux-gnu`; this one if not given
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// `native`, a level such as `x86-64-v3`, or a list of features beyond the lowest level such as `avx2,bmi2`; if not
    /// given, the lowest level, `x86-64-v2` or `armv8`, so that the code runs on every such server
    #[arg(long, value_name = "CPU")]
    cpu: Option<String>,
    /// Make code that counts its instructions, for manifests with `fuel`
    #[arg(long)]
    fuel: bool,
    /// Also make code for memories without a reservation of 8 GiB of address space, for processes with a limit on it
    /// (RLIMIT_AS, `ulimit -v`)
    #[arg(long)]
    moving_memories: bool,
    /// The cache to put code into, a directory; EXTISM_CACHE_DIR or the user's cache if not given
    #[arg(long = "store", value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let order = Order::new(&arguments.compiler, arguments.target.as_deref(), arguments.cpu.as_deref());
    let order = order.map_err(Failure::usage)?.with_fuel(arguments.fuel);
    let order = order.with_moving_memories(arguments.moving_memories);
    let directory = cache::directory(arguments.cache.as_deref())?;
    let bar = progress(arguments.modules.len());
    let mut lines = String::new();
    let mut status = 0;
    for path in &arguments.modules {
        bar.set_message(text::path(path));
        let compiled = Input::read(path)
            .and_then(|input| order.compile(&input, Some(&directory)).map_err(|error| input.wrong(error)));
        match compiled {
            Ok(compiled) => compiled.iter().for_each(|compiled| lines += &line(path, compiled)),
            // The other modules are still compiled.
            Err(error) => {
                bar.suspend(|| text::complain(&error.to_string()));
                status = exit::CANNOT;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !lines.is_empty() {
        lines += &format!("for {}, in {}\n", order.machine(), text::path(&directory));
    }
    text::print(lines.as_bytes(), status)
}

fn line(path: &std::path::Path, compiled: &Compiled) -> String {
    let took = compiled.took.map_or_else(|| "was there".to_owned(), text::duration);
    let module = if compiled.module == "main" { String::new() } else { format!(" ({})", one_line(&compiled.module)) };
    let (size, compiler) = (text::bytes(compiled.size as u64), compiled.compiler);
    let memories = if compiled.memories_move { ", moving memories" } else { "" };
    format!("{}  {}{module}  {compiler}{memories}  {size}  {took}\n", &compiled.sha256[..16], text::path(path))
}

/// A progress bar on standard error, if it is a terminal and there are several modules.
fn progress(count: usize) -> ProgressBar {
    if count < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
