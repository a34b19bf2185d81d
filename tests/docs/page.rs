//! A Markdown file, taken apart as far as the tests need it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown file.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block {
    pub(crate) text: String,
    /// Where its text stands in the page.
    start: usize,
}

/// Any fenced block.
pub(crate) struct Fence {
    /// First word after the backticks; may be empty.
    pub(crate) language: String,
    /// What stands in it.
    pub(crate) text: String,
    /// Line of the page on which it begins.
    pub(crate) line: usize,
}

impl Fence {
    /// The name of the file that it is: its first line is a comment with nothing else in it.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        (name.contains('.') && name.chars().all(plain)).then_some(name)
    }
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    /// The lines with their number and offset, and whether they are inside a fenced block.
    fn lines(&self) -> impl Iterator<Item = (usize, usize, bool, &str)> {
        let (mut offset, mut fenced) = (0, false);
        self.text.split_inclusive('\n').enumerate().map(move |(number, line)| {
            let start = offset;
            offset += line.len();
            let fence = line.starts_with("```");
            let inside = fenced || fence;
            fenced ^= fence;
            (number + 1, start, inside, line.trim_end())
        })
    }

    /// Fenced blocks of a language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<Block> {
        let opening = format!("```{language}");
        let open = self.lines().filter(|(_, _, inside, line)| *inside && *line == opening);
        open.map(|(_, at, _, line)| {
            let start = at + line.len() + 1;
            let end = self.text[start..].find("```").map_or(self.text.len(), |end| start + end);
            Block { text: self.text[start..end].to_owned(), start }
        })
        .collect()
    }

    /// All fenced blocks, in their order.
    pub(crate) fn fences(&self) -> Vec<Fence> {
        let mut found: Vec<Fence> = Vec::new();
        let mut open = false;
        for (line, _, inside, text) in self.lines() {
            if let (true, Some(language)) = (inside, text.strip_prefix("```")) {
                open = !open;
                if open {
                    let language = language.split_whitespace().next().unwrap_or_default().to_owned();
                    found.push(Fence { language, text: String::new(), line });
                }
            } else if let (true, Some(fence)) = (inside, found.last_mut()) {
                fence.text += text;
                fence.text.push('\n');
            }
        }
        found
    }

    /// The first block of a language.
    pub(crate) fn block(&self, language: &str) -> Block {
        let blocks = self.blocks(language);
        blocks.into_iter().next().unwrap_or_else(|| panic!("{}: no ```{language} block", self.path.display()))
    }

    /// Links to other places of the repository, with their line.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, _, inside, line) in self.lines() {
            if inside {
                continue;
            }
            let targets = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next());
            let own = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
            found.extend(own.map(|target| (number, target.to_owned())));
        }
        found
    }

    /// The anchors of its headings, as GitLab and GitHub make them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.lines().filter(|(_, _, inside, line)| !inside && line.starts_with('#'));
        headings
            .map(|(_, _, _, line)| {
                let kept = line.trim_start_matches('#').trim().to_lowercase();
                let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }

    /// What stands below a heading, up to the next of its level or above.
    pub(crate) fn section(&self, title: &str) -> String {
        let level = |line: &str| line.bytes().take_while(|byte| *byte == b'#').count();
        let mut lines = self.lines().skip_while(|(_, _, _, line)| line.trim_start_matches('#').trim() != title);
        let Some((_, _, _, heading)) = lines.next() else { panic!("{}: no heading {title}", self.path.display()) };
        let body =
            lines.take_while(|(_, _, inside, line)| *inside || !line.starts_with('#') || level(line) > level(heading));
        body.map(|(_, _, _, line)| format!("{line}\n")).collect()
    }

    /// The first block of a language must be this text.
    pub(crate) fn keep_block(&self, language: &str, wanted: &str) {
        let block = self.block(language);
        self.keep(block.start, &block.text, wanted);
    }

    /// What stands between two lines must be this text.
    pub(crate) fn keep_between(&self, begin: &str, end: &str, wanted: &str) {
        let start = self.text.find(begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len() + 1;
        let found = self.text[start..].split(end).next().unwrap_or_default();
        self.keep(start, found, wanted);
    }

    fn keep(&self, start: usize, found: &str, wanted: &str) {
        if found == wanted {
            return;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            // Read anew: another test may have written another part of it meanwhile.
            let text = fs::read_to_string(&self.path).unwrap();
            assert_eq!(text, self.text, "it changed meanwhile; run again");
            let text = format!("{}{wanted}{}", &text[..start], &text[start + found.len()..]);
            fs::write(&self.path, text).unwrap();
            return;
        }
        let page = self.path.display();
        panic!("{page} is out of date; UPDATE_DOCS=1 cargo test --test docs writes it. It should hold:\n{wanted}");
    }
}
