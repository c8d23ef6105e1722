//! The limit of a manifest on a plugin's variables: `memory.max_var_bytes`.

use std::collections::BTreeMap;

use super::BOTH;
use crate::host::{Context, fixture, manifest};

/// The limit, and the variables that are set in turn: key, bytes, and the error, if any. Each variable counts its key,
/// its value, and 48 bytes.
const VARS: &[(&str, &[(&str, usize, &str)])] = &[
    ("0", &[("k", 1, "Vars are disabled by this host")]),
    ("100", &[("k", 51, ""), ("k", 52, "Variable store is full"), ("k", 51, ""), ("l", 1, "Variable store is full")]),
    ("100", &[("k", 52, "Variable store is full"), ("longer", 46, ""), ("longer", 47, "Variable store is full")]),
    ("150", &[("a", 20, ""), ("b", 20, ""), ("c", 1, "Variable store is full"), ("b", 31, ""), ("a", 22, "full")]),
    ("49", &[("k", 1, "Variable store is full")]),
    ("null", &[("k", 1 << 20, ""), ("l", 50 << 20, "")]),
];

#[test]
fn variables_stay_within_max_var_bytes() {
    for abi in BOTH {
        let kitchen = fixture(&format!("kitchen.{}", abi.suffix()));
        let context = Context::new();
        for (limit, sets) in VARS {
            let memory = format!("\"memory\": {{\"max_var_bytes\": {limit}}}");
            let plugin = context.plugin(manifest(&kitchen, &memory));
            let mut last = BTreeMap::new();
            for (key, length, refusal) in *sets {
                let answer = plugin.call("var_set", format!("{key}={}", "v".repeat(*length)));
                assert!(answer.error().contains(refusal), "{abi:?}: {limit}, {key}: {}", answer.error());
                assert_eq!(answer.code, if refusal.is_empty() { 0 } else { -1 }, "{abi:?}: {limit}, {key}, {length}");
                if refusal.is_empty() {
                    last.insert(key, *length);
                }
                // A refused value changes nothing.
                let stored = plugin.call("var_get", key).output.len();
                assert_eq!(stored, last.get(key).copied().unwrap_or(0), "{abi:?}: {limit}, {key}");
            }
            plugin.free();
        }
    }
}

/// An empty variable with a key of one byte takes exactly 49 bytes. 1.x has no empty variables.
#[test]
fn an_empty_variable_counts_its_key() {
    let context = Context::new();
    let plugin = context.plugin(manifest(fixture("kitchen.v0"), "\"memory\": {\"max_var_bytes\": 49}"));
    plugin.answer("var_set", "k=");
    assert_eq!(plugin.answer("var_get", "k"), "");
    assert!(plugin.call("var_set", "kk=").error().contains("Variable store is full"));
}
