//! The fuzz targets over their corpus: what the fuzzer found worth keeping stays true, without the fuzzer. `tests/fuzz` searches on.
#![allow(clippy::unwrap_used)]

mod targets;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn run(name: &str) {
    let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let mut failed = Vec::new();
    let inputs = inputs(&corpus().join(name));
    assert!(inputs.len() >= 5, "fuzz/corpus/{name} is all but empty: tests/fuzz fills it");
    for path in inputs {
        let data = std::fs::read(&path).unwrap();
        if catch_unwind(|| target(&data)).is_err() {
            failed.push(path.display().to_string());
        }
    }
    assert!(failed.is_empty(), "what failed is printed above; the inputs:\n{}", failed.join("\n"));
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        /// A target that is not run here, not built by `tests/fuzz`, or without a corpus, would be forgotten.
        #[test]
        fn every_target_is_known_everywhere() {
            let here: Vec<&str> = vec![$(stringify!($name)),*];
            let all: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(here, all, "tests/corpus.rs and tests/targets/mod.rs");
            let manifest: toml::Table = include_str!("../fuzz/Cargo.toml").parse().unwrap();
            let mut built: Vec<&str> = manifest["bin"].as_array().unwrap().iter().filter_map(|bin| bin["name"].as_str()).collect();
            built.sort_unstable();
            assert_eq!(built, all, "fuzz/Cargo.toml");
            let kept: Vec<String> = inputs(&corpus()).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
            assert_eq!(kept, all, "fuzz/corpus");
        }
    };
}

targets!(answer config consent event notice number operator text topic);
