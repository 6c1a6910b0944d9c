//! Text of others inside Markdown: it is shown as it is, and does nothing. Written for Forgejo, which looks for mentions,
//! issues, links and emoji in the finished page too, where neither a backslash nor an entity keeps it from finding them;
//! only a character in between does.

use std::fmt::Write;

/// Has no width, and belongs to no name, number or address.
const BREAK: char = '\u{200b}';

/// Text for a paragraph or a table's cell: one line, in which nothing is markup, a mention, a reference or a link.
pub fn escape(text: &str) -> String {
    let text = inert(text);
    let mut safe = String::with_capacity(text.len() + text.len() / 4);
    let mut previous: Option<char> = None;
    let mut only_digits = true;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_markup = match character {
            // Backslashes would do for most, but Gitea reads `\[` and `\(` as the beginning of a formula.
            '&' | '<' | '>' | '"' | '|' | '\\' | '`' | '*' | '~' | '[' | ']' | '{' | '}' | '$' | '#' | '^' => true,
            '_' => {
                let is_inside_word = previous.is_some_and(char::is_alphanumeric)
                    && characters.peek().is_some_and(|next| next.is_alphanumeric());
                !is_inside_word
            }
            '-' | '+' | '=' | ':' => previous.is_none(),
            '.' | ')' => only_digits && previous.is_some() && characters.peek().is_none_or(|next| *next == ' '),
            _ => false,
        };
        if is_markup {
            let _ = write!(safe, "&#{};", u32::from(character));
        } else {
            safe.push(character);
        }
        only_digits &= character.is_ascii_digit();
        previous = Some(character);
    }
    safe
}

/// A code span that its content cannot leave, in a paragraph and in a table's cell. Empty for empty text.
pub fn code(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() {
        return text;
    }
    // A backslash before `|` is needed inside a table and shown outside of one.
    if text.contains('|') {
        return format!("<code>{}</code>", escape(&text));
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A block of code that its content cannot leave. It ends with a line break.
pub fn block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

/// As `render` writes the text, or its beginning when that would be longer than `limit` bytes.
pub fn within(limit: usize, text: &str, render: fn(&str) -> String) -> String {
    let mut kept: String = text.chars().take(limit).collect();
    let mut is_cut = kept.len() < text.len();
    loop {
        let rendered = if is_cut { render(&format!("{kept}…")) } else { render(&kept) };
        if rendered.len() <= limit || kept.is_empty() {
            return rendered;
        }
        is_cut = true;
        kept = kept.chars().take(kept.chars().count() * 3 / 4).collect();
    }
}

/// Text for a title, which has no markup: one line, without mentions, references or links.
pub fn inert(text: &str) -> String {
    let characters: Vec<char> = one_line(text).chars().collect();
    let mut safe = String::with_capacity(characters.len());
    let is_word = |character: Option<&char>| character.is_some_and(|character| character.is_alphanumeric());
    for (index, &character) in characters.iter().enumerate() {
        let (before, after) = (&characters[..index], &characters[index + 1..]);
        if !is_word(before.last()) && begins_with_commit(&characters[index..]) {
            safe.push(BREAK);
        }
        safe.push(character);
        let begins_something = match character {
            // `@name`, `name@host`, `owner/repository@commit`
            '@' => after.first().is_some_and(|next| !next.is_whitespace()),
            // `#1`, `!1`
            '#' | '!' => is_word(after.first()),
            // `https://`, `mailto:`, `:smile:`
            ':' => {
                let scheme = ["http", "https", "ftp"].iter().any(|scheme| ends_with(before, scheme));
                scheme && after.starts_with(&['/', '/']) || ends_with(before, "mailto") || begins_with_emoji(after)
            }
            'w' | 'W' => after.first() == Some(&'.') && ends_with(&characters[..=index], "www"),
            _ => false,
        };
        if begins_something {
            safe.push(BREAK);
        }
    }
    safe
}

/// Line breaks become spaces; characters that are not seen, or that turn the text around, are written out.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => line.push(' '),
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                let _ = write!(line, "{}", character.escape_unicode());
            }
            _ if character.is_control() => {
                let _ = write!(line, "{}", character.escape_default());
            }
            _ => line.push(character),
        }
    }
    line
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

fn ends_with(characters: &[char], word: &str) -> bool {
    let Some(start) = characters.len().checked_sub(word.len()) else { return false };
    characters[start..].iter().zip(word.chars()).all(|(one, other)| one.eq_ignore_ascii_case(&other))
}

/// Seven hexadecimal digits or more, as a word: it is a link where such a commit exists. Digits alone are a number, or a
/// WAL segment's name.
fn begins_with_commit(characters: &[char]) -> bool {
    let is_digit = |character: &&char| matches!(character, '0'..='9' | 'a'..='f');
    let word = &characters[..characters.iter().take_while(is_digit).count()];
    let ends = characters.get(word.len()).is_none_or(|next| !next.is_alphanumeric());
    ends && (7..=64).contains(&word.len()) && word.iter().any(char::is_ascii_lowercase)
}

/// What stands behind the first colon of `:smile:`; `12:45:00` has none.
fn begins_with_emoji(characters: &[char]) -> bool {
    let is_name = |character: &&char| character.is_ascii_alphanumeric() || matches!(character, '_' | '+' | '-');
    let name: String = characters.iter().take_while(is_name).collect();
    let is_known = name.contains(|character: char| character.is_ascii_alphabetic())
        || matches!(name.as_str(), "+1" | "-1" | "100");
    is_known && characters.get(name.len()) == Some(&':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        let cases = [
            ("plain words, 83,559 rows (1.2 GiB)", "plain words, 83,559 rows (1.2 GiB)"),
            ("max_wal_size is _big_", "max_wal_size is &#95;big&#95;"),
            ("a | b", "a &#124; b"),
            ("<script>alert(1)</script>", "&#60;script&#62;alert(1)&#60;/script&#62;"),
            ("&lt;b&gt;", "&#38;lt;b&#38;gt;"),
            ("[a](javascript:x)", "&#91;a&#93;(javascript:x)"),
            ("![a](x)", "!&#91;a&#93;(x)"),
            ("**b** ~~s~~ `c`", "&#42;&#42;b&#42;&#42; &#126;&#126;s&#126;&#126; &#96;c&#96;"),
            ("$a$ \\[b\\]", "&#36;a&#36; &#92;&#91;b&#92;&#93;"),
            ("# heading", "&#35; heading"),
            ("- item - same", "&#45; item - same"),
            ("1. item 2. same", "1&#46; item 2. same"),
            ("0.1.0", "0.1.0"),
            ("=====", "&#61;===="),
            (": definition", "&#58; definition"),
            ("--> end", "&#45;-&#62; end"),
            ("two\nlines\r\n", "two lines"),
            ("\u{1b}[2J\u{0}", "&#92;u&#123;1b&#125;&#91;2J&#92;u&#123;0&#125;"),
            ("a\u{202e}b", "a&#92;u&#123;202e&#125;b"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected, "{text}");
        }
    }

    #[test]
    fn text_of_others_mentions_nobody_and_links_to_nothing() {
        let cases = [
            ("@everyone", "@|everyone"),
            ("mail a@example.org", "mail a@|example.org"),
            ("at 3 @ night", "at 3 @ night"),
            ("#1 !2 ops/x#3", "#|1 !|2 ops/x#|3"),
            ("really!", "really!"),
            ("https://example.org/x HTTP://x ftp://y", "https:|//example.org/x HTTP:|//x ftp:|//y"),
            ("s3://bucket/path", "s3://bucket/path"),
            ("www.example.org", "www|.example.org"),
            ("mailto:a", "mailto:|a"),
            (":white_check_mark: :+1:", ":|white_check_mark: :|+1:"),
            ("at 12:45:00", "at 12:45:00"),
            ("d74e04c1f7 0d74e04, xd74e04c1", "|d74e04c1f7 |0d74e04, xd74e04c1"),
            ("000000010000000000000009", "000000010000000000000009"),
        ];
        for (text, expected) in cases {
            assert_eq!(inert(text), expected.replace('|', "\u{200b}"), "{text}");
        }
    }

    #[test]
    fn an_evil_table_name_does_no_harm() {
        let name = "x | <script>alert(1)</script> @everyone #1 [a](javascript:x) ``` \n\n# h";
        let escaped = escape(name);
        assert!(!escaped.contains(['|', '<', '>', '[', ']', '`', '\n']), "{escaped}");
        assert!(escaped.contains("@\u{200b}everyone &#35;\u{200b}1"), "{escaped}");
        let span = code(name);
        assert!(span.starts_with("<code>") && span.ends_with("</code>"), "{span}");
        assert!(!span.contains(['|', '[', '`', '\n']), "{span}");
        assert_eq!(span.matches('<').count(), 2, "{span}");
    }

    #[test]
    fn nothing_leaves_a_code_span() {
        let cases = [
            ("wal.gap", "`wal.gap`"),
            ("a`b", "``a`b``"),
            ("```", "```` ``` ````"),
            ("a\nb", "`a b`"),
            ("@x #1 <b>", "`@x #1 <b>`"),
            ("a|b", "<code>a&#124;b</code>"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text), expected, "{text}");
        }
        assert_eq!(block("json", "a\n````\n"), "`````json\na\n````\n`````\n");
        assert_eq!(block("", "a"), "```\na\n```\n");
    }

    #[test]
    fn long_text_is_cut_to_what_it_may_take_once_escaped() {
        assert_eq!(within(20, "short", escape), "short");
        for text in ["|".repeat(5000), "ü".repeat(5000), "`".repeat(5000), "\u{1b}".repeat(5000)] {
            for render in [escape, code] {
                let cut = within(400, &text, render);
                assert!(cut.len() <= 400 && cut.contains('…'), "{cut}");
            }
        }
    }
}
