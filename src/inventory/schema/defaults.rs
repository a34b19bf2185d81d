//! Defaults of keys, as their descriptions tell them: "default 1h". One place says it, so that nothing can differ. Pure.

use super::{Field, Kind};

impl Field {
    /// The value that holds where the key is not given, as it would be written; `None` where there is none, or where it
    /// is no fixed value ("default the host's name").
    #[must_use]
    pub fn default(&self) -> Option<&'static str> {
        let (_, rest) = self.doc.split_once("default ")?;
        let end = rest.find([';', ',']).unwrap_or(rest.len());
        let word = rest[..end].trim_matches(['`', '"']);
        is_value(self.kind, word).then_some(word)
    }
}

fn is_value(kind: Kind, word: &str) -> bool {
    match kind {
        Kind::Boolean => matches!(word, "true" | "false"),
        Kind::Integer(least, most) => word.parse().is_ok_and(|number| (least..=most).contains(&number)),
        Kind::Word(words) => words.iter().any(|known| known.name == word),
        Kind::OneOrList(inner) => is_value(*inner, word),
        // `any` and the like are words of the description, and a path in a home is one of several.
        Kind::Text(format) => {
            let told =
                word.contains([' ', '\'', '~']) || matches!(word, "any" | "all" | "nothing" | "everyone" | "none");
            !told && format.check(word).is_ok()
        }
        _ => false,
    }
}
