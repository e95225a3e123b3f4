//! Matrices that stay on the GPU as bundles store them.

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::launch::{Buffer, Launch, launch};
use super::runs::is_on;
use crate::device::resident;
use crate::kernels::packed::PackedWords;
use crate::kernels::wgsl::folded;
use crate::kernels::wgsl::format::Format;
use crate::kernels::wgsl::unpack::{UnpackShader, WORKGROUP};

/// A matrix `[out, in]` in words.
#[derive(Module, Debug)]
pub struct PackedMatrix {
    words: Tensor<1, Int>,
    /// Two f16 to a word.
    scales: Option<Tensor<1, Int>>,
    #[module(skip)]
    format: Format,
    #[module(skip)]
    shape: [usize; 2],
    /// Values along the input that share a scale.
    group: usize,
}

impl PackedMatrix {
    /// Whether matrices can stay packed on `device`.
    pub fn is_supported(device: &Device) -> bool {
        is_on(device)
    }

    /// The words of a bundle on the device; none where [`Format::fits`] says that they cannot stay packed.
    pub fn upload(matrix: PackedWords, device: &Device) -> Option<Self> {
        let PackedWords { format, shape, group, words, scales } = matrix;
        if !format.fits(shape[1], format.is_scaled().then_some(group)) {
            return None;
        }
        let upload = |words: Vec<i32>| {
            let count = words.len();
            resident(TensorData::new(words, [count]), device, |data| Tensor::from_data(data, device))
        };
        let half = |pair: &[u16], i: usize| u32::from(pair.get(i).copied().unwrap_or(0));
        let pairs = |pair: &[u16]| (half(pair, 0) | half(pair, 1) << 16) as i32;
        Some(Self {
            words: upload(bytemuck::cast_vec(words)),
            scales: format.is_scaled().then(|| upload(scales.chunks(2).map(pairs).collect())),
            format,
            shape,
            group,
        })
    }

    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        4 * (self.words.dims()[0] + self.scales.as_ref().map_or(0, |s| s.dims()[0]))
    }

    /// As the matrix product reads it.
    pub fn operand(&self) -> Operand {
        Operand {
            format: self.format,
            shape: self.shape,
            group: self.group,
            weight: Buffer::words(self.words.clone()),
            scales: self.scales.clone().map(Buffer::words),
        }
    }

    /// The matrix as plain numbers, for layers that are no linear ones.
    pub fn unpack(&self) -> Tensor<2> {
        let Operand { format, shape, weight, scales, .. } = self.operand();
        let y = weight.beside(shape, DType::F32);
        let values = shape[0] * shape[1];
        let units = values / (4 * format.vectors());
        let group = if format.is_scaled() { self.group / (4 * format.vectors()) } else { units };
        let inputs: Vec<&Buffer> = core::iter::once(&weight).chain(&scales).collect();
        let groups = folded(units.div_ceil(WORKGROUP));
        launch(UnpackShader { format }, Launch { inputs: &inputs, outputs: &[&y], words: &[units, group], groups });
        y.float()
    }
}

/// A weight as the matrix product binds it.
pub struct Operand {
    pub format: Format,
    pub shape: [usize; 2],
    pub group: usize,
    pub weight: Buffer,
    pub scales: Option<Buffer>,
}

impl Operand {
    /// Of a weight `[out, in]` that is not packed.
    pub fn numbers(weight: Tensor<2>) -> Self {
        let shape = weight.dims();
        Self { format: Format::F32, shape, group: shape[1], weight: Buffer::packed(weight), scales: None }
    }
}
