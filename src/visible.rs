//! Which characters may be shown as they are, and which steer a terminal, hide, or pass for others. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// Marks above and below one letter: no language has more, and a flood of them covers the lines around.
const MOST_MARKS: usize = 4;

/// Beyond ASCII: what controls (`Cc`, `Cf`: also what reorders text), what separates lines (`Zl`, `Zp`), every blank that is not the
/// usual one (`Zs`), what no font need show (`Default_Ignorable_Code_Point`: zero-width, fillers, variation selectors, tags), what has
/// no meaning that all agree on (`Co`, `Cn`), and three signs that are drawn as nothing. The tables are those of the regex crate, so they
/// follow Unicode.
static HARMFUL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\x{2800}\x{FFFC}\x{1D159}]")
        .ok()
});

/// Marks that are drawn onto the character before them.
static MARK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{Mn}\p{Me}]").ok());

/// Whether a character steers a terminal, cannot be seen, or passes for a blank or for nothing.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_control() } else { is_one_of(&HARMFUL, c) }
}

fn is_one_of(class: &Option<Regex>, c: char) -> bool {
    // Without a table, everything is suspicious: that is seen, and a test sees it first.
    class.as_ref().is_none_or(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Goes through a text and says of each character whether it may be shown as it is, with regard to those before it.
#[derive(Debug, Default)]
pub struct Watch {
    begun: bool,
    marks: usize,
}

impl Watch {
    /// Whether the next character is to be shown as its number.
    pub fn objects(&mut self, c: char) -> bool {
        let harmful = if !c.is_ascii() && is_one_of(&MARK, c) {
            self.marks += 1;
            // At the beginning it would be drawn onto what stands before the text.
            !self.begun || self.marks > MOST_MARKS || is_harmful(c)
        } else {
            self.marks = 0;
            is_harmful(c)
        };
        // A mark after something that is shown as its number would be drawn onto a brace.
        self.begun = !harmful;
        harmful
    }
}

/// The first character of a name that makes it look like another one.
#[must_use]
pub fn first_harmful(name: &str) -> Option<char> {
    let mut watch = Watch::default();
    name.chars().find(|c| watch.objects(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_harmful() {
        let ranges = [
            '\u{0}'..='\u{1f}',
            '\u{7f}'..='\u{a0}',
            '\u{ad}'..='\u{ad}',
            '\u{34f}'..='\u{34f}',
            '\u{61c}'..='\u{61c}',
            '\u{115f}'..='\u{1160}',
            '\u{17b4}'..='\u{17b5}',
            '\u{180b}'..='\u{180f}',
            '\u{2000}'..='\u{200f}',
            '\u{2028}'..='\u{202f}',
            '\u{205f}'..='\u{206f}',
            '\u{2800}'..='\u{2800}',
            '\u{3000}'..='\u{3000}',
            '\u{3164}'..='\u{3164}',
            '\u{fe00}'..='\u{fe0f}',
            '\u{feff}'..='\u{feff}',
            '\u{ffa0}'..='\u{ffa0}',
            '\u{fff0}'..='\u{fffc}',
            '\u{1d173}'..='\u{1d17a}',
            '\u{e0000}'..='\u{e0fff}',
            '\u{f8f0}'..='\u{f8f1}',
        ];
        for c in ranges.into_iter().flatten() {
            assert!(is_harmful(c), "{c:?}");
        }
        for c in " ~ä漢👍é…·—\u{1100}कि\u{5d0}\u{627}".chars() {
            assert!(!is_harmful(c), "{c:?}");
        }
    }

    #[test]
    fn marks_stay_where_a_language_has_them() {
        for text in ["e\u{301}", "o\u{302}\u{301}", "ש\u{5c1}\u{5b8}\u{591}", "ที่"] {
            assert_eq!(first_harmful(text), None, "{text}");
        }
        assert_eq!(first_harmful(&format!("a{}", "\u{335}".repeat(5))), Some('\u{335}'));
        assert_eq!(first_harmful("\u{338}a"), Some('\u{338}'));
    }
}
