//! `rprov schema`: the inventory's language as a JSON Schema, for editors. Reads nothing.

use crate::inventory::schema::json;

use super::console::Console;
use super::exit::Exit;

pub(super) fn run(console: &Console) -> Result<Exit, Exit> {
    console.result(&json::text()).map(|()| Exit::Ok)
}
