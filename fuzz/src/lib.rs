//! What each target does with its bytes, and what must hold whatever they are. A target fails by a panic, by more time
//! or by more memory than `tests/fuzz` gives it.

pub mod config_toml;
pub mod gitlab;
pub mod inventory;
pub mod known_hosts;
pub mod probe;
pub mod saved_plan;
pub mod ssh_config;

/// What people are shown holds no control character but line breaks, and the tabs of files.
fn assert_harmless(shown: &str) {
    let harmful = |c: char| !matches!(c, '\n' | '\t') && c.is_control();
    assert!(!shown.contains(harmful), "a control character gets out: {shown:?}");
}

/// The bytes as text, or as much of them as is text.
fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}
