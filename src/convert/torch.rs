//! What `torch.save` wrote: a zip of a pickle and its storages, or the older single stream; tensors are found, not executed.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use safetensors::tensor::Dtype;
use zip::{CompressionMethod, ZipArchive};

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::{CheckpointTensor, TensorLayout, Tensors};
use super::pickle::{self, Pickle, Storage, Value};
use crate::error::{Error, Result};

/// Longest pickle that is taken into memory: a state dict takes some hundreds of bytes a tensor.
const MAX_PICKLE: u64 = 16 << 20;
/// Tensors of a state dict, and storages of a file.
const MAX_TENSORS: usize = 1 << 16;
/// How a file of the older format begins: protocol 2 and torch's magic number.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The keys under which training scripts put the weights, by preference, and their average over training.
const WRAPPERS: [&str; 4] = ["state_dict", "model", "module", "model_state_dict"];
const AVERAGES: [&str; 4] = ["ema", "state_dict_ema", "model_ema", "ema_model"];

/// The tensors of a `.pth`, `.pt` or `.bin` file, the averaged ones where `ema` asks for them or there are no others; and which they are, where there
/// was a choice.
pub fn open(file: &Rc<CheckpointFile>, ema: bool) -> Result<(Tensors, Vec<String>)> {
    let magic = file.read_at(0, file.len.min(LEGACY_MAGIC.len() as u64))?;
    if magic.starts_with(b"PK") {
        open_zip(file, ema)
    } else if magic == LEGACY_MAGIC {
        open_legacy(file, ema)
    } else {
        Err(file.fault("neither a safetensors file nor one that torch.save wrote"))
    }
}

/// `NAME/data.pkl`, and storage `K` uncompressed in `NAME/data/K`.
fn open_zip(file: &Rc<CheckpointFile>, ema: bool) -> Result<(Tensors, Vec<String>)> {
    let fault = |e: zip::result::ZipError| file.fault(format!("not a readable zip archive: {e}"));
    let mut zip = ZipArchive::new(file.reopen()?).map_err(fault)?;
    let mut names = zip.file_names().flatten();
    let pickle = names.find(|n| n.ends_with("/data.pkl") || n == "data.pkl").map(std::borrow::Cow::into_owned);
    drop(names);
    let pickle = pickle.ok_or_else(|| file.fault("the archive holds no data.pkl"))?;
    let folder = pickle.trim_end_matches("data.pkl").to_owned();
    if let Ok(order) = zip.by_name(&format!("{folder}byteorder")) {
        let mut text = String::new();
        order.take(16).read_to_string(&mut text).map_err(|e| Error::io(&file.path, e))?;
        if text.trim() != "little" {
            return Err(file.fault(format!("its byte order is {text:?}")));
        }
    }
    let mut bytes = Vec::new();
    let entry = zip.by_name(&pickle).map_err(fault)?;
    entry.take(MAX_PICKLE + 1).read_to_end(&mut bytes).map_err(|e| Error::io(&file.path, e))?;
    if bytes.len() as u64 > MAX_PICKLE {
        return Err(file.fault(format!("its pickle has over {MAX_PICKLE} bytes, which no state dict needs")));
    }
    let pickle = pickle::read(&file.path.display().to_string(), &bytes)?;

    tensors(file, &pickle, ema, |storage, size| {
        let name = format!("{folder}data/{}", storage.key);
        let entry = zip.by_name(&name).map_err(|_| file.fault(format!("the archive holds no {name:?}")))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(file.fault(format!("{name:?} is compressed, which torch.save never does")));
        }
        if entry.size() < size {
            return Err(file.fault(format!("{name:?} is shorter than the tensors in it")));
        }
        entry.data_start().ok_or_else(|| file.fault(format!("{name:?} is nowhere in the archive")))
    })
}

/// Magic number, protocol, system and object, a pickle each, the list of storage keys, then the storages in that order.
fn open_legacy(file: &Rc<CheckpointFile>, ema: bool) -> Result<(Tensors, Vec<String>)> {
    let name = file.path.display().to_string();
    let bytes = file.read_at(0, file.len.min(MAX_PICKLE))?;
    let mut at = 0;
    let mut next = || {
        let pickle = pickle::read(&name, bytes.get(at..).unwrap_or_default())?;
        at += pickle.len;
        Ok::<_, Error>(pickle)
    };
    let (_magic, _protocol, _system) = (next()?, next()?, next()?);
    let (object, keys) = (next()?, next()?);
    let mut sizes = BTreeMap::new();
    for tensor in all_tensors(&object) {
        sizes.insert(tensor.storage.key.clone(), tensor.storage.clone());
    }
    let mut starts = BTreeMap::new();
    let mut start = at as u64;
    let Value::List(keys_at) = keys.root else { return Err(file.fault("its storages are not listed")) };
    let listed = keys.lists.get(keys_at).map(Vec::as_slice).unwrap_or_default();
    few(file, listed.len())?;
    for key in listed {
        let Value::Text(key) = key else { return Err(file.fault("a storage's key is not text")) };
        let count = file.read_at(start, 8)?.try_into().map_or(0, u64::from_le_bytes);
        let storage = sizes.get(key).ok_or_else(|| file.fault(format!("no tensor uses storage {key:?}")))?;
        if count != storage.elements as u64 {
            return Err(file.fault(format!("storage {key:?} has {count} elements, not {}", storage.elements)));
        }
        starts.insert(key.clone(), start + 8);
        start = bytes_of(storage).and_then(|n| n.checked_add(start + 8)).unwrap_or(u64::MAX);
    }
    tensors(file, &object, ema, |storage, _| {
        starts.get(&storage.key).copied().ok_or_else(|| file.fault(format!("storage {:?} is missing", storage.key)))
    })
}

/// The tensors of the state dict in `pickle`; `locate` gives the byte in the file where a storage of so many bytes begins.
fn tensors(
    file: &Rc<CheckpointFile>,
    pickle: &Pickle,
    ema: bool,
    mut locate: impl FnMut(&Storage, u64) -> Result<u64>,
) -> Result<(Tensors, Vec<String>)> {
    let entries = |value: &Value| match value {
        Value::Dict(i) => pickle.dicts.get(*i).map(Vec::as_slice),
        _ => None,
    };
    let root = entries(&pickle.root).ok_or_else(|| file.fault("it does not hold a dict of tensors"))?;
    let under =
        |key: &str| root.iter().find(|(k, _)| matches!(k, Value::Text(t) if &**t == key)).and_then(|(_, v)| entries(v));
    let find = |keys: &[&'static str]| keys.iter().find_map(|key| Some((*key, under(key)?)));
    let (plain, averaged) = (find(&WRAPPERS), find(&AVERAGES));
    let mut notes = Vec::new();
    let entries = match (plain, averaged) {
        (Some((key, _)), Some((average, entries))) if ema => {
            notes.push(format!("the averaged weights of {average} are taken, not those of {key}"));
            entries
        }
        (Some((key, entries)), Some((average, _))) => {
            notes.push(format!("the weights of {key} are taken; --ema takes the averaged ones of {average}"));
            entries
        }
        (None, Some((_, entries))) => entries,
        (_, None) if ema => {
            return Err(Error::input("ema", format!("{} holds no averaged weights", file.path.display())));
        }
        (Some((_, entries)), None) => entries,
        (None, None) => root,
    };

    few(file, entries.iter().filter(|(_, value)| matches!(value, Value::Tensor(_))).count())?;
    let mut found = Tensors::new();
    for (key, value) in entries {
        let (Value::Text(name), Value::Tensor(tensor)) = (key, value) else { continue };
        let storage = &tensor.storage;
        let fault = |reason: &str| Error::model(&**name, reason);
        let (dtype, size) = dtype_of(storage).ok_or_else(|| fault(&format!("{} is not supported", storage.kind)))?;
        let last = tensor
            .shape
            .iter()
            .zip(&tensor.strides)
            .try_fold(tensor.offset, |n, (d, s)| n.checked_add(d.saturating_sub(1).checked_mul(*s)?));
        let elements = tensor.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if last.is_none_or(|n| n >= storage.elements) || elements.is_none_or(|n| n > storage.elements) {
            return Err(fault("it reaches beyond its storage"));
        }
        let bytes = bytes_of(storage).ok_or_else(|| fault("its storage is not possible"))?;
        let offset = (tensor.offset * size) as u64 + locate(storage, bytes)?;
        let strides = Some(tensor.strides.clone());
        let layout = TensorLayout { dtype, shape: tensor.shape.clone(), strides, offset };
        found.insert(name.to_string(), CheckpointTensor::new(name, layout, file)?);
    }
    if found.is_empty() {
        return Err(file.fault("it does not hold a dict of tensors"));
    }
    Ok((found, notes))
}

/// No more tensors or storages than any model has.
fn few(file: &CheckpointFile, count: usize) -> Result<()> {
    if count <= MAX_TENSORS {
        return Ok(());
    }
    Err(file.fault(format!("it holds {count} tensors, at most {MAX_TENSORS} are read")))
}

fn all_tensors(pickle: &Pickle) -> impl Iterator<Item = &Rc<pickle::Tensor>> {
    let in_lists = pickle.lists.iter().flatten();
    let in_dicts = pickle.dicts.iter().flatten().map(|(_, value)| value);
    in_lists.chain(in_dicts).filter_map(|value| match value {
        Value::Tensor(tensor) => Some(tensor),
        _ => None,
    })
}

/// The type of a storage's elements and their bytes.
fn dtype_of(storage: &Storage) -> Option<(Dtype, usize)> {
    Some(match &*storage.kind {
        "FloatStorage" => (Dtype::F32, 4),
        "HalfStorage" => (Dtype::F16, 2),
        "BFloat16Storage" => (Dtype::BF16, 2),
        "DoubleStorage" => (Dtype::F64, 8),
        "LongStorage" => (Dtype::I64, 8),
        "IntStorage" => (Dtype::I32, 4),
        "ShortStorage" => (Dtype::I16, 2),
        "CharStorage" => (Dtype::I8, 1),
        "ByteStorage" => (Dtype::U8, 1),
        "BoolStorage" => (Dtype::BOOL, 1),
        _ => return None,
    })
}

fn bytes_of(storage: &Storage) -> Option<u64> {
    let (_, size) = dtype_of(storage)?;
    (storage.elements as u64).checked_mul(size as u64)
}
