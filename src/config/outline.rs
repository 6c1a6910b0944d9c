//! The outline of a YAML text: where each entry of a mapping or list begins and ends. With it, one entry can be
//! blanked out without moving any other, so that the mistakes behind the first one are found too.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScanError, Span, StructureStyle};

use super::mistakes::Place;

/// All entries of the first document, each before what it contains.
pub struct Outline {
    entries: Vec<Entry>,
}

/// A key with its value, an item of a list, or the document.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Bytes from the first of the key (the dash, for a list) to the last of the value.
    pub bytes: Range<usize>,
    /// The line and column of the first byte.
    place: Place,
    /// The index of the entry around this one; none for the document.
    pub parent: Option<usize>,
    /// Where the value begins, when it is a mapping.
    mapping_start: Option<usize>,
    /// Whether it is a key with its value.
    is_pair: bool,
    in_flow: bool,
    blank: bool,
}

/// A mapping or list whose end was not seen yet.
struct Container {
    is_mapping: bool,
    in_flow: bool,
    /// The entry whose value it is.
    owner: usize,
    /// In a mapping, the entry whose value is awaited.
    key: Option<usize>,
}

impl Entry {
    pub fn place(&self) -> Place {
        self.place
    }
}

impl Outline {
    pub fn of(text: &str) -> Result<Self, ScanError> {
        let mut outline = Self { entries: Vec::new() };
        let mut open: Vec<Container> = Vec::new();
        for next in Parser::new_from_str(text) {
            let (event, span) = next?;
            match event {
                Event::Scalar(..) | Event::Alias(..) => {
                    outline.node(text, &mut open, span);
                }
                Event::MappingStart(style, ..) | Event::SequenceStart(style, ..) => {
                    let is_mapping = matches!(event, Event::MappingStart(..));
                    let owner = outline.node(text, &mut open, span);
                    let start = bytes(span).start;
                    outline.entries[owner].mapping_start = is_mapping.then_some(start);
                    open.push(Container { is_mapping, in_flow: style == StructureStyle::Flow, owner, key: None });
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    // The end of a block is only noticed at the next token: what it contains says where it ended.
                    if let Some(closed) = open.pop()
                        && closed.in_flow
                    {
                        outline.extend(closed.owner, bytes(span).end);
                    }
                }
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        Ok(outline)
    }

    /// Whether the document says nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.bytes.is_empty())
    }

    pub fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// The innermost entry at `offset` that was not blanked out; the last one before it when there is none.
    pub fn at(&self, offset: usize) -> Option<usize> {
        let around = |entry: &Entry| entry.bytes.start <= offset && offset <= entry.bytes.end;
        let innermost = self.last_kept(around);
        let is_within = innermost.is_some_and(|index| self.entries[index].parent.is_some());
        if is_within { innermost } else { self.before(offset).or(innermost) }
    }

    /// The entry whose value the parser missed at `offset`: it notices that only at what comes next, often a key.
    pub fn expected_at(&self, offset: usize) -> Option<usize> {
        let is_next_key = |index: &usize| self.entries[*index].is_pair && self.entries[*index].bytes.start == offset;
        let found = self.at(offset);
        found.filter(is_next_key).and_then(|_| self.before(offset)).or(found)
    }

    /// The entry whose value is the mapping with a key at `offset`, or the one that begins there with its brace.
    pub fn mapping_with(&self, offset: usize) -> Option<usize> {
        let of_key = self.last_kept(|entry| entry.is_pair && entry.bytes.start == offset);
        of_key
            .and_then(|key| self.entries[key].parent)
            .or_else(|| self.last_kept(|entry| entry.mapping_start == Some(offset)))
    }

    /// The first thing within an entry that was not blanked out.
    pub fn first_within(&self, index: usize) -> Option<&Entry> {
        self.children(index).find(|child| !child.blank)
    }

    /// Whether something in this entry was blanked out, at any depth.
    pub fn is_damaged(&self, index: usize) -> bool {
        let around = &self.entries[index].bytes;
        self.entries
            .iter()
            .any(|entry| entry.blank && around.start <= entry.bytes.start && entry.bytes.end <= around.end)
    }

    /// Whether a key or item directly below this entry was blanked out.
    pub fn lacks_a_child(&self, index: usize) -> bool {
        self.children(index).any(|child| child.blank)
    }

    /// `text` with spaces in place of the entry, and of the comma that separates it from the next.
    pub fn blank(&mut self, index: usize, text: &str) -> String {
        let hidden = self.entries[index].bytes.clone();
        for within in self.entries[index..].iter_mut().take_while(|within| within.bytes.start < hidden.end) {
            within.blank = true;
        }
        let entry = &self.entries[index];
        let mut end = entry.bytes.end;
        if entry.in_flow {
            let gap = text[end..].find(|c: char| !c.is_whitespace()).unwrap_or(0);
            if text[end + gap..].starts_with(',') {
                end += gap + 1;
            }
        }
        let hole: String = text[entry.bytes.start..end].chars().map(spaces).collect();
        [&text[..entry.bytes.start], &hole, &text[end..]].concat()
    }

    /// The last entry that ends before `offset`.
    fn before(&self, offset: usize) -> Option<usize> {
        self.last_kept(|entry| entry.bytes.end <= offset)
    }

    fn last_kept(&self, matches: impl Fn(&Entry) -> bool) -> Option<usize> {
        (0..self.entries.len()).rfind(|&index| !self.entries[index].blank && matches(&self.entries[index]))
    }

    fn children(&self, index: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.parent == Some(index))
    }

    /// Takes in a scalar, an alias or the beginning of a container, and says which entry it belongs to.
    fn node(&mut self, text: &str, open: &mut [Container], span: Span) -> usize {
        let bytes = bytes(span);
        let parent = open.last().map(|container| container.owner);
        let in_flow = open.last().is_some_and(|container| container.in_flow);
        if let Some(container) = open.last_mut().filter(|container| container.is_mapping) {
            if let Some(key) = container.key.take() {
                let colon = if bytes.is_empty() { colon_after(text, self.entries[key].bytes.end) } else { 0 };
                self.extend(key, bytes.end.max(self.entries[key].bytes.end + colon));
                return key;
            }
            container.key = Some(self.entries.len());
        }
        let is_item = open.last().is_some_and(|container| !container.is_mapping);
        let dash = if is_item && !in_flow { dash_before(text, bytes.start) } else { 0 };
        self.entries.push(Entry {
            bytes: bytes.start - dash..bytes.end,
            place: Place { line: span.start.line() as u64, column: (span.start.col() + 1 - dash) as u64 },
            parent,
            mapping_start: None,
            is_pair: parent.is_some() && !is_item,
            in_flow,
            blank: false,
        });
        let index = self.entries.len() - 1;
        self.extend(index, bytes.end);
        index
    }

    /// Lets an entry, and all around it, reach at least to `end`.
    fn extend(&mut self, index: usize, end: usize) {
        let mut next = Some(index);
        while let Some(index) = next {
            let entry = &mut self.entries[index];
            entry.bytes.end = entry.bytes.end.max(end);
            next = entry.parent;
        }
    }
}

/// How many bytes before `start` the dash of a block list's item stands; 0 when it stands on another line.
fn dash_before(text: &str, start: usize) -> usize {
    let before = text[..start].trim_end_matches(' ');
    if before.ends_with('-') { start - before.len() + 1 } else { 0 }
}

/// How many bytes after the end of a key its colon ends; without a value, only the colon belongs to it.
fn colon_after(text: &str, end: usize) -> usize {
    let after = text[end..].trim_start();
    if after.starts_with(':') { text.len() - after.len() + 1 - end } else { 0 }
}

fn bytes(span: Span) -> Range<usize> {
    span.byte_range().expect("a parser of a str knows its bytes")
}

/// As many bytes of white space as the character has, so that nothing moves.
fn spaces(character: char) -> &'static str {
    match character {
        '\n' => "\n",
        '\r' => "\r",
        other => &"    "[..other.len_utf8()],
    }
}
