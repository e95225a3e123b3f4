//! What `torch.save` writes: an archive of a pickle and of each tensor's storage.

use std::io::{BufWriter, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::options::Precision;
use super::reader::BundleReader;
use super::safetensors::Tally;
use super::tensor::{ForeignTensor, bytes};
use crate::error::{Error, Result};

/// What an entry of an archive may have before its sizes need 64 bits.
const LARGE: u64 = u32::MAX as u64;

/// Writes `{"state_dict": tensors}`, as `torch.load` reads it with `weights_only`.
///
/// # Errors
/// As the reader's; `Cancelled`; `Internal` naming what could not be written.
pub fn write(
    out: impl Write + Seek,
    tensors: &[ForeignTensor],
    reader: &mut BundleReader,
    precision: Precision,
    tally: &mut Tally,
) -> Result<()> {
    let fault = |e: &dyn std::fmt::Display| Error::internal(format!("the archive could not be written: {e}"));
    let mut zip = ZipWriter::new(BufWriter::new(out));
    let mut entry = |name: &str, bytes: &[u8]| {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("archive/{name}"), options.large_file(bytes.len() as u64 > LARGE))
            .map_err(|e| fault(&e))?;
        zip.write_all(bytes).map_err(|e| fault(&e))
    };
    entry("data.pkl", &pickle(tensors, precision))?;
    entry("byteorder", b"little")?;
    for (i, tensor) in tensors.iter().enumerate() {
        let stored = bytes(&tensor.read(reader)?, tensor.precision(precision));
        entry(&format!("data/{i}"), &stored)?;
        tally.add(stored.len())?;
    }
    entry("version", b"3\n")?;
    zip.finish().and_then(|mut out| Ok(out.flush()?)).map_err(|e| fault(&e))
}

/// The pickle of protocol 2: a dict of an ordered dict of tensors that lie in storages of their own.
fn pickle(tensors: &[ForeignTensor], precision: Precision) -> Vec<u8> {
    let mut out = b"\x80\x02}".to_vec();
    text(&mut out, "state_dict");
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (i, tensor) in tensors.iter().enumerate() {
        text(&mut out, &tensor.name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(match tensor.precision(precision) {
            Precision::F32 => b"ctorch\nFloatStorage\n".as_slice(),
            Precision::F16 => b"ctorch\nHalfStorage\n",
        });
        text(&mut out, &i.to_string());
        text(&mut out, "cpu");
        integer(&mut out, tensor.elements());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, tensor.shape.iter().copied());
        let strides = (0..tensor.shape.len()).map(|d| tensor.shape.iter().skip(d + 1).product());
        tuple(&mut out, strides);
        // No gradient is asked for, and there are no hooks.
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"us.");
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A count: four bytes with a sign, or eight.
fn integer(out: &mut Vec<u8>, n: usize) {
    match i32::try_from(n) {
        Ok(n) => {
            out.push(b'J');
            out.extend(n.to_le_bytes());
        }
        Err(_) => {
            out.extend(b"\x8a\x08");
            out.extend((n as u64).to_le_bytes());
        }
    }
}

fn tuple(out: &mut Vec<u8>, items: impl Iterator<Item = usize>) {
    out.push(b'(');
    items.for_each(|n| integer(out, n));
    out.push(b't');
}
