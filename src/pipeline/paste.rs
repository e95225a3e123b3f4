//! From what the model drew back to the image: only the pixels of the mask change, at the image's own resolution.

use super::crop::Region;
use super::image::{Image, byte};
use super::mask::Mask;
use super::options::Values;
use super::picture::Picture;
use super::resample::resize;

/// The image, and where a drawing goes.
#[derive(Debug, Clone)]
pub struct Paste {
    pub picture: Picture,
    pub mask: Mask,
    /// The part of the image that is drawn.
    pub region: Region,
    /// Size (width, height) of the drawing.
    pub work: (usize, usize),
}

impl Paste {
    /// The image with `drawn` `[3, work.1, work.0]` in [-1, 1] in its place. A pixel of weight 0 keeps its bytes; one that is redrawn
    /// becomes opaque.
    pub fn bytes(&self, drawn: &[f32]) -> Image {
        let mut image = match &self.picture {
            Picture::Bytes(image) => image.clone(),
            Picture::Values(_) => {
                let planes = self.picture.planes(Region::whole(self.mask.width, self.mask.height));
                Image::from_planes(&planes, self.mask.width, self.mask.height)
            }
        };
        let data = &mut image.data;
        self.each_drawn(drawn, |pixel, weight, rgb| {
            let old = &mut data[4 * pixel..][..4];
            // Colours mix by how much of each is seen.
            let (under, alpha) = (f32::from(old[3]) / 255.0 * (1.0 - weight), f32::from(old[3]));
            let seen = (under + weight).max(1e-6);
            for (old, new) in old.iter_mut().zip(rgb) {
                let before = f32::from(*old) / 127.5 - 1.0;
                *old = byte((before * under + new * weight) / seen);
            }
            old[3] = (alpha + (255.0 - alpha) * weight).round() as u8;
        });
        image
    }

    /// The same in values `[1, 3, H, W]`, where the image came as such.
    pub fn values(&self, drawn: &[f32]) -> Option<Values> {
        let Picture::Values(source) = &self.picture else { return None };
        let (mut values, plane) = (source.clone(), self.mask.width * self.mask.height);
        self.each_drawn(drawn, |pixel, weight, rgb| {
            for (c, new) in rgb.into_iter().enumerate() {
                let old = &mut values.data[c * plane + pixel];
                *old = *old * (1.0 - weight) + new * weight;
            }
        });
        Some(values)
    }

    /// Calls `visit(pixel of the image, weight, colour)` for every pixel that is redrawn at all.
    fn each_drawn(&self, drawn: &[f32], mut visit: impl FnMut(usize, f32, [f32; 3])) {
        let Region { x, y, width, height } = self.region;
        let drawn = resize(drawn, self.work, (width, height));
        let area = width * height;
        for i in 0..area {
            let pixel = (y + i / width) * self.mask.width + x + i % width;
            let weight = self.mask.weight[pixel];
            if weight > 0.0 {
                visit(pixel, weight, [0, 1, 2].map(|c| drawn[c * area + i].clamp(-1.0, 1.0)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paste(data: Vec<u8>, weight: Vec<f32>) -> Paste {
        let picture = Picture::Bytes(Image { width: 2, height: 2, data });
        Paste { picture, mask: Mask { width: 2, height: 2, weight }, region: Region::whole(2, 2), work: (1, 1) }
    }

    #[test]
    fn kept_pixels_keep_their_bytes_and_redrawn_ones_are_opaque() {
        // Transparent pixels with colours that nobody sees keep those too.
        let data = vec![1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 10, 0, 11, 12, 13, 255];
        let out = paste(data.clone(), vec![0.0, 0.0, 1.0, 0.5]).bytes(&[1.0, -1.0, 0.0]);
        assert_eq!(out.data[..8], data[..8]);
        assert_eq!(out.data[8..12], [255, 0, 128, 255]);
        assert_eq!(out.data[12..], [133, 6, 70, 255]);
    }

    #[test]
    fn values_mix_as_bytes_do() {
        let picture = Picture::Values(Values { shape: vec![1, 3, 2, 2], data: vec![0.2; 12] });
        let paste = Paste { picture, ..paste(vec![0; 16], vec![0.0, 1.0, 0.25, 0.0]) };
        let out = paste.values(&[1.0, 2.0, -1.0]).unwrap().data;
        assert_eq!(out[..4], [0.2, 1.0, 0.2 * 0.75 + 0.25, 0.2]);
        assert_eq!(out[8..], [0.2, -1.0, 0.2 * 0.75 - 0.25, 0.2]);
        assert_eq!(paste.bytes(&[1.0, 1.0, 1.0]).data[..4], [153, 153, 153, 255]);
    }
}
