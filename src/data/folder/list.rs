//! The captioned pictures of a folder, in the layouts that people have, and what of it is left aside.
//!
//! - `name.png` (`.jpg`, `.jpeg`, `.webp`) beside `name.txt` or `name.caption`, in subfolders too; a subfolder `10_NAME` counts
//!   its pictures ten times, as kohya's scripts do;
//! - `metadata.jsonl` of `file_name` and `text` (or `caption`), one in any folder for what lies below it: a text, a list of texts,
//!   or a list of `{"text": …, "weight": …}`;
//! - tar shards of `KEY.png`, `KEY.txt` or `KEY.json`, as WebDataset writes them;
//! - PixArt's `InternData/data_info.json` (or `InternData/partition/`) beside `InternImgs/`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::tar::{Member, members};
use crate::data::decode::ENDINGS;
use crate::error::{Error, Result};
use crate::files;

/// The list of captions, one JSON object a line.
pub const METADATA: &str = "metadata.jsonl";
/// PixArt leaves out pictures that are longer than this times their width.
pub const LONGEST: f64 = 4.5;
/// Files of a reason that are named; the others are counted.
const NAMED: usize = 3;
/// Folders below folders, at most.
const DEPTH: usize = 16;

/// A picture and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub place: Place,
    /// Captions with their weights.
    pub captions: Vec<(String, f64)>,
    /// How often an epoch shows it.
    pub repeats: usize,
}

/// Where a picture's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    File(PathBuf),
    Member { archive: PathBuf, name: String, offset: u64, length: u64 },
}

impl Place {
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Member { archive, name, .. } => format!("{}/{name}", archive.display()),
        }
    }

    /// # Errors
    /// `Io` naming the file.
    pub fn read(&self) -> Result<Vec<u8>> {
        match self {
            Self::File(path) => files::read(path),
            Self::Member { archive, offset, length, .. } => {
                read_part(archive, *offset, *length).map_err(|e| Error::io(archive, e))
            }
        }
    }
}

fn read_part(path: &Path, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What was left aside: how many files, and the first of them, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped(BTreeMap<String, (usize, Vec<String>)>);

impl Skipped {
    pub fn add(&mut self, reason: &str, name: &Path) {
        let (count, names) = self.0.entry(reason.to_owned()).or_default();
        *count += 1;
        if names.len() < NAMED {
            names.push(name.display().to_string());
        }
    }

    pub fn count(&self) -> usize {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// A line a reason: `2 without a caption: a.png, b.png`.
    pub fn lines(&self) -> Vec<String> {
        let more = |count: usize, names: &[String]| if count > names.len() { ", …" } else { "" };
        let line = |(reason, (count, names)): (&String, &(usize, Vec<String>))| {
            format!("{count} {reason}: {}{}", names.join(", "), more(*count, names))
        };
        self.0.iter().map(line).collect()
    }
}

/// Lists `dir`.
///
/// # Errors
/// `Io`, or `InvalidInput` naming the file: a list that is damaged, or that names what is not there.
pub fn list(dir: &Path) -> Result<(Vec<Item>, Skipped)> {
    let mut found = (Vec::new(), Skipped::default());
    if let Some((info, entries)) = entries(dir)? {
        pixart(dir, &info, entries, &mut found)?;
        return Ok(found);
    }
    walk(dir, 1, 0, &mut found)?;
    Ok(found)
}

type Found = (Vec<Item>, Skipped);

fn walk(dir: &Path, repeats: usize, depth: usize, found: &mut Found) -> Result<()> {
    let metadata = dir.join(METADATA);
    if metadata.is_file() {
        return listed(dir, &metadata, repeats, found);
    }
    let io = |e| Error::io(dir, e);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    for path in paths {
        let ending = ending(&path);
        if path.is_dir() {
            if depth < DEPTH {
                walk(&path, kohya_repeats(&path).unwrap_or(repeats), depth + 1, found)?;
            }
        } else if ending == "tar" {
            shard(&path, found)?;
        } else if ENDINGS.contains(&ending.as_str()) {
            let texts = ["txt", "caption"].map(|ending| path.with_extension(ending));
            match texts.iter().find(|text| text.is_file()) {
                Some(text) => {
                    let caption = files::read_text(text)?;
                    let captions = vec![(caption.trim().to_owned(), 1.0)];
                    found.0.push(Item { place: Place::File(path), captions, repeats });
                }
                None => {
                    let text = texts[0].file_name().unwrap_or_default().to_string_lossy().into_owned();
                    found.1.add(&format!("without a caption, such as {text}"), &path);
                }
            }
        } else if ["gif", "bmp", "tif", "tiff", "avif", "heic", "jxl"].contains(&ending.as_str()) {
            found.1.add(&format!("of a format that is not read, .{ending}"), &path);
        }
    }
    Ok(())
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// `10_NAME`.
fn kohya_repeats(dir: &Path) -> Option<usize> {
    let name = dir.file_name()?.to_str()?;
    name.split_once('_')?.0.parse().ok().filter(|n| (1..=10_000).contains(n))
}

/// The pictures that `metadata.jsonl` lists, in its order.
fn listed(dir: &Path, metadata: &Path, repeats: usize, found: &mut Found) -> Result<()> {
    #[derive(Deserialize)]
    struct Line {
        file_name: String,
        #[serde(alias = "caption", alias = "captions")]
        text: Value,
    }
    let text = files::read_text(metadata)?;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |reason: String| fault(metadata, &format!("line {}: {reason}", number + 1));
        let line: Line = serde_json::from_str(line).map_err(|e| at(e.to_string()))?;
        let path = inside(dir, &line.file_name).ok_or_else(|| at(format!("{:?} leaves the folder", line.file_name)))?;
        if !path.is_file() {
            return Err(at(format!("there is no {:?}", line.file_name)));
        }
        let captions = captions(&line.text).ok_or_else(|| at("`text` is no caption, and no list of them".into()))?;
        found.0.push(Item { place: Place::File(path), captions, repeats });
    }
    Ok(())
}

/// A text, a list of texts, or a list of texts with weights; none that is empty, no weight that is not positive.
fn captions(value: &Value) -> Option<Vec<(String, f64)>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some((text.clone(), 1.0)),
        Value::Object(map) => {
            let weight = map.get("weight").map_or(Some(1.0), Value::as_f64)?;
            Some((map.get("text")?.as_str()?.to_owned(), weight))
        }
        _ => None,
    };
    let all: Vec<(String, f64)> = match value {
        Value::Array(all) => all.iter().map(one).collect::<Option<_>>()?,
        other => vec![one(other)?],
    };
    (!all.is_empty() && all.iter().all(|(_, w)| w.is_finite() && *w > 0.0)).then_some(all)
}

/// The path below `dir`; none where it leads out of it.
fn inside(dir: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    name.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)).then(|| dir.join(name))
}

/// Members that share what stands before the first dot of their file's name.
fn shard(archive: &Path, found: &mut Found) -> Result<()> {
    let mut keys: Vec<(String, Vec<(String, Member)>)> = Vec::new();
    for member in members(archive)? {
        let base = member.name.rfind('/').map_or(0, |slash| slash + 1);
        let Some(dot) = member.name[base..].find('.').map(|dot| base + dot) else { continue };
        let (key, ending) = (member.name[..dot].to_owned(), member.name[dot + 1..].to_ascii_lowercase());
        match keys.last_mut().filter(|(last, _)| *last == key) {
            Some((_, all)) => all.push((ending, member)),
            None => keys.push((key, vec![(ending, member)])),
        }
    }
    for (key, all) in keys {
        let of = |wanted: &[&str]| all.iter().find(|(ending, _)| wanted.contains(&ending.as_str())).map(|(_, m)| m);
        let name = archive.join(&key);
        let Some(picture) = of(&ENDINGS) else {
            found.1.add("without a picture", &name);
            continue;
        };
        let read = |m: &Member| {
            let bytes = read_part(archive, m.offset, m.length).map_err(|e| Error::io(archive, e))?;
            Ok::<_, Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let captions = match (of(&["txt", "caption"]), of(&["json"])) {
            (Some(text), _) => Some(vec![(read(text)?.trim().to_owned(), 1.0)]),
            (None, Some(json)) => serde_json::from_str::<Value>(&read(json)?)
                .ok()
                .and_then(|json| ["caption", "text", "captions"].iter().find_map(|k| captions(json.get(k)?))),
            (None, None) => None,
        };
        match captions {
            Some(captions) => {
                let (offset, length) = (picture.offset, picture.length);
                let place = Place::Member { archive: archive.into(), name: picture.name.clone(), offset, length };
                found.0.push(Item { place, captions, repeats: 1 });
            }
            None => found.1.add("without a caption", &name),
        }
    }
    Ok(())
}

/// A picture of PixArt's list.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub path: String,
    pub ratio: Option<f64>,
    pub prompt: Option<String>,
    pub sharegpt4v: Option<String>,
}

/// PixArt's list and where it is; none where the folder has none.
///
/// # Errors
/// `Io`, or `InvalidInput` where it is damaged.
pub fn entries(dir: &Path) -> Result<Option<(PathBuf, Vec<Entry>)>> {
    let names = ["InternData/data_info.json", "InternData/partition/data_info.json"];
    let Some(info) = names.map(|name| dir.join(name)).into_iter().find(|info| info.is_file()) else {
        return Ok(None);
    };
    let entries = serde_json::from_slice(&files::read(&info)?).map_err(|e| fault(&info, &e.to_string()))?;
    Ok(Some((info, entries)))
}

/// PixArt's pictures: their two captions are as likely as each other.
fn pixart(dir: &Path, info: &Path, entries: Vec<Entry>, found: &mut Found) -> Result<()> {
    for entry in entries {
        let path = inside(&dir.join("InternImgs"), &entry.path)
            .ok_or_else(|| fault(info, &format!("{:?} leaves the folder", entry.path)))?;
        let captions: Vec<(String, f64)> = [entry.prompt, entry.sharegpt4v]
            .into_iter()
            .flatten()
            .filter(|text| !text.trim().is_empty())
            .map(|text| (text, 1.0))
            .collect();
        if entry.ratio.is_some_and(|ratio| ratio > LONGEST) {
            found.1.add("longer than 4.5 times their width", &path);
        } else if captions.is_empty() {
            found.1.add("without a caption", &path);
        } else if !path.is_file() {
            found.1.add("that are listed and not there", &path);
        } else {
            found.0.push(Item { place: Place::File(path), captions, repeats: 1 });
        }
    }
    Ok(())
}

pub fn fault(path: &Path, reason: &str) -> Error {
    Error::input(path.display().to_string(), reason)
}
