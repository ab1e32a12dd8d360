//! The house as text: its files, and Rust source as tokens that know their line, how deep they stand and whether they are tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One file of the repository.
pub struct File {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

/// One token of code: a word, `::`, or a single sign. Comments and literals are none.
pub struct Token {
    pub text: String,
    pub line: usize,
    /// How many modules it stands in: 2 in `rules::apply`.
    pub depth: usize,
    /// Under `#[cfg(test)]`, or in a file of tests.
    pub test: bool,
}

/// Every text file of the repository, read once, except what is built and what the fuzzer wrote.
pub fn house() -> &'static [File] {
    static HOUSE: OnceLock<Vec<File>> = OnceLock::new();
    HOUSE.get_or_init(files)
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(root, &mut found);
    let mut files: Vec<File> = found
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            Some(File { path, text })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let made = ["target", "corpus", "artifacts", "proptest-regressions"].contains(&name.as_str());
        if made || (name.starts_with('.') && ![".ci", ".gitignore"].contains(&name.as_str())) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

impl File {
    pub fn is_rust(&self, folder: &str) -> bool {
        self.path.starts_with(folder) && self.path.ends_with(".rs")
    }

    /// A file that is only compiled for tests.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap();
        self.path.starts_with("tests/")
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
            || self.path.contains("/tests/")
    }

    /// The module that the file is: `src/rules/apply.rs` is `["rules", "apply"]`, `src/lib.rs` is `[]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        module
    }

    /// The code as tokens.
    pub fn tokens(&self) -> Vec<Token> {
        let (file_depth, file_test) = (self.module().len(), self.is_test());
        let mut tokens: Vec<Token> = Vec::new();
        // Inline modules that are open: how many braces around them, and whether they are tests.
        let mut open: Vec<(usize, bool)> = Vec::new();
        let mut braces = 0;
        for (text, line) in words(&self.text) {
            match text.as_str() {
                "{" => {
                    let before: Vec<&str> = tokens.iter().rev().take(9).map(|token| token.text.as_str()).collect();
                    if before.len() > 1 && before[1] == "mod" {
                        let test = before[2..].starts_with(&["]", ")", "test", "(", "cfg", "[", "#"]);
                        open.push((braces, test));
                    }
                    braces += 1;
                }
                "}" => {
                    braces -= 1;
                    open.retain(|(around, _)| *around < braces);
                }
                _ => {}
            }
            let test = file_test || open.iter().any(|(_, test)| *test);
            tokens.push(Token { text, line, depth: file_depth + open.len(), test });
        }
        tokens
    }
}

/// Words, `::` and signs with their line; without comments, strings and characters.
fn words(text: &str) -> Vec<(String, usize)> {
    let signs: Vec<char> = text.chars().collect();
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    let at_sign = |at: usize| signs.get(at).copied().unwrap_or('\0');
    while at < signs.len() {
        let from = at;
        match at_sign(at) {
            '/' if at_sign(at + 1) == '/' => {
                while at < signs.len() && at_sign(at) != '\n' {
                    at += 1;
                }
            }
            '/' if at_sign(at + 1) == '*' => {
                at += 2;
                while at < signs.len() && !(at_sign(at) == '*' && at_sign(at + 1) == '/') {
                    at += 1;
                }
                at += 2;
            }
            '"' => at = after_string(&signs, at),
            // A character, or a lifetime: which is a word and of no interest.
            '\'' if at_sign(at + 1) == '\\' => {
                at += 3;
                while at < signs.len() && at_sign(at) != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if at_sign(at + 2) == '\'' => at += 3,
            '\'' => at += 1,
            ':' if at_sign(at + 1) == ':' => {
                out.push(("::".to_owned(), line));
                at += 2;
            }
            sign if is_word(sign) => {
                while is_word(at_sign(at)) {
                    at += 1;
                }
                let word: String = signs[from..at].iter().collect();
                if matches!(word.as_str(), "r" | "br") && matches!(at_sign(at), '"' | '#') {
                    let raw = after_raw_string(&signs, at);
                    if raw > at {
                        line += signs[from..raw].iter().filter(|sign| **sign == '\n').count();
                        at = raw;
                        continue;
                    }
                }
                if word != "b" || at_sign(at) != '"' {
                    out.push((word, line));
                }
            }
            sign => {
                if !sign.is_whitespace() {
                    out.push((sign.to_string(), line));
                }
                at += 1;
            }
        }
        line += signs[from..at.min(signs.len())].iter().filter(|sign| **sign == '\n').count();
    }
    out
}

fn after_string(signs: &[char], mut at: usize) -> usize {
    at += 1;
    while at < signs.len() && signs[at] != '"' {
        at += if signs[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw string that opens with the quote or hashes at `at` ends; `at` itself if it is none (`r#name`).
fn after_raw_string(signs: &[char], at: usize) -> usize {
    let hashes = signs[at..].iter().take_while(|sign| **sign == '#').count();
    if signs.get(at + hashes) != Some(&'"') {
        return at;
    }
    let mut end = at + hashes + 1;
    let closes =
        |end: usize| signs[end] == '"' && signs[end + 1..].iter().take(hashes).filter(|s| **s == '#').count() == hashes;
    while end < signs.len() && !closes(end) {
        end += 1;
    }
    end + 1 + hashes
}

#[test]
fn source_is_read_as_it_is_meant() {
    let text = "use a::b; // use c::d\nlet x = \"crate::e \\\" {\"; let y = 'f'; let z: &'g str = r#\"h \" }\"#;\n\
                #[cfg(test)]\nmod tests { use super::i; }\nmod j { k }\n'{' l '\\''";
    let file = File { path: "src/room/part.rs".to_owned(), text: text.to_owned() };
    let tokens = file.tokens();
    let seen: Vec<_> = tokens.iter().map(|token| (token.text.as_str(), token.line, token.depth, token.test)).collect();
    let at = |text: &str| seen.iter().find(|token| token.0 == text).copied();
    assert_eq!(at("b"), Some(("b", 1, 2, false)));
    assert_eq!([at("c"), at("e"), at("f"), at("h")], [None; 4]);
    assert_eq!(at("g"), Some(("g", 2, 2, false)));
    assert_eq!(at("i"), Some(("i", 4, 3, true)));
    assert_eq!(at("k"), Some(("k", 5, 3, false)));
    assert_eq!(at("l"), Some(("l", 6, 2, false)));
}
