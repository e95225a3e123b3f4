//! What the cases are made of: a folder of their own, bundles that differ from a good one, pickles and pictures.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A folder that is deleted with the case.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path().join(name), bytes).unwrap();
        name.into()
    }

    /// A copy of the good bundle.
    pub fn bundle(&self) -> PathBuf {
        let to = self.path().join("bundle");
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(fixture()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    }

    /// The same with another manifest.
    pub fn manifest(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.bundle().join("diffcr.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        edit(&mut json);
        std::fs::write(path, json.to_string()).unwrap();
    }

    /// The same with other bytes in `file`, as its manifest says.
    pub fn file(&self, file: &str, edit: impl FnOnce(&Value, &mut Vec<u8>)) {
        let path = self.bundle().join(file);
        let manifest = self.path().join("bundle/diffcr.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        edit(&json, &mut bytes);
        let entry = json["files"].as_array_mut().unwrap().iter_mut().find(|f| f["path"] == file).unwrap();
        entry["bytes"] = bytes.len().into();
        entry["sha256"] = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        std::fs::write(path, bytes).unwrap();
        std::fs::write(manifest, json.to_string()).unwrap();
    }

    /// The same with another tokenizer.
    pub fn tokenizer(&self, edit: impl FnOnce(&mut Value)) {
        self.file("tokenizer.json", |_, bytes| {
            let mut json = serde_json::from_slice(bytes).unwrap();
            edit(&mut json);
            *bytes = json.to_string().into_bytes();
        });
    }

    /// The same with `value` as the first of a tensor of f32 or f16.
    pub fn value(&self, tensor: &str, value: f32) {
        let listed: Value =
            serde_json::from_slice(&std::fs::read(Path::new(&fixture()).join("diffcr.json")).unwrap()).unwrap();
        let file = listed["tensors"][tensor]["file"].as_str().unwrap().to_owned();
        self.file(&file, |_, bytes| {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
            let at = 8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
            match header[tensor]["dtype"].as_str() {
                Some("F32") => bytes[at..at + 4].copy_from_slice(&value.to_le_bytes()),
                _ => bytes[at..at + 2].copy_from_slice(&half::f16::from_f32(value).to_le_bytes()),
            }
        });
    }

    /// `pickle` as `torch.save` packs it, compressed.
    pub fn pickle(&self, pickle: &[u8]) -> String {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("archive/data.pkl", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(pickle).unwrap();
        self.write("m.pth", zip.finish().unwrap().into_inner())
    }

    /// A PNG of one pixel whose colour profile unpacks to `length` zeros.
    pub fn png(&self, length: usize) -> String {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |name: &[u8], data: &[u8]| {
            bytes.extend((data.len() as u32).to_be_bytes());
            let start = bytes.len();
            bytes.extend([name, data].concat());
            let sum = crc(&bytes[start..]);
            bytes.extend(sum.to_be_bytes());
        };
        chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0]);
        chunk(b"iCCP", &[b"p\0\0".to_vec(), zlib(&vec![0; length])].concat());
        chunk(b"IDAT", &zlib(&[0, 200, 2, 3, 255]));
        chunk(b"IEND", &[]);
        self.write("in.png", bytes)
    }
}

/// The good bundle.
pub fn fixture() -> String {
    format!("{}/tests/fixtures/scenes/bundle", env!("CARGO_MANIFEST_DIR"))
}

fn crc(bytes: &[u8]) -> u32 {
    let byte = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    };
    !bytes.iter().fold(!0, byte)
}

/// A zlib stream: what a zip's deflate made, between the header and the sum that zlib has.
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("x", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(data).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes.clone())).unwrap();
    let entry = archive.by_name("x").unwrap();
    let (start, length) = (entry.data_start().unwrap() as usize, entry.compressed_size() as usize);
    let (mut a, mut b) = (1u32, 0u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    [&[0x78, 0x9c], &bytes[start..start + length], &(b << 16 | a).to_be_bytes()[..]].concat()
}
