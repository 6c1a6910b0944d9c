//! Python literals, as `repr` writes them into backup.info: strings, numbers, `None`, booleans, tuples, lists and dicts.
//! Nothing is evaluated.

use std::iter::Peekable;
use std::str::Chars;

/// A value as Python wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Tuple(Vec<Literal>),
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

/// The text is no literal that is understood here; `offset` counts characters from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Python literal at character {offset}: {problem}")]
pub struct LiteralDefect {
    pub offset: usize,
    pub problem: &'static str,
}

/// Real files nest to three; the bound keeps a hostile one from exhausting the stack.
const DEEPEST: usize = 32;

impl Literal {
    /// Reads a text that is one literal and nothing else.
    pub fn parse(text: &str) -> Result<Self, LiteralDefect> {
        let mut parser = Parser { rest: text.chars().peekable(), offset: 0 };
        let literal = parser.literal(0)?;
        parser.skip_space();
        match parser.peek() {
            None => Ok(literal),
            Some(_) => parser.defect("something stands behind it"),
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub const fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub fn as_items(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(items) | Self::List(items) => Some(items),
            _ => None,
        }
    }
}

struct Parser<'text> {
    rest: Peekable<Chars<'text>>,
    offset: usize,
}

impl Parser<'_> {
    fn defect<T>(&self, problem: &'static str) -> Result<T, LiteralDefect> {
        Err(LiteralDefect { offset: self.offset, problem })
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn take(&mut self) -> Option<char> {
        self.offset += 1;
        self.rest.next()
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.take();
        }
        found
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.take();
        }
    }

    fn literal(&mut self, depth: usize) -> Result<Literal, LiteralDefect> {
        if depth > DEEPEST {
            return self.defect("nested too deeply");
        }
        self.skip_space();
        match self.peek() {
            None => self.defect("it ends too early"),
            Some(quote @ ('\'' | '"')) => self.text(quote).map(Literal::Text),
            Some('(') => self.parenthesised(depth),
            Some('[') => Ok(Literal::List(self.items(']', depth)?.0)),
            Some('{') => self.dict(depth),
            Some('0'..='9' | '-' | '+' | '.') => self.number(),
            Some(_) => self.word(),
        }
    }

    /// `(1)` is a number in parentheses; `(1,)` and `()` are tuples.
    fn parenthesised(&mut self, depth: usize) -> Result<Literal, LiteralDefect> {
        let (mut items, ends_in_comma) = self.items(')', depth)?;
        match items.pop() {
            Some(only) if items.is_empty() && !ends_in_comma => Ok(only),
            last => Ok(Literal::Tuple(items.into_iter().chain(last).collect())),
        }
    }

    /// The items up to `end`, and whether a comma stood behind the last one.
    fn items(&mut self, end: char, depth: usize) -> Result<(Vec<Literal>, bool), LiteralDefect> {
        self.take();
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.skip_space();
            if self.take_if(end) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return self.defect("a comma is missing");
            }
            items.push(self.literal(depth + 1)?);
            self.skip_space();
            comma = self.take_if(',');
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Literal, LiteralDefect> {
        self.take();
        let (mut entries, mut comma) = (Vec::new(), false);
        loop {
            self.skip_space();
            if self.take_if('}') {
                return Ok(Literal::Dict(entries));
            }
            if !entries.is_empty() && !comma {
                return self.defect("a comma is missing");
            }
            let key = self.literal(depth + 1)?;
            self.skip_space();
            if !self.take_if(':') {
                return self.defect("a colon is missing");
            }
            entries.push((key, self.literal(depth + 1)?));
            self.skip_space();
            comma = self.take_if(',');
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut run = String::new();
        while let Some(next) = self.peek().filter(|&next| belongs(next)) {
            run.push(next);
            self.take();
        }
        run
    }

    fn number(&mut self) -> Result<Literal, LiteralDefect> {
        let text = self.run(|next| next.is_ascii_alphanumeric() || matches!(next, '-' | '+' | '.' | '_'));
        if let Ok(number) = text.parse() {
            return Ok(Literal::Integer(number));
        }
        match text.parse() {
            Ok(number) => Ok(Literal::Float(number)),
            Err(_) => self.defect("not a number"),
        }
    }

    fn word(&mut self) -> Result<Literal, LiteralDefect> {
        let word = self.run(|next| next.is_ascii_alphanumeric() || next == '_');
        match (word.as_str(), self.peek()) {
            ("None", _) => Ok(Literal::None),
            ("True", _) => Ok(Literal::Bool(true)),
            ("False", _) => Ok(Literal::Bool(false)),
            // barman on Python 2 wrote its strings so.
            ("u", Some(quote @ ('\'' | '"'))) => self.text(quote).map(Literal::Text),
            _ => self.defect("not a value"),
        }
    }

    fn text(&mut self, quote: char) -> Result<String, LiteralDefect> {
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                None => return self.defect("the string has no end"),
                Some(end) if end == quote => return Ok(text),
                Some('\\') => self.escape(&mut text)?,
                Some(plain) => text.push(plain),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), LiteralDefect> {
        let escaped = match self.take() {
            None => return self.defect("the string has no end"),
            Some(same @ ('\\' | '\'' | '"')) => same,
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('a') => '\x07',
            Some('b') => '\x08',
            Some('f') => '\x0C',
            Some('v') => '\x0B',
            Some('x') => self.code_point(2)?,
            Some('u') => self.code_point(4)?,
            Some('U') => self.code_point(8)?,
            Some('0') if !self.peek().is_some_and(|next| next.is_digit(8)) => '\0',
            // Python's `repr` writes no other ones.
            Some(_) => return self.defect("unknown escape"),
        };
        text.push(escaped);
        Ok(())
    }

    fn code_point(&mut self, digits: usize) -> Result<char, LiteralDefect> {
        let mut number = 0;
        for _ in 0..digits {
            match self.take().and_then(|digit| digit.to_digit(16)) {
                Some(digit) => number = number << 4 | digit,
                None => return self.defect("not a hexadecimal digit"),
            }
        }
        match char::from_u32(number) {
            Some(found) => Ok(found),
            None => self.defect("not a character"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn the_values_of_a_real_file_are_read() {
        assert_eq!(Literal::parse("None"), Ok(Literal::None));
        assert_eq!(Literal::parse(" 'START: 0/3000028\\nLABEL: it\\'s \\xe4 \\u20ac\\n' "), {
            Ok(text("START: 0/3000028\nLABEL: it's ä €\n"))
        });
        assert_eq!(
            Literal::parse("[('mytbs', 16393, '/var/lib'), (u\"o'ther\", -2, '')]"),
            Ok(Literal::List(vec![
                Literal::Tuple(vec![text("mytbs"), Literal::Integer(16393), text("/var/lib")]),
                Literal::Tuple(vec![text("o'ther"), Literal::Integer(-2), text("")]),
            ]))
        );
        assert_eq!(
            Literal::parse("{'total_time': 5.81975, 'copies': {'data': 0}, 'done': True, 'none': False}"),
            Ok(Literal::Dict(vec![
                (text("total_time"), Literal::Float(5.81975)),
                (text("copies"), Literal::Dict(vec![(text("data"), Literal::Integer(0))])),
                (text("done"), Literal::Bool(true)),
                (text("none"), Literal::Bool(false)),
            ]))
        );
    }

    #[test]
    fn only_a_comma_makes_a_tuple_of_one() {
        assert_eq!(Literal::parse("()"), Ok(Literal::Tuple(vec![])));
        assert_eq!(Literal::parse("(1)"), Ok(Literal::Integer(1)));
        assert_eq!(Literal::parse("(1,)"), Ok(Literal::Tuple(vec![Literal::Integer(1)])));
        assert_eq!(Literal::parse("(1, 2, )"), Ok(Literal::Tuple(vec![Literal::Integer(1), Literal::Integer(2)])));
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for source in [
            "",
            "'",
            "'a",
            "'\\",
            "'\\x4'",
            "'\\xzz'",
            "'\\ud800'",
            "'\\q'",
            "[1 2]",
            "[,]",
            "[1",
            "{1}",
            "{1: 2",
            "1 2",
            "open('x')",
            "nothing",
            "1x",
            "b'x'",
            "'a' 'b'",
            "(1, 2",
        ] {
            assert!(Literal::parse(source).is_err(), "{source:?}");
        }
        assert!(Literal::parse(&"[".repeat(100_000)).is_err());
    }

    /// As Python's `repr` quotes: the other quote when the text holds an apostrophe only.
    fn repr(text: &str) -> String {
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        let mut source = String::from(quote);
        for character in text.chars() {
            match character {
                '\n' => source.push_str("\\n"),
                '\t' => source.push_str("\\t"),
                '\r' => source.push_str("\\r"),
                '\\' => source.push_str("\\\\"),
                it if it == quote => source.extend(['\\', it]),
                it if it < ' ' || ('\x7f'..'\u{a0}').contains(&it) => source.extend([format!("\\x{:02x}", it as u32)]),
                it if it.is_control() => source.extend([format!("\\u{:04x}", it as u32)]),
                it => source.push(it),
            }
        }
        source.push(quote);
        source
    }

    proptest! {
        #[test]
        fn every_text_survives_a_round_trip(original: String) {
            prop_assert_eq!(Literal::parse(&repr(&original)), Ok(Literal::Text(original)));
        }

        #[test]
        fn no_source_makes_the_parser_panic(source in "[\\[\\](){}'\",:\\\\a-z0-9. -]{0,40}") {
            let _ = Literal::parse(&source);
        }
    }
}
