//! The fenced blocks of the repository's pages: what a reader copies.

/// The one block of `language` on `page` that has `part` in it.
#[track_caller]
pub fn block(page: &str, language: &str, part: &str) -> String {
    let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let fence = format!("\n```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    let found: Vec<&str> = blocks.filter(|block| block.contains(part)).collect();
    assert_eq!(found.len(), 1, "{page} has one {language} block with {part:?}: {found:#?}");
    found[0].to_owned()
}
