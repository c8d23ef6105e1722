//! Which file of a crate uses which, read from the files' text: `use` declarations and paths that begin with `crate`,
//! `super`, `self` or the name of a submodule. Names are followed through `pub use` to the file that defines them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path below its crate; empty for the crate itself.
type Module = Vec<String>;

/// One source file.
pub(super) struct File {
    pub(super) path: PathBuf,
    module: Module,
    /// The text without comments, contents of strings, and unit tests.
    pub(super) code: String,
}

/// The source files of a crate.
pub(super) struct Crate {
    pub(super) files: Vec<File>,
    by_module: BTreeMap<Module, usize>,
    /// For each file, the names that it has from elsewhere and hands on.
    handed_on: Vec<BTreeMap<String, Module>>,
}

impl Crate {
    /// Reads all files below `folder`.
    pub(super) fn read(folder: &Path) -> Self {
        let mut paths = Vec::new();
        collect(folder, &mut paths);
        assert!(!paths.is_empty(), "{} has no source files", folder.display());
        let files: Vec<_> = paths.into_iter().map(|path| File::read(folder, path)).collect();
        let by_module = files.iter().enumerate().map(|(number, file)| (file.module.clone(), number)).collect();
        let mut all = Self { files, by_module, handed_on: Vec::new() };
        all.handed_on = all.files.iter().map(|file| all.names_of(file)).collect();
        all
    }

    /// The first folder or file below the crate that a file belongs to.
    pub(super) fn room(&self, file: usize) -> Option<&str> {
        self.files[file].module.first().map(String::as_str)
    }

    /// The files whose items `file` names.
    pub(super) fn uses(&self, file: usize) -> BTreeSet<usize> {
        let File { module, code, .. } = &self.files[file];
        let declared = uses_in(code).into_iter().map(|(_, inner, path)| (inner, path));
        let named = paths_in(code).into_iter().map(|(inner, text)| (inner, segments(&text)));
        let used =
            declared.chain(named).filter_map(|(inner, path)| self.definer(&self.absolute(module, inner, &path)?, 0));
        used.filter(|other| *other != file).collect()
    }

    /// Files that use each other in a circle, if there are any: those left over when files that use no other one are
    /// taken away again and again, and files that no other one uses.
    pub(super) fn circle(&self) -> Vec<(usize, usize)> {
        let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
        for file in 0..self.files.len() {
            edges.extend(self.uses(file).into_iter().map(|other| (file, other)));
        }
        loop {
            let users: BTreeSet<_> = edges.iter().map(|(user, _)| *user).collect();
            let used: BTreeSet<_> = edges.iter().map(|(_, used)| *used).collect();
            let before = edges.len();
            edges.retain(|(user, other)| users.contains(other) && used.contains(user));
            if edges.len() == before {
                return edges.into_iter().collect();
            }
        }
    }

    fn names_of(&self, file: &File) -> BTreeMap<String, Module> {
        let handed = uses_in(&file.code).into_iter().filter(|(public, inner, _)| *public && !inner);
        let names = handed.filter_map(|(_, _, path)| {
            let (name, path) = match path.iter().position(|part| part == "as") {
                Some(at) => (path[at + 1].clone(), path[..at].to_vec()),
                None => (path.last()?.clone(), path.clone()),
            };
            Some((name, self.absolute(&file.module, false, &path)?))
        });
        names.collect()
    }

    /// A path from inside `module`, or from a module that is written out in its file, as one from the crate.
    fn absolute(&self, module: &Module, inner: bool, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut base = module.clone();
        if inner {
            base.push("inner".to_owned());
        }
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([base, rest.to_vec()].concat()),
            "super" => {
                let above = path.iter().take_while(|part| *part == "super").count();
                base.truncate(base.len().saturating_sub(above));
                Some([base, path[above..].to_vec()].concat())
            }
            _ => {
                base.push(first.clone());
                self.by_module.contains_key(&base).then(|| [base, rest.to_vec()].concat())
            }
        }
    }

    /// The file that defines what is at this path.
    fn definer(&self, path: &[String], depth: usize) -> Option<usize> {
        let length = (0..=path.len()).rev().find(|length| self.by_module.contains_key(&path[..*length]))?;
        let file = self.by_module[&path[..length].to_vec()];
        match path.get(length).and_then(|name| self.handed_on[file].get(name)) {
            Some(from) if depth < 8 => self.definer(&[from, &path[length + 1..]].concat(), depth + 1),
            _ => Some(file),
        }
    }
}

impl File {
    fn read(folder: &Path, path: PathBuf) -> Self {
        let inside = path.strip_prefix(folder).expect("below it").with_extension("");
        let mut module: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        let text = fs::read_to_string(&path).expect("sources are text");
        let is_test = module.last().is_some_and(|last| last == "tests");
        let tests = text.find("\n#[cfg(test)]\nmod tests {").or_else(|| text.find("\n#[cfg(all(test"));
        let code = if is_test { String::new() } else { bare(&text[..tests.unwrap_or(text.len())]) };
        Self { path, module, code }
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("it can be listed").map(|entry| entry.expect("listed").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The text without comments and without what is in strings.
fn bare(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let mut before = ' ';
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '/' if !quoted && characters.peek() == Some(&'/') => break,
                '\\' if quoted => drop(characters.next()),
                '"' if before != '\'' => {
                    quoted = !quoted;
                    code.push('"');
                }
                other if !quoted => code.push(other),
                _ => {}
            }
            before = character;
        }
        code.push('\n');
    }
    code
}

fn segments(path: &str) -> Module {
    path.split("::").map(str::to_owned).collect()
}

/// The ranges of modules that are written out in the file.
fn inner_modules(code: &str) -> Vec<(usize, usize)> {
    let starts = code.match_indices("mod ").filter(|(at, _)| {
        let line = &code[code[..*at].rfind('\n').map_or(0, |end| end + 1)..];
        let line = line.lines().next().unwrap_or_default();
        !line.starts_with(' ') && line.ends_with('{')
    });
    starts.map(|(at, _)| (at, code[at..].find("\n}").map_or(code.len(), |end| at + end))).collect()
}

/// The paths of all `use` declarations: whether the name is handed on, whether the declaration is in a module that is
/// written out, and the path; `x as y` has a part `as`.
fn uses_in(code: &str) -> Vec<(bool, bool, Module)> {
    let inner = inner_modules(code);
    let mut all = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let start = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = code[start..at].trim();
        let Some(end) = code[at..].find(';').filter(|_| before.is_empty() || before.starts_with("pub")) else {
            continue;
        };
        let inside = inner.iter().any(|(from, to)| (*from..*to).contains(&at));
        let tree = code[at + 4..at + end].replace(" as ", "::as::").split_whitespace().collect::<String>();
        all.extend(expanded(&tree).into_iter().map(|path| (!before.is_empty(), inside, segments(&path))));
    }
    all
}

/// The single paths of a tree such as `a::{b, c::{self, d}}`.
fn expanded(tree: &str) -> Vec<String> {
    let Some(open) = tree.find('{') else { return vec![tree.trim_end_matches("::self").to_owned()] };
    let prefix = &tree[..open];
    let (mut depth, mut from, mut all) = (0, open + 1, Vec::new());
    for (at, character) in tree.char_indices().skip(open) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (character == ',' && depth == 1) || (character == '}' && depth == 0) {
            let part = &tree[from..at];
            if !part.is_empty() {
                all.extend(expanded(&format!("{prefix}{part}")));
            }
            from = at + 1;
        }
    }
    all
}

/// Paths outside of `use` declarations, and whether they are in a module that is written out.
fn paths_in(code: &str) -> Vec<(bool, String)> {
    let inner = inner_modules(code);
    let mut all = Vec::new();
    for (at, _) in code.match_indices("::") {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        let start = code[..at].rfind(|character| !is_part(character)).map_or(0, |before| before + 1);
        if start == at || code[..start].ends_with([':', '.', '{']) || code[..start].ends_with("use ") {
            continue;
        }
        let path: String =
            code[start..].chars().take_while(|character| is_part(*character) || *character == ':').collect();
        let inside = inner.iter().any(|(from, to)| (*from..*to).contains(&start));
        all.push((inside, path.trim_end_matches(':').to_owned()));
    }
    all
}
