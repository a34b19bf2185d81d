//! A text as it is seen: without colours and other control sequences, without what is struck over, without what takes no place. No I/O.

/// The text, and where each byte was; `None`: nothing is to be taken out.
pub(super) fn bare(text: &str) -> Option<(String, Vec<usize>)> {
    if !text.chars().any(|c| c != '\n' && c != '\t' && unseen(c)) {
        return None;
    }
    let (mut out, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\u{1b}' => match chars.next_if(|(_, next)| matches!(next, '[' | ']' | 'P' | '^' | '_' | '(' | ')')) {
                Some((_, '[')) => while chars.next().is_some_and(|(_, c)| !('@'..='~').contains(&c)) {},
                Some((_, '(' | ')')) => drop(chars.next()),
                Some(_) => {
                    // Up to a bell, or to the escape of the end sign, whose second half goes like a sequence of one.
                    while chars.next_if(|(_, c)| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
                    chars.next_if(|(_, c)| *c == '\u{7}');
                }
                None => drop(chars.next_if(|(_, c)| matches!(c, '7' | '8' | '=' | '>' | '\\' | 'c'))),
            },
            '\u{8}' => {
                if !out.ends_with('\n') && out.pop().is_some() {
                    places.truncate(out.len());
                }
            }
            c if c != '\n' && c != '\t' && unseen(c) => {}
            c => {
                out.push(c);
                places.extend(at..at + c.len_utf8());
            }
        }
    }
    Some((out, places))
}

/// Whether a character leaves no mark of its own.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
