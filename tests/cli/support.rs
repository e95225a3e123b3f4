//! What the tests share: a folder of their own, the binary, the fixtures, and checkpoints written by hand.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::Value;

/// A folder that is deleted with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("diffcr-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A writable copy of the fixture's diffusers folder.
    pub fn pipeline(&self) -> PathBuf {
        let copy = self.path("pipeline");
        copy_folder(&sigma("pipeline"), &copy);
        copy
    }

    /// Names of what is in the folder.
    pub fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// A file or folder of the fixtures.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The same, of the Sigma fixture.
pub fn sigma(name: &str) -> PathBuf {
    fixture("sigma").join(name)
}

/// The binary, before it runs.
pub fn diffcr() -> Command {
    Command::new(env!("CARGO_BIN_EXE_diffcr"))
}

/// `diffcr convert SRC --out OUT …`.
pub fn convert(src: &Path, out: &Path, options: &[&str]) -> Output {
    diffcr().arg("convert").arg(src).arg("--out").arg(out).args(options).output().unwrap()
}

/// The same, which must succeed: the manifest it wrote.
pub fn converted(src: &Path, out: &Path, options: &[&str]) -> Value {
    let output = convert(src, out, options);
    assert!(output.status.success(), "{}", stderr(&output));
    let verified = diffcr().arg("verify").arg(out).output().unwrap();
    assert!(verified.status.success(), "{}", stderr(&verified));
    manifest(out)
}

/// The one line on stderr of a run that must fail with exit code 1 and leave nothing at `out`.
pub fn refused(src: &Path, out: &Path, options: &[&str]) -> String {
    let output = convert(src, out, options);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!out.exists(), "something was left at {}", out.display());
    error_line(&output)
}

pub fn error_line(output: &Output) -> String {
    let text = stderr(output);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    assert!(line.starts_with("error: ") && !line.contains('\n'), "not one clear line: {text:?}");
    line.to_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn manifest(bundle: &Path) -> Value {
    read_json(&bundle.join("diffcr.json"))
}

pub fn read_json(path: &Path) -> Value {
    // diffusers writes an infinity into its scheduler's configuration, which is no JSON.
    let text = std::fs::read_to_string(path).unwrap().replace("-Infinity", "null");
    serde_json::from_str(&text).unwrap()
}

/// Sets fields of a JSON file.
pub fn edit_json(path: &Path, edit: impl Fn(&mut Value)) {
    let mut json = read_json(path);
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

/// The bytes of every file of a bundle whose name begins with `prefix`.
pub fn files(bundle: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(bundle).unwrap().map(|e| e.unwrap());
    let named = entries.map(|e| (e.file_name().into_string().unwrap(), e.path()));
    named
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

/// Shape and f32 bytes of tensors by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// The tensors of a safetensors file, which are all f32.
pub fn tensors(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let own = |(name, view): (String, TensorView)| (name, (view.shape().to_vec(), view.data().to_vec()));
    file.tensors().into_iter().map(own).collect()
}

/// Shape and values of the f32 and i32 tensors of a file, widened to f32.
pub fn read_tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let widen = |(name, view): (String, TensorView)| {
        let words = view.data().chunks_exact(4).map(|w| [w[0], w[1], w[2], w[3]]);
        let values = match view.dtype() {
            Dtype::F32 => words.map(f32::from_le_bytes).collect(),
            Dtype::I32 => words.map(|w| i32::from_le_bytes(w) as f32).collect(),
            other => panic!("{name} is {other:?}"),
        };
        (name, (view.shape().to_vec(), values))
    };
    file.tensors().into_iter().map(widen).collect()
}

pub fn write_tensors(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(n, (s, b))| (n.as_str(), TensorView::new(Dtype::F32, s.clone(), b).unwrap()));
    std::fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// Writes `tensors` as `torch.save` does: a zip of a pickle and a storage for each.
pub fn write_torch(path: &Path, tensors: &Tensors) {
    write_pickle(path, [&state_dict(tensors, 0), b".".as_slice()].concat(), &[tensors]);
}

/// As [`write_torch`], of several state dicts in one, under a key each.
pub fn write_torch_dicts(path: &Path, dicts: &[(&str, &Tensors)]) {
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut first = 0;
    for (key, tensors) in dicts {
        pickle.extend(text(key));
        pickle.extend(&state_dict(tensors, first)[2..]);
        first += tensors.len();
    }
    pickle.extend(b"u.");
    write_pickle(path, pickle, &dicts.iter().map(|(_, tensors)| *tensors).collect::<Vec<_>>());
}

fn text(s: &str) -> Vec<u8> {
    [b"X".as_slice(), &(s.len() as u32).to_le_bytes(), s.as_bytes()].concat()
}

/// The pickle of a state dict, protocol and all but the end, whose storages are numbered from `first` on.
fn state_dict(tensors: &Tensors, first: usize) -> Vec<u8> {
    let int = |n: usize| [b"J".as_slice(), &(n as u32).to_le_bytes()].concat();
    let tuple = |items: &[usize]| [b"(".to_vec(), items.iter().flat_map(|n| int(*n)).collect(), b"t".to_vec()].concat();
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (i, (name, (shape, bytes))) in tensors.iter().enumerate() {
        let strides: Vec<usize> = (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect();
        let storage = text(&(first + i).to_string());
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend([text("storage"), b"ctorch\nFloatStorage\n".to_vec(), storage, text("cpu")].concat());
        pickle.extend([int(bytes.len() / 4), b"tQ".to_vec(), int(0), tuple(shape), tuple(&strides)].concat());
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u");
    pickle
}

fn write_pickle(path: &Path, pickle: Vec<u8>, dicts: &[&Tensors]) {
    let storages = dicts.iter().flat_map(|tensors| tensors.values()).enumerate();
    let storages = storages.map(|(i, (_, bytes))| (format!("archive/data/{i}"), bytes.as_slice()));
    let storages: Vec<_> = storages.collect();
    let entries = [("archive/data.pkl".to_owned(), pickle.as_slice()), ("archive/byteorder".to_owned(), b"little")];
    write_zip(path, entries.into_iter().chain(storages));
}

/// Writes an archive without compression, as torch does.
pub fn write_zip<'a>(path: &Path, entries: impl IntoIterator<Item = (String, &'a [u8])>) {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    std::fs::write(path, zip.finish().unwrap().into_inner()).unwrap();
}
